// A question for an authorizer as the SubjectAccessReview that asks it: what webhooks are sent, and what conditions see of it.
import type {
  FieldSelectorAttributes,
  LabelSelectorAttributes,
  NonResourceAttributes,
  ResourceAttributes,
  SubjectAccessReviewSpec,
} from '#api/generated/authorization-v1'
import { parseFieldSelector, parseLabelSelector } from '#api/selectors'
import { listOf, mapOf, objectOf, string } from '../cel/types.ts'
import type { Attributes } from './authorizer.ts'

export function reviewSpecOf(attributes: Attributes): SubjectAccessReviewSpec {
  const { user, isResource, verb, path } = attributes
  return {
    ...(isResource ? { resourceAttributes: resourceOf(attributes) } : { nonResourceAttributes: { path, verb } }),
    user: user.name,
    ...(user.groups.length === 0 ? {} : { groups: [...user.groups] }),
    ...(user.extra === undefined ? {} : { extra: { ...user.extra } }),
    ...(user.uid ? { uid: user.uid } : {}),
  }
}

function resourceOf(attributes: Attributes): ResourceAttributes {
  const said: Record<string, unknown> = {}
  for (const field of ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'] as const) {
    if (attributes[field] !== '') said[field] = attributes[field]
  }
  const { fieldSelector, labelSelector } = attributes
  const fields = fieldSelector === undefined ? [] : fieldRequirements(fieldSelector)
  const labels = labelSelector === undefined ? [] : labelRequirements(labelSelector)
  if (fields.length > 0) said['fieldSelector'] = { requirements: fields }
  if (labels.length > 0) said['labelSelector'] = { requirements: labels }
  return said as ResourceAttributes
}

// A selector that cannot be read narrows nothing down.
function fieldRequirements(text: string): NonNullable<FieldSelectorAttributes['requirements']> {
  try {
    return parseFieldSelector(text).map(({ field, operator, value }) => ({
      key: field,
      operator: operator === '!=' ? 'NotIn' : 'In',
      values: [value],
    }))
  } catch {
    return []
  }
}

const labelOperators = { '=': 'In', '==': 'In', in: 'In', '!=': 'NotIn', notin: 'NotIn', exists: 'Exists', '!': 'DoesNotExist' } as const

function labelRequirements(text: string): NonNullable<LabelSelectorAttributes['requirements']> {
  try {
    return parseLabelSelector(text).flatMap(({ key, operator, values }) => {
      if (operator === 'gt' || operator === 'lt') return []
      return [{ key, operator: labelOperators[operator], ...(values.length === 0 ? {} : { values: [...values] }) }]
    })
  } catch {
    return []
  }
}

const requirementType = objectOf('kubernetes.SelectorRequirement', { key: string, operator: string, values: listOf(string) })
const selectorType = (name: string) => objectOf(name, { rawSelector: string, requirements: listOf(requirementType) })

/** The type of `request` in match conditions of authorization webhooks. */
export const reviewSpecType = objectOf('kubernetes.SubjectAccessReviewSpec', {
  resourceAttributes: objectOf('kubernetes.ResourceAttributes', {
    namespace: string,
    verb: string,
    group: string,
    version: string,
    resource: string,
    subresource: string,
    name: string,
    fieldSelector: selectorType('kubernetes.FieldSelectorAttributes'),
    labelSelector: selectorType('kubernetes.LabelSelectorAttributes'),
  }),
  nonResourceAttributes: objectOf('kubernetes.NonResourceAttributes', { path: string, verb: string }),
  user: string,
  groups: listOf(string),
  extra: mapOf(string, listOf(string)),
  uid: string,
})

const nothing = { namespace: '', verb: '', group: '', version: '', resource: '', subresource: '', name: '' }

/** The value of `request`: texts that are not there are empty. */
export function reviewSpecValue({ user, groups, uid, extra, ...rest }: SubjectAccessReviewSpec): Record<string, unknown> {
  const { resourceAttributes, nonResourceAttributes } = rest as {
    resourceAttributes?: ResourceAttributes
    nonResourceAttributes?: NonResourceAttributes
  }
  return {
    user: user ?? '',
    groups: groups ?? [],
    uid: uid ?? '',
    extra: extra ?? {},
    ...(resourceAttributes === undefined ? {} : { resourceAttributes: { ...nothing, ...resourceAttributes } }),
    ...(nonResourceAttributes === undefined ? {} : { nonResourceAttributes: { path: '', verb: '', ...nonResourceAttributes } }),
  }
}
