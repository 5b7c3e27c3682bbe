// StatefulSet of apps/v1.
import type { FieldError } from '../../errors.ts'
import type * as appsV1 from '../../generated/apps-v1.ts'
import type { PodTemplateSpec } from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, notSupported, semanticEqual } from '../../validation/field-errors.ts'
import { checkDns1123Label, nameIsDnsLabel } from '../../validation/names.ts'
import { validateAnnotations, validateLabels } from '../../validation/object-meta.ts'
import { ageColumn, containerColumns, nameColumn } from '../columns.ts'
import { setClaimSpecDefaults, validateClaimSpec } from '../core/claim-spec.ts'
import { claimWarnings } from '../core/persistent-volumes.ts'
import { validatePodAnnotations } from '../core/pod-annotations.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { validatePodTemplateSpec } from '../core/pod-validation.ts'
import { podWarnings } from '../core/pod-warnings.ts'
import { nonNegative, nonNegativeFields, notOver100Percent, validateIntOrPercent } from '../numbers.ts'
import {
  collisionCountNotDecremented,
  fillWorkload,
  isChanged,
  isValidSelector,
  replicaScale,
  shownSelector,
  templateMatchesSelector,
  validateReplicaCounts,
  validateRunning,
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
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = 'RollingUpdate'
    spec.updateStrategy.rollingUpdate ??= {}
  }
  if (spec.updateStrategy.type === 'RollingUpdate') {
    if (spec.updateStrategy.rollingUpdate !== undefined) spec.updateStrategy.rollingUpdate.partition ??= 0
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

// Several pods at a time are a feature that is off by default (KEP-961).
function dropMaxUnavailable({ updateStrategy }: appsV1.StatefulSetSpec, old: appsV1.StatefulSetSpec | undefined): void {
  if (old?.updateStrategy.rollingUpdate?.maxUnavailable === undefined) delete updateStrategy.rollingUpdate?.maxUnavailable
}

/** `old`: the spec before an update, whose template may have been wrong. */
function validateSpec(spec: appsV1.StatefulSetSpec, isNew: boolean, old?: appsV1.StatefulSetSpec): FieldError[] {
  const errors: FieldError[] = []
  if (spec.podManagementPolicy !== 'OrderedReady' && spec.podManagementPolicy !== 'Parallel') {
    errors.push(invalid('spec.podManagementPolicy', spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"))
  }
  errors.push(...validateStrategy(spec.updateStrategy))
  for (const field of ['whenDeleted', 'whenScaled'] as const) {
    const policy = spec.persistentVolumeClaimRetentionPolicy?.[field] ?? ''
    if (policy === 'Retain' || policy === 'Delete') continue
    errors.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${field}`, policy, ['Retain', 'Delete']))
  }
  // What may not change was checked when it was made.
  if (isNew) {
    for (const [i, claim] of (spec.volumeClaimTemplates ?? []).entries()) {
      errors.push(...validateClaimSpec(claim.spec, `spec.volumeClaimTemplates[${i}].spec`))
    }
  }
  errors.push(...nonNegativeFields(spec, 'spec', 'replicas', 'minReadySeconds'))
  errors.push(...nonNegative(spec.ordinals?.start, 'spec.ordinals.start'))
  if (isNew && spec.serviceName) errors.push(...invalidEach('spec.serviceName', spec.serviceName, checkDns1123Label(spec.serviceName)))
  errors.push(...validateSelector(spec.selector, 'statefulset'))
  errors.push(...validateTemplate(spec, old))
  return [...errors, ...validateRunning(spec.template, 'StatefulSet', 'spec.template')]
}

function validateTemplate(spec: appsV1.StatefulSetSpec, old: appsV1.StatefulSetSpec | undefined): FieldError[] {
  const { selector, template } = spec
  if (!isValidSelector(selector)) return [invalid('spec.selector', shownSelector(selector), '')]
  const path = 'spec.template'
  const errors = templateMatchesSelector(template, selector, path)
  const problems = validatePodTemplateSpec(asMade(spec), path)
  // Compat: templates were hardly checked once; what was wrong before may stay.
  const tolerated = problems.length > 0 && old !== undefined && validateSpec(old, false).length > 0
  if (!tolerated) errors.push(...problems)
  errors.push(...validateLabels(template.metadata?.labels, `${path}.labels`))
  errors.push(...validateAnnotations(template.metadata?.annotations, `${path}.annotations`))
  return [...errors, ...validatePodAnnotations(template.metadata?.annotations, template.spec, `${path}.annotations`)]
}

// The template with the volumes that its claims become; the names of its pods are the set's doing.
function asMade({ template, volumeClaimTemplates }: appsV1.StatefulSetSpec): PodTemplateSpec {
  const { hostname: _, subdomain: __, ...spec } = template.spec
  const claims = (volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)
  if (claims.length === 0) return { ...template, spec }
  const own = (spec.volumes ?? []).filter(({ name }) => !claims.includes(name))
  const made = claims.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }))
  return { ...template, spec: { ...spec, volumes: [...made, ...own] } }
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
  const errors = validateSpec(spec, false, old.spec)
  const fixed = (all: appsV1.StatefulSetSpec): object => {
    return Object.fromEntries(Object.entries(all).filter(([name]) => !changeable.some((field) => field === name)))
  }
  if (semanticEqual(fixed(spec), fixed(old.spec))) return errors
  const detail =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
  return [...errors, forbidden('spec', detail)]
}

const keepsAllRevisions = 'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended'

export const StatefulSet = defineKind<StatefulSet>('apps/v1/statefulsets', {
  validateName: nameIsDnsLabel,
  warnings: ({ metadata, spec }, old) => [
    ...(isChanged(metadata, old) ? podWarnings(spec.template, 'spec.template') : []),
    ...(spec.volumeClaimTemplates ?? []).flatMap((claim, i) =>
      claimWarnings(claim.spec, `spec.volumeClaimTemplates[${i}]${old === undefined ? '' : '.Spec'}`),
    ),
    ...(spec.revisionHistoryLimit < 0 ? [keepsAllRevisions] : []),
  ],
  setDefaults,
  prepareForCreate: ({ spec }) => dropMaxUnavailable(spec, undefined),
  prepareForUpdate: ({ spec }, old) => dropMaxUnavailable(spec, old.spec),
  validateCreate: ({ spec }) => validateSpec(spec, true),
  validateUpdate,
  validateStatusUpdate: ({ status }, old) => [
    ...validateReplicaCounts(
      status,
      ['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas', 'observedGeneration', 'collisionCount'],
      ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'],
      'status.readyReplicas',
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
