// LabelSelector objects, as workloads, policies and affinity carry them: matching, text, checks. Query-string selectors are in selectors.ts.
import type { FieldError } from './errors.ts'
import type { LabelSelector, LabelSelectorRequirement } from './generated/meta-v1.ts'
import { forbidden, invalid, invalidEach, required } from './validation/field-errors.ts'
import { checkLabelValue } from './validation/names.ts'
import { validateLabelName, validateLabels } from './validation/object-meta.ts'

export type Labels = Readonly<Record<string, string>>

/** Compiles a selector once, for many objects. Absent selects nothing; empty selects everything. */
export function labelMatcher(selector: LabelSelector | undefined): (labels: Labels | undefined) => boolean {
  if (selector === undefined) return () => false
  const equals = Object.entries(selector.matchLabels ?? {})
  const requirements = (selector.matchExpressions ?? []).map(requirementMatcher)
  return (labels = {}) => {
    for (const [key, value] of equals) if (!Object.hasOwn(labels, key) || labels[key] !== value) return false
    return requirements.every((matches) => matches(labels))
  }
}

function requirementMatcher({ key, operator, values }: LabelSelectorRequirement): (labels: Labels) => boolean {
  const has = (labels: Labels): boolean => Object.hasOwn(labels, key)
  const allowed = new Set(values)
  if (operator === 'In') return (labels) => has(labels) && allowed.has(labels[key]!)
  if (operator === 'NotIn') return (labels) => !has(labels) || !allowed.has(labels[key]!)
  if (operator === 'Exists') return has
  if (operator === 'DoesNotExist') return (labels) => !has(labels)
  return () => false
}

export function matchesLabels(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  return labelMatcher(selector)(labels)
}

/** Whether `labels` has every pair of `wanted`: services, node selectors, replication controllers. Empty matches all. */
export function hasLabels(labels: Labels | undefined, wanted: Labels | undefined): boolean {
  for (const [key, value] of Object.entries(wanted ?? {})) {
    if (labels === undefined || !Object.hasOwn(labels, key) || labels[key] !== value) return false
  }
  return true
}

export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  if (selector === undefined) return true
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
}

/** The selector in query-string form, requirements by key: `app=web,tier in (a,b),!old`. Empty for an empty one. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  const parts = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }))
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    const list = [...(values ?? [])].sort().join(',')
    if (operator === 'In') parts.push({ key, text: `${key} in (${list})` })
    else if (operator === 'NotIn') parts.push({ key, text: `${key} notin (${list})` })
    else parts.push({ key, text: operator === 'DoesNotExist' ? `!${key}` : key })
  }
  parts.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return parts.map(({ text }) => text).join(',')
}

/** A plain map of labels in query-string form, keys sorted. */
export function formatLabels(labels: Labels | undefined): string {
  const entries = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, value]) => `${key}=${value}`).join(',')
}

export function validateLabelSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  if (selector === undefined) return []
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`)
  for (const [i, requirement] of (selector.matchExpressions ?? []).entries()) {
    errors.push(...validateRequirement(requirement, `${path}.matchExpressions[${i}]`))
  }
  return errors
}

function validateRequirement({ key, operator, values = [] }: LabelSelectorRequirement, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) errors.push(forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  } else errors.push(invalid(`${path}.operator`, operator, 'not a valid selector operator'))
  errors.push(...validateLabelName(key, `${path}.key`))
  for (const [i, value] of values.entries()) errors.push(...invalidEach(`${path}.values[${i}]`, value, checkLabelValue(value)))
  return errors
}
