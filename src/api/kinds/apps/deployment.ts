// Deployment of apps/v1.
import type { FieldError } from '../../errors.ts'
import type * as appsV1 from '../../generated/apps-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { formatLabelSelector } from '../../label-selectors.ts'
import { forbidden, invalid, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { ageColumn, containerColumns, nameColumn } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings, podWarnings } from '../core/pod-warnings.ts'
import { intOrPercentNumber, nonNegative, nonNegativeFields, notOver100Percent, validateIntOrPercent } from '../numbers.ts'
import {
  collisionCountNotDecremented,
  fillWorkload,
  isChanged,
  replicaScale,
  selectorImmutable,
  shownRollingUpdate,
  validateReplicaCounts,
  validateRunningTemplate,
  validateSelector,
} from './workloads.ts'

export type Deployment = appsV1.Deployment

function setDefaults(deployment: Deployment): void {
  fillWorkload(deployment)
  const { spec } = deployment
  spec.replicas ??= 1
  spec.strategy ??= {}
  spec.strategy.type ||= 'RollingUpdate'
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {}
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%'
    spec.strategy.rollingUpdate.maxSurge ??= '25%'
  }
  spec.revisionHistoryLimit ??= 10
  spec.progressDeadlineSeconds ??= 600
  setPodTemplateDefaults(spec.template)
}

// Compat: the words about deadlines speak of replica sets here too.
const templateRules = { kindName: 'ReplicaSet', invalidSelector: 'invalid label selector' }

function validate({ spec }: Deployment): FieldError[] {
  const errors = nonNegative(spec.replicas, 'spec.replicas')
  errors.push(...validateSelector(spec.selector, 'deployment'))
  errors.push(...validateRunningTemplate(spec.template, spec.selector, templateRules))
  errors.push(...validateStrategy(spec.strategy))
  errors.push(...nonNegativeFields(spec, 'spec', 'minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds'))
  if (spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
    errors.push(invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds'))
  }
  return errors
}

function validateStrategy({ type, rollingUpdate }: appsV1.DeploymentStrategy): FieldError[] {
  if (type === 'Recreate') {
    const detail = "may not be specified when strategy `type` is 'Recreate'"
    return rollingUpdate === undefined ? [] : [forbidden('spec.strategy.rollingUpdate', detail)]
  }
  if (type !== 'RollingUpdate') {
    return [notSupported('spec.strategy', { Type: type, RollingUpdate: shownRollingUpdate(rollingUpdate) }, ['Recreate', 'RollingUpdate'])]
  }
  const path = 'spec.strategy.rollingUpdate'
  if (rollingUpdate === undefined) return [required(path, 'this should be defaulted and never be nil')]
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate
  const errors = validateIntOrPercent(maxUnavailable, `${path}.maxUnavailable`)
  errors.push(...validateIntOrPercent(maxSurge, `${path}.maxSurge`))
  if (intOrPercentNumber(maxUnavailable) === 0 && intOrPercentNumber(maxSurge) === 0) {
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'))
  }
  return [...errors, ...notOver100Percent(maxUnavailable, `${path}.maxUnavailable`)]
}

const counts = [
  'observedGeneration',
  'replicas',
  'updatedReplicas',
  'readyReplicas',
  'availableReplicas',
  'unavailableReplicas',
  'terminatingReplicas',
  'collisionCount',
] as const

export const Deployment = defineKind<Deployment>('apps/v1/deployments', {
  prepareForUpdate(deployment, old) {
    // Annotations are handed on to replica sets, so they count as what is asked for.
    const { metadata, spec } = deployment
    const asked = { spec, annotations: metadata.annotations }
    if (semanticEqual(asked, { spec: old.spec, annotations: old.metadata.annotations })) return
    metadata.generation = (old.metadata.generation ?? 0) + 1
  },
  setDefaults,
  validate,
  sameForValidation: () => true,
  validateUpdate: (deployment, old) => selectorImmutable(deployment.spec.selector, old.spec.selector),
  validateStatusUpdate: ({ status }, old) => [
    ...validateReplicaCounts(status, counts, ['updatedReplicas', 'readyReplicas', 'availableReplicas']),
    ...collisionCountNotDecremented(status.collisionCount, old.status.collisionCount),
  ],
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...(isChanged(metadata, old) ? podWarnings(spec.template, 'spec.template') : []),
  ],
  scale: replicaScale<Deployment>(),
  columns: [
    nameColumn,
    column<Deployment>('Ready', ({ spec, status }) => `${status.readyReplicas ?? 0}/${spec.replicas}`),
    column<Deployment>('Up-to-date', ({ status }) => status.updatedReplicas ?? 0),
    column<Deployment>('Available', ({ status }) => status.availableReplicas ?? 0),
    ageColumn,
    ...containerColumns<Deployment>(
      ({ spec }) => spec.template.spec.containers,
      ({ spec }) => formatLabelSelector(spec.selector),
    ),
  ],
})
