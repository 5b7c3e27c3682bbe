// ResourceQuota of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { canonicalQuantity, compareQuantities, isQuantity, parseQuantity } from '../../quantity.ts'
import { invalid, required } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { isStandardQuotaResourceName } from './resource-names.ts'
import { validateAmounts, validateQuotaResourceName } from './resource-validation.ts'

export type ResourceQuota = coreV1.ResourceQuota

const scopes = [
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'PriorityClass',
  'CrossNamespacePodAffinity',
  'VolumeAttributesClass',
]
const podCompute = [
  'cpu',
  'memory',
  'requests.cpu',
  'requests.memory',
  'limits.cpu',
  'limits.memory',
  'pods',
  'ephemeral-storage',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
]
const volumeResources = ['persistentvolumeclaims', 'requests.storage', 'storage']

function isScopeValidFor(scope: string, resource: string): boolean {
  if (scope === 'BestEffort') return resource === 'pods'
  if (scope === 'VolumeAttributesClass') return volumeResources.includes(resource)
  return podCompute.includes(resource) || resource.includes('hugepages-')
}

function validateScopes(spec: coreV1.ResourceQuotaSpec): FieldError[] {
  const errors: FieldError[] = []
  const names = Object.keys(spec.hard ?? {}).sort()
  for (const scope of spec.scopes ?? []) {
    if (!scopes.includes(scope)) errors.push(invalid('spec.scopes', spec.scopes, 'unsupported scope'))
    for (const name of names) {
      if (!isStandardQuotaResourceName(name) || isScopeValidFor(scope, name)) continue
      errors.push(invalid('spec.scopes', spec.scopes, 'unsupported scope applied to resource'))
    }
  }
  if (isConflicting(spec.scopes ?? [])) errors.push(invalid('spec.scopes', spec.scopes, 'conflicting scopes'))
  return errors
}

function isConflicting(given: readonly string[]): boolean {
  const has = (...names: string[]): boolean => names.every((name) => given.includes(name))
  return has('BestEffort', 'NotBestEffort') || has('Terminating', 'NotTerminating')
}

function validateScopeSelector(spec: coreV1.ResourceQuotaSpec): FieldError[] {
  const path = 'spec.scopeSelector.matchExpressions'
  const expressions = spec.scopeSelector?.matchExpressions ?? []
  const errors: FieldError[] = []
  for (const { scopeName, operator, values = [] } of expressions) {
    if (!scopes.includes(scopeName)) errors.push(invalid(`${path}.scopeName`, scopeName, 'unsupported scope'))
    for (const name of Object.keys(spec.hard ?? {}).sort()) {
      if (!isStandardQuotaResourceName(name) || isScopeValidFor(scopeName, name)) continue
      errors.push(invalid(path, spec.scopeSelector, 'unsupported scope applied to resource'))
    }
    if (scopeName !== 'PriorityClass' && scopeName !== 'VolumeAttributesClass' && scopes.includes(scopeName) && operator !== 'Exists') {
      const detail =
        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
      errors.push(invalid(`${path}.operator`, operator, detail))
    }
    if (operator === 'In' || operator === 'NotIn') {
      const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
      if (values.length === 0) errors.push(required(`${path}.values`, detail))
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      const detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
      if (values.length > 0) errors.push(invalid(`${path}.values`, values, detail))
    } else errors.push(invalid(`${path}.operator`, operator ?? '', 'not a valid selector operator'))
  }
  if (isConflicting(expressions.map(({ scopeName }) => scopeName))) errors.push(invalid(path, spec.scopes, 'conflicting scopes'))
  return errors
}

function validateStatus({ status }: ResourceQuota): FieldError[] {
  return [
    ...validateAmounts(status.hard, (name) => `status.hard[${name}]`, validateQuotaResourceName),
    ...validateAmounts(status.used, (name) => `status.used[${name}]`, validateQuotaResourceName),
  ]
}

function amountsCell({ status }: ResourceQuota, limits: boolean): string {
  const shown = (text: string | undefined): string => (text !== undefined && isQuantity(text) ? canonicalQuantity(text) : '0')
  const names = Object.keys(status.hard ?? {}).sort()
  const wanted = names.filter((name) => name.startsWith('limits.') === limits)
  return wanted.map((name) => `${name}: ${shown(status.used?.[name])}/${shown(status.hard?.[name])}`).join(', ')
}

/** Requests that may come to more than limits may. */
function warnings({ spec }: ResourceQuota): string[] {
  const hard = spec.hard ?? {}
  return ['cpu', 'memory', 'storage', 'ephemeral-storage'].flatMap((resource) => {
    const bare = resource === 'cpu' || resource === 'memory' ? resource : undefined
    const name = hard[`requests.${resource}`] === undefined && bare !== undefined ? bare : `requests.${resource}`
    const [request, limit] = [hard[name], hard[`limits.${resource}`]]
    if (request === undefined || limit === undefined || !isQuantity(request) || !isQuantity(limit)) return []
    if (compareQuantities(parseQuantity(request), parseQuantity(limit)) <= 0) return []
    const [most, least] = [canonicalQuantity(limit), canonicalQuantity(request)]
    return [`ResourceQuota ${name} (${least}) should be less than limits.${resource} (${most})`]
  })
}

export const ResourceQuota = defineKind<ResourceQuota>('core/v1/resourcequotas', {
  setDefaults(quota) {
    quota.spec ??= {}
    quota.status ??= {}
  },
  validate: ({ spec }) => [
    ...validateAmounts(spec.hard, (name) => `spec.hard[${name}]`, validateQuotaResourceName),
    ...validateScopes(spec),
    ...validateScopeSelector(spec),
  ],
  validateUpdate({ spec }, old) {
    const same = [...new Set(spec.scopes)].sort().join() === [...new Set(old.spec.scopes)].sort().join()
    return same ? [] : [invalid('spec.scopes', spec.scopes, 'field is immutable')]
  },
  validateStatusUpdate: validateStatus,
  warnings: (quota, old) => (old === undefined ? warnings(quota) : []),
  hasGeneration: false,
  columns: [
    nameColumn,
    column<ResourceQuota>('Request', (quota) => amountsCell(quota, false)),
    column<ResourceQuota>('Limit', (quota) => amountsCell(quota, true)),
    ageColumn,
  ],
})
