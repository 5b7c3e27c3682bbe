// StatefulSet of apps/v1.
import type { FieldError } from '../../errors.ts'
import type * as appsV1 from '../../generated/apps-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, notSupported, semanticEqual } from '../../validation/field-errors.ts'
import { checkDns1123Label, nameIsDnsLabel } from '../../validation/names.ts'
import { ageColumn, containerColumns, nameColumn } from '../columns.ts'
import { setClaimSpecDefaults } from '../core/claim-spec.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { templateWarnings } from '../core/pod-warnings.ts'
import { nonNegative, nonNegativeFields, notOver100Percent, validateIntOrPercent } from '../numbers.ts'
import {
  collisionCountNotDecremented,
  fillWorkload,
  replicaScale,
  validateReplicaCounts,
  validateRunningTemplate,
  validateSelector,
} from './workloads.ts'

export type StatefulSet = appsV1.StatefulSet

function setDefaults(statefulSet: StatefulSet): void {
  fillWorkload(statefulSet)
  const { spec, status } = statefulSet
  status.replicas ??= 0
  status.availableReplicas ??= 0
  spec.podManagementPolicy ||= 'OrderedReady'
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ||= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.partition ??= 0
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {}
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain'
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain'
  spec.replicas ??= 1
  spec.revisionHistoryLimit ??= 10
  setPodTemplateDefaults(spec.template)
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion ||= 'v1'
    claim.kind ||= 'PersistentVolumeClaim'
    claim.status ??= {}
    claim.status.phase ||= 'Pending'
    setClaimSpecDefaults(claim.spec)
  }
}

function validate({ spec }: StatefulSet): FieldError[] {
  const errors: FieldError[] = []
  if (spec.podManagementPolicy !== 'OrderedReady' && spec.podManagementPolicy !== 'Parallel') {
    errors.push(invalid('spec.podManagementPolicy', spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"))
  }
  errors.push(...validateStrategy(spec.updateStrategy))
  for (const field of ['whenDeleted', 'whenScaled'] as const) {
    const policy = spec.persistentVolumeClaimRetentionPolicy?.[field] ?? ''
    if (policy === 'Retain' || policy === 'Delete') continue
    errors.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${field}`, policy, ['Delete', 'Retain']))
  }
  errors.push(...nonNegativeFields(spec, 'spec', 'replicas', 'minReadySeconds'))
  errors.push(...nonNegative(spec.ordinals?.start, 'spec.ordinals.start'))
  if (spec.serviceName) errors.push(...invalidEach('spec.serviceName', spec.serviceName, checkDns1123Label(spec.serviceName)))
  errors.push(...validateSelector(spec.selector, 'statefulset'))
  return [...errors, ...validateRunningTemplate(spec.template, spec.selector, 'StatefulSet')]
}

function validateStrategy(strategy: appsV1.StatefulSetUpdateStrategy): FieldError[] {
  const { type, rollingUpdate } = strategy
  const path = 'spec.updateStrategy'
  if (type === 'OnDelete') {
    const detail = "only allowed for updateStrategy 'RollingUpdate'"
    return rollingUpdate === undefined ? [] : [invalid(`${path}.rollingUpdate`, shownRollingUpdate(rollingUpdate), detail)]
  }
  if (type !== 'RollingUpdate') {
    const shown = { Type: type ?? '', RollingUpdate: shownRollingUpdate(rollingUpdate) }
    return [invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
  }
  const errors = nonNegative(rollingUpdate?.partition, `${path}.rollingUpdate.partition`)
  const maxUnavailable = rollingUpdate?.maxUnavailable
  if (maxUnavailable === undefined) return errors
  const at = `${path}.rollingUpdate.maxUnavailable`
  errors.push(...validateIntOrPercent(maxUnavailable, at))
  if (maxUnavailable === 0 || maxUnavailable === '0%') errors.push(invalid(at, maxUnavailable, 'cannot be 0'))
  return [...errors, ...notOver100Percent(maxUnavailable, at)]
}

// The API server shows it under the names of its own structs.
function shownRollingUpdate(rollingUpdate: appsV1.RollingUpdateStatefulSetStrategy | undefined): object | null {
  if (rollingUpdate === undefined) return null
  return { Partition: rollingUpdate.partition ?? 0, MaxUnavailable: rollingUpdate.maxUnavailable ?? null }
}

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const

function validateUpdate({ spec }: StatefulSet, old: StatefulSet): FieldError[] {
  const fixed = (all: appsV1.StatefulSetSpec): object => {
    return Object.fromEntries(Object.entries(all).filter(([name]) => !changeable.some((field) => field === name)))
  }
  if (semanticEqual(fixed(spec), fixed(old.spec))) return []
  const detail =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
  return [forbidden('spec', detail)]
}

const keepsAllRevisions = 'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended'

export const StatefulSet = defineKind<StatefulSet>('apps/v1/statefulsets', {
  validateName: nameIsDnsLabel,
  warnings: ({ spec }, old) => [
    ...templateWarnings(spec.template, old?.spec.template),
    ...(spec.revisionHistoryLimit < 0 ? [keepsAllRevisions] : []),
  ],
  setDefaults,
  validate,
  validateUpdate,
  validateStatusUpdate: ({ status }, old) => [
    ...validateReplicaCounts(
      status,
      ['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas', 'observedGeneration', 'collisionCount'],
      ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'],
    ),
    ...collisionCountNotDecremented(status.collisionCount, old.status.collisionCount),
  ],
  scale: replicaScale<StatefulSet>(),
  columns: [
    nameColumn,
    column<StatefulSet>('Ready', ({ spec, status }) => `${status.readyReplicas ?? 0}/${spec.replicas}`),
    ageColumn,
    ...containerColumns<StatefulSet>(({ spec }) => spec.template.spec.containers),
  ],
})
