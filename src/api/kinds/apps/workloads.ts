// What the workload kinds share: a selector that must match the labels of a pod template, and sane status counts.
import type { FieldError } from '../../errors.ts'
import type { PodTemplateSpec } from '../../generated/core-v1.ts'
import type { LabelSelector, ObjectMeta } from '../../generated/meta-v1.ts'
import { formatLabelSelector, isEmptySelector, matchesLabels, validateLabelSelector } from '../../label-selectors.ts'
import { forbidden, invalid, notSupported, required } from '../../validation/field-errors.ts'
import { withSortedKeys } from '../../validation/text.ts'
import { validatePodTemplateSpec } from '../core/pod-validation.ts'
import { nonNegativeFields } from '../numbers.ts'

/** `kindName` as it stands in the complaint about an empty selector; it is not always the kind's own. */
export function validateSelector(selector: LabelSelector | undefined, kindName: string): FieldError[] {
  if (selector === undefined) return [required('spec.selector')]
  const errors = validateLabelSelector(selector, 'spec.selector')
  if (isEmptySelector(selector)) errors.push(invalid('spec.selector', shownSelector(selector), `empty selector is invalid for ${kindName}`))
  return errors
}

/** A selector in the order in which Kubernetes shows its fields. */
export function shownSelector(selector: LabelSelector | undefined): object | null {
  if (selector === undefined) return null
  const { matchLabels, matchExpressions } = selector
  const sorted = Object.fromEntries(Object.entries(matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
  return {
    ...(Object.keys(sorted).length > 0 && { matchLabels: sorted }),
    ...((matchExpressions ?? []).length > 0 && { matchExpressions }),
  }
}

export function selectorImmutable(selector: LabelSelector | undefined, old: LabelSelector | undefined): FieldError[] {
  const same = JSON.stringify(shownSelector(selector)) === JSON.stringify(shownSelector(old))
  return same ? [] : [invalid('spec.selector', shownSelector(selector), 'field is immutable')]
}

/** How the template of a workload is checked against its selector. */
export interface TemplateRules {
  /** As in the complaint about deadlines. */
  readonly kindName: string
  /** What is said of a selector that cannot be understood, in the place of everything about the template. */
  readonly invalidSelector: string
}

/** The template of pods that run until they are deleted. */
export function validateRunningTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
  rules: TemplateRules,
  path = 'spec.template',
): FieldError[] {
  if (!isValidSelector(selector)) return [invalid('spec.selector', shownSelector(selector), rules.invalidSelector)]
  if (template === undefined) return [required(path)]
  const errors = templateMatchesSelector(template, selector, path)
  errors.push(...validatePodTemplateSpec(template, path))
  return [...errors, ...validateRunning(template, rules.kindName, path)]
}

/** Pods of most workloads run until they are deleted. */
export function validateRunning(template: PodTemplateSpec, kindName: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (template.spec.restartPolicy !== 'Always') {
    errors.push(notSupported(`${path}.spec.restartPolicy`, template.spec.restartPolicy, ['Always']))
  }
  if (template.spec.activeDeadlineSeconds !== undefined) {
    errors.push(forbidden(`${path}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kindName} is not Supported`))
  }
  return errors
}

export function isValidSelector(selector: LabelSelector | undefined): boolean {
  return validateLabelSelector(selector, '').length === 0
}

/** A selector that is not there selects nothing; an empty one is complained of elsewhere. */
export function templateMatchesSelector(template: PodTemplateSpec, selector: LabelSelector | undefined, path: string): FieldError[] {
  if (!isValidSelector(selector) || matchesLabels(selector, template.metadata?.labels)) return []
  return [invalid(`${path}.metadata.labels`, withSortedKeys(template.metadata?.labels), '`selector` does not match template `labels`')]
}

interface ReplicaCounts {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly fullyLabeledReplicas?: number
  readonly updatedReplicas?: number
  readonly currentReplicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly unavailableReplicas?: number
  readonly terminatingReplicas?: number
  readonly collisionCount?: number
}

/**
 * Counts are not negative, and parts not greater than the whole. `parts` in the order in which they are complained about; `ready` as
 * the complaint about what is available calls it.
 */
export function validateReplicaCounts(
  status: ReplicaCounts,
  fields: readonly (keyof ReplicaCounts)[],
  parts: readonly (keyof ReplicaCounts)[],
  ready = 'readyReplicas',
): FieldError[] {
  const errors = nonNegativeFields(status, 'status', ...fields)
  for (const part of parts) {
    if ((status[part] ?? 0) > (status.replicas ?? 0)) {
      errors.push(invalid(`status.${part}`, status[part], 'cannot be greater than status.replicas'))
    }
  }
  if ((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)) {
    errors.push(invalid('status.availableReplicas', status.availableReplicas, `cannot be greater than ${ready}`))
  }
  return errors
}

export function collisionCountNotDecremented(count: number | undefined, old: number | undefined): FieldError[] {
  if (old === undefined || (count !== undefined && count >= old)) return []
  return [invalid('status.collisionCount', count ?? 0, 'cannot be decremented')]
}

/** Whether a workload is new, or was asked for something else: its template is looked at again. */
export function isChanged(
  { generation }: Pick<ObjectMeta, 'generation'>,
  old: { metadata: Pick<ObjectMeta, 'generation'> } | undefined,
): boolean {
  return old === undefined || old.metadata.generation !== generation
}

/** Compat: shown as Kubernetes' internal structure, whose fields are numbers or percentages and never left out. */
export function shownRollingUpdate(rollingUpdate: { maxUnavailable?: unknown; maxSurge?: unknown } | undefined): object | null {
  if (rollingUpdate === undefined) return null
  return { MaxUnavailable: rollingUpdate.maxUnavailable ?? 0, MaxSurge: rollingUpdate.maxSurge ?? 0 }
}

/** Where a workload's scale reads and writes. */
export function replicaScale<T extends { spec: { selector?: LabelSelector } }>() {
  return {
    specReplicas: 'spec.replicas',
    statusReplicas: 'status.replicas',
    selector: (object: T) => formatLabelSelector(object.spec.selector),
  }
}

/** Makes sure that the structures of a workload are there before its defaults are set. */
export function fillWorkload(object: { spec?: unknown; status?: unknown }): void {
  const spec = (object.spec ?? {}) as { template?: { metadata?: object; spec?: object } }
  object.spec = spec
  object.status ??= {}
  spec.template ??= {}
  spec.template.metadata ??= {}
  spec.template.spec ??= {}
}
