// ReplicaSet of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'
import { ageColumn, containerColumns, countColumn, nameColumn, selectorCell } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings, podWarnings } from '../core/pod-warnings.ts'
import { nonNegativeFields } from '../numbers.ts'
import {
  fillWorkload,
  isChanged,
  replicaScale,
  selectorImmutable,
  validateReplicaCounts,
  validateRunningTemplate,
  validateSelector,
} from './workloads.ts'

export type ReplicaSet = appsV1.ReplicaSet

export const ReplicaSet = defineKind<ReplicaSet>('apps/v1/replicasets', {
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...(isChanged(metadata, old) ? podWarnings(spec.template, 'spec.template') : []),
  ],
  setDefaults(replicaSet) {
    fillWorkload(replicaSet)
    replicaSet.spec.replicas ??= 1
    replicaSet.status.replicas ??= 0
    setPodTemplateDefaults(replicaSet.spec.template)
  },
  validate: ({ spec }) => [
    ...nonNegativeFields(spec, 'spec', 'replicas', 'minReadySeconds'),
    // Compat: the words about an empty selector speak of deployments here too.
    ...validateSelector(spec.selector, 'deployment'),
    ...validateRunningTemplate(spec.template, spec.selector, { kindName: 'ReplicaSet', invalidSelector: 'invalid label selector' }),
  ],
  sameForValidation: () => true,
  validateUpdate: (replicaSet, old) => selectorImmutable(replicaSet.spec.selector, old.spec.selector),
  validateStatusUpdate: ({ status }) =>
    validateReplicaCounts(
      status,
      ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration', 'terminatingReplicas'],
      ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
    ),
  scale: replicaScale<ReplicaSet>(),
  columns: [
    nameColumn,
    countColumn<ReplicaSet>('Desired', ({ spec }) => spec.replicas),
    countColumn<ReplicaSet>('Current', ({ status }) => status.replicas),
    countColumn<ReplicaSet>('Ready', ({ status }) => status.readyReplicas),
    ageColumn,
    ...containerColumns<ReplicaSet>(
      ({ spec }) => spec.template.spec.containers,
      ({ spec }) => selectorCell(spec.selector),
    ),
  ],
})
