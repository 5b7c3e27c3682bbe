// ReplicationController of the core group: what ReplicaSets came from.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'
import { formatLabels, hasLabels } from '../../label-selectors.ts'
import { invalid, required } from '../../validation/field-errors.ts'
import { withSortedKeys } from '../../validation/text.ts'
import { isChanged, validateReplicaCounts, validateRunning } from '../apps/workloads.ts'
import { ageColumn, containerColumns, countColumn, labelsCell, nameColumn } from '../columns.ts'
import { nonNegativeFields } from '../numbers.ts'
import { setPodTemplateDefaults } from './pod-defaults.ts'
import { validatePodTemplateSpec } from './pod-validation.ts'
import { nameWarnings, podWarnings } from './pod-warnings.ts'

export type ReplicationController = coreV1.ReplicationController

function setDefaults(controller: ReplicationController): void {
  controller.spec ??= {}
  controller.status ??= { replicas: 0 }
  controller.status.replicas ??= 0
  const { spec, metadata } = controller
  spec.replicas ??= 1
  if (spec.template === undefined) return
  spec.template.metadata ??= {}
  spec.template.spec ??= {} as coreV1.PodSpec
  setPodTemplateDefaults(spec.template)
  const labels = spec.template.metadata.labels
  if (labels === undefined) return
  if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels }
  if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels }
}

function validate({ spec }: ReplicationController): FieldError[] {
  const errors = nonNegativeFields(spec, 'spec', 'minReadySeconds')
  const matchLabels = spec.selector ?? {}
  if (Object.keys(matchLabels).length === 0) errors.push(required('spec.selector'))
  errors.push(...nonNegativeFields(spec, 'spec', 'replicas'))
  return [...errors, ...validateTemplate(spec)]
}

function validateTemplate({ selector = {}, template }: coreV1.ReplicationControllerSpec): FieldError[] {
  const path = 'spec.template'
  if (template === undefined) return [required(path)]
  const { labels } = template.metadata ?? {}
  const errors: FieldError[] = []
  if (!hasLabels(labels, selector)) {
    errors.push(invalid(`${path}.metadata.labels`, withSortedKeys(labels), '`selector` does not match template `labels`'))
  }
  return [...errors, ...validatePodTemplateSpec(template, path), ...validateRunning(template, 'ReplicationController', path)]
}

export const ReplicationController = defineKind<ReplicationController>('core/v1/replicationcontrollers', {
  setDefaults,
  validate,
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...(spec.template !== undefined && isChanged(metadata, old) ? podWarnings(spec.template, 'spec.template') : []),
  ],
  validateStatusUpdate: ({ status }) =>
    validateReplicaCounts(
      status,
      ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'],
      ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
    ),
  defaultPropagation: 'orphan',
  scale: {
    specReplicas: 'spec.replicas',
    statusReplicas: 'status.replicas',
    selector: ({ spec }: ReplicationController) => formatLabels(spec.selector),
  },
  columns: [
    nameColumn,
    countColumn<ReplicationController>('Desired', ({ spec }) => spec.replicas),
    countColumn<ReplicationController>('Current', ({ status }) => status.replicas),
    countColumn<ReplicationController>('Ready', ({ status }) => status.readyReplicas),
    ageColumn,
    ...containerColumns<ReplicationController>(
      ({ spec }) => spec.template?.spec.containers ?? [],
      ({ spec }) => labelsCell(spec.selector),
    ),
  ],
  selectableFields: { 'status.replicas': ({ status }) => String(status.replicas) },
})
