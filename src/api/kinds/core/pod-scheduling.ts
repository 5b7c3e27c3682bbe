// Where a pod may run: affinity, tolerations, topology spread, gates. Also the node selectors of volumes.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { LabelSelector } from '../../generated/meta-v1.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { duplicate, forbidden, invalid, invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { checkLabelKey, checkLabelValue, nameIsDnsLabel, nameIsDnsSubdomain } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'

const notAnOperator = 'not a valid selector operator'

export function validateAffinity(affinity: coreV1.Affinity | undefined, path: string): FieldError[] {
  if (affinity === undefined) return []
  const errors: FieldError[] = []
  if (affinity.nodeAffinity !== undefined) errors.push(...validateNodeAffinity(affinity.nodeAffinity, `${path}.nodeAffinity`))
  for (const field of ['podAffinity', 'podAntiAffinity'] as const) {
    const terms = affinity[field]
    if (terms !== undefined) errors.push(...validatePodAffinity(terms, `${path}.${field}`))
  }
  return errors
}

function validateNodeAffinity(affinity: coreV1.NodeAffinity, path: string): FieldError[] {
  const errors: FieldError[] = []
  const demanded = affinity.requiredDuringSchedulingIgnoredDuringExecution
  if (demanded !== undefined) errors.push(...validateNodeSelector(demanded, `${path}.requiredDuringSchedulingIgnoredDuringExecution`))
  for (const [i, term] of (affinity.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`
    errors.push(...validateWeight(term.weight, `${at}.weight`))
    errors.push(...validateNodeSelectorTerm(term.preference, `${at}.preference`, false))
  }
  return errors
}

function validateWeight(weight: number, path: string): FieldError[] {
  return weight > 0 && weight <= 100 ? [] : [invalid(path, weight ?? 0, 'must be in the range 1-100')]
}

export function validateNodeSelector(selector: coreV1.NodeSelector, path: string): FieldError[] {
  const terms = selector.nodeSelectorTerms ?? []
  if (terms.length === 0) return [required(`${path}.nodeSelectorTerms`, 'must have at least one node selector term')]
  return terms.flatMap((term, i) => validateNodeSelectorTerm(term, `${path}.nodeSelectorTerms[${i}]`, true))
}

/** Preferences may name values that no label can have; demands may not. */
function validateNodeSelectorTerm(term: coreV1.NodeSelectorTerm, path: string, checkValues: boolean): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, requirement] of (term.matchExpressions ?? []).entries()) {
    errors.push(...validateNodeRequirement(requirement, `${path}.matchExpressions[${i}]`, checkValues))
  }
  for (const [i, requirement] of (term.matchFields ?? []).entries()) {
    errors.push(...validateNodeFieldRequirement(requirement, `${path}.matchFields[${i}]`))
  }
  return errors
}

function validateNodeRequirement(requirement: coreV1.NodeSelectorRequirement, path: string, checkValues: boolean): FieldError[] {
  const { key, operator, values = [] } = requirement
  const errors: FieldError[] = []
  const at = `${path}.values`
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) errors.push(required(at, "must be specified when `operator` is 'In' or 'NotIn'"))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) errors.push(forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1) errors.push(required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
  } else errors.push(invalid(`${path}.operator`, operator ?? '', notAnOperator))
  errors.push(...validateLabelName(key ?? '', `${path}.key`))
  if (checkValues) for (const [i, value] of values.entries()) errors.push(...invalidEach(`${at}[${i}]`, value, checkLabelValue(value)))
  return errors
}

function validateNodeFieldRequirement({ key, operator, values = [] }: coreV1.NodeSelectorRequirement, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (operator !== 'In' && operator !== 'NotIn') errors.push(invalid(`${path}.operator`, operator ?? '', notAnOperator))
  else if (values.length !== 1) {
    errors.push(required(`${path}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
  }
  if (key !== 'metadata.name') return [...errors, invalid(`${path}.key`, key ?? '', 'not a valid field selector key')]
  for (const [i, value] of values.entries()) errors.push(...invalidEach(`${path}.values[${i}]`, value, nameIsDnsSubdomain(value, false)))
  return errors
}

function validatePodAffinity(affinity: coreV1.PodAffinity | coreV1.PodAntiAffinity, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, term] of (affinity.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    errors.push(...validatePodAffinityTerm(term, `${path}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`))
  }
  for (const [i, { weight, podAffinityTerm }] of (affinity.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`
    errors.push(...validateWeight(weight, `${at}.weight`))
    errors.push(...validatePodAffinityTerm(podAffinityTerm ?? { topologyKey: '' }, `${at}.podAffinityTerm`))
  }
  return errors
}

function validatePodAffinityTerm(term: coreV1.PodAffinityTerm, path: string): FieldError[] {
  const errors = validateLabelSelector(term.labelSelector, `${path}.labelSelector`)
  errors.push(...validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`))
  for (const name of term.namespaces ?? []) errors.push(...invalidEach(`${path}.namespace`, name, nameIsDnsLabel(name, false)))
  errors.push(...validateMatchLabelKeys(term, path))
  if (!term.topologyKey) errors.push(required(`${path}.topologyKey`, 'can not be empty'))
  return [...errors, ...validateLabelName(term.topologyKey ?? '', `${path}.topologyKey`)]
}

function validateMatchLabelKeys(term: coreV1.PodAffinityTerm, path: string): FieldError[] {
  const { matchLabelKeys = [], mismatchLabelKeys = [], labelSelector } = term
  const errors = validateKeys(matchLabelKeys, labelSelector, `${path}.matchLabelKeys`)
  errors.push(...validateKeys(mismatchLabelKeys, labelSelector, `${path}.mismatchLabelKeys`))
  errors.push(...validateKeysUsedTwice(matchLabelKeys, labelSelector, path))
  for (const [i, key] of matchLabelKeys.entries()) {
    if (mismatchLabelKeys.includes(key)) {
      errors.push(invalid(`${path}.matchLabelKeys[${i}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys'))
    }
  }
  return errors
}

function validateKeys(keys: readonly string[], selector: LabelSelector | undefined, path: string): FieldError[] {
  if (keys.length === 0) return []
  if (selector === undefined) return [forbidden(path, 'must not be specified when labelSelector is not set')]
  return keys.flatMap((key, i) => validateLabelName(key, `${path}[${i}]`))
}

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

export function validateTaintEffect(effect: string | undefined, path: string): FieldError[] {
  return effect !== undefined && taintEffects.includes(effect) ? [] : [notSupported(path, effect ?? '', taintEffects)]
}

export function validateTolerations(tolerations: readonly coreV1.Toleration[] | undefined, path: string): FieldError[] {
  return (tolerations ?? []).flatMap((toleration, i) => validateToleration(toleration, `${path}[${i}]`))
}

function validateToleration(toleration: coreV1.Toleration, path: string): FieldError[] {
  const { key = '', operator = '', value = '', effect = '' } = toleration
  const errors: FieldError[] = []
  if (key !== '') errors.push(...validateLabelName(key, `${path}.key`))
  if (key === '' && operator !== 'Exists') {
    const detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
    errors.push(invalid(`${path}.operator`, operator, detail))
  }
  if (toleration.tolerationSeconds !== undefined && effect !== 'NoExecute') {
    errors.push(invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
  }
  if (operator === 'Equal' || (operator as string) === '') {
    const messages = checkLabelValue(value)
    if (messages.length > 0) errors.push(invalid(`${path}.operator`, value, messages.join(';')))
  } else if (operator === 'Exists') {
    if (value !== '') errors.push(invalid(`${path}.operator`, value, "value must be empty when `operator` is 'Exists'"))
  } else {
    // Comparing operators are known, but off (KEP-5471).
    const supported = operator === 'Lt' || operator === 'Gt' ? ['Equal', 'Exists', 'Lt', 'Gt'] : ['Equal', 'Exists']
    errors.push(notSupported(`${path}.operator`, operator, supported))
  }
  if (effect !== '') errors.push(...validateTaintEffect(effect, `${path}.effect`))
  return errors
}

/** Old tolerations stay; only their seconds may change. New ones may be added. */
export function validateAddedTolerations(
  tolerations: readonly coreV1.Toleration[] | undefined,
  old: readonly coreV1.Toleration[] | undefined,
  path: string,
): FieldError[] {
  const bare = ({ tolerationSeconds: _, ...rest }: coreV1.Toleration): object => rest
  const kept = (old ?? []).every((before) => (tolerations ?? []).some((after) => semanticEqual(bare(after), bare(before))))
  if (!kept) return [forbidden(path, 'existing toleration can not be modified except its tolerationSeconds')]
  return validateTolerations(tolerations, path)
}

export function validateReadinessGates(gates: readonly coreV1.PodReadinessGate[] | undefined, path: string): FieldError[] {
  return (gates ?? []).flatMap(({ conditionType }, i) => {
    return invalidEach(`${path}[${i}].conditionType`, conditionType ?? '', checkLabelKey(conditionType ?? ''))
  })
}

export function validateSchedulingGates(gates: readonly coreV1.PodSchedulingGate[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { name }] of (gates ?? []).entries()) {
    errors.push(...invalidEach(`${path}[${i}]`, name ?? '', checkLabelKey(name ?? '')))
    if (seen.has(name)) errors.push(duplicate(`${path}[${i}]`, name))
    seen.add(name)
  }
  return errors
}

const spreadActions = ['DoNotSchedule', 'ScheduleAnyway']
const inclusionPolicies = ['Honor', 'Ignore']
const notPositive = 'must be greater than zero'

export function validateTopologySpread(constraints: readonly coreV1.TopologySpreadConstraint[] | undefined, path: string): FieldError[] {
  return (constraints ?? []).flatMap((constraint, i, all) => validateConstraint(constraint, all.slice(i + 1), `${path}[${i}]`))
}

function validateConstraint(
  constraint: coreV1.TopologySpreadConstraint,
  following: readonly coreV1.TopologySpreadConstraint[],
  path: string,
): FieldError[] {
  const { maxSkew = 0, topologyKey = '', whenUnsatisfiable, minDomains } = constraint
  const errors: FieldError[] = []
  if (maxSkew <= 0) errors.push(invalid(`${path}.maxSkew`, maxSkew, notPositive))
  if (topologyKey === '') errors.push(required(`${path}.topologyKey`, 'can not be empty'))
  if (!spreadActions.includes(whenUnsatisfiable)) {
    errors.push(notSupported(`${path}.whenUnsatisfiable`, whenUnsatisfiable ?? '', spreadActions))
  }
  if (following.some((other) => other.topologyKey === topologyKey && other.whenUnsatisfiable === whenUnsatisfiable)) {
    errors.push(duplicate(`${path}.{topologyKey, whenUnsatisfiable}`, `{${topologyKey}, ${whenUnsatisfiable}}`))
  }
  if (minDomains !== undefined) {
    if (minDomains <= 0) errors.push(invalid(`${path}.minDomains`, minDomains, notPositive))
    if (whenUnsatisfiable !== 'DoNotSchedule') {
      const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable ?? ''}`
      errors.push(invalid(`${path}.minDomains`, minDomains, detail))
    }
  }
  for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const) {
    const policy = constraint[field]
    if (policy !== undefined && !inclusionPolicies.includes(policy))
      errors.push(notSupported(`${path}.${field}`, policy, inclusionPolicies))
  }
  errors.push(...validateKeys(constraint.matchLabelKeys ?? [], constraint.labelSelector, `${path}.matchLabelKeys`))
  errors.push(...validateKeysUsedTwice(constraint.matchLabelKeys ?? [], constraint.labelSelector, path))
  return [...errors, ...validateLabelSelector(constraint.labelSelector, `${path}.labelSelector`)]
}

// The registry adds one expression for each key to a pod's selectors, so only a second one is the user's.
function validateKeysUsedTwice(keys: readonly string[], selector: LabelSelector | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set(Object.keys(selector?.matchLabels ?? {}))
  for (const { key } of selector?.matchExpressions ?? []) {
    const i = keys.indexOf(key)
    if (i >= 0 && seen.has(key)) errors.push(invalid(`${path}[${i}]`, key, 'exists in both matchLabelKeys and labelSelector'))
    seen.add(key)
  }
  return errors
}

/** Turns matchLabelKeys and mismatchLabelKeys into expressions with the pod's own label values (KEP-3633, KEP-3243). */
export function mergeMatchLabelKeys(pod: coreV1.Pod): void {
  const { affinity, topologySpreadConstraints } = pod.spec
  for (const terms of [affinity?.podAffinity, affinity?.podAntiAffinity]) {
    for (const term of terms?.requiredDuringSchedulingIgnoredDuringExecution ?? []) mergeKeys(pod, term)
    for (const { podAffinityTerm } of terms?.preferredDuringSchedulingIgnoredDuringExecution ?? []) mergeKeys(pod, podAffinityTerm)
  }
  for (const constraint of topologySpreadConstraints ?? []) mergeKeys(pod, constraint)
}

function mergeKeys(
  pod: coreV1.Pod,
  term: { labelSelector?: LabelSelector; matchLabelKeys?: string[]; mismatchLabelKeys?: string[] },
): void {
  const selector = term?.labelSelector
  if (selector === undefined) return
  const add = (keys: readonly string[] | undefined, operator: string): void => {
    for (const key of keys ?? []) {
      const value = pod.metadata.labels?.[key]
      if (value === undefined) continue
      selector.matchExpressions ??= []
      selector.matchExpressions.push({ key, operator, values: [value] })
    }
  }
  add(term.matchLabelKeys, 'In')
  add(term.mismatchLabelKeys, 'NotIn')
}
