// Access reviews: may this user do that? (SubjectAccessReview, its local and self forms, and SelfSubjectRulesReview.) Nothing is
// stored; the question is answered with itself, status filled in.
import { badRequest, type FieldError, invalid } from '#api/errors'
import type {
  NonResourceAttributes,
  NonResourceRule,
  ResourceAttributes,
  ResourceRule,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewStatus,
} from '#api/generated/authorization-v1'
import { invalid as invalidField } from '#api/validation/field-errors'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import type { RbacAuthorizer } from '../authz/rbac.ts'
import { compactRules } from '../authz/rules.ts'
import type { User } from '../request.ts'
import type { CreateHandler } from '../subresources/subresource.ts'

const group = 'authorization.k8s.io'
const apiVersion = `${group}/v1`

interface AccessSpec {
  readonly resourceAttributes?: ResourceAttributes
  readonly nonResourceAttributes?: NonResourceAttributes
}

export function accessReviewHandlers({ authorizer, rbac }: { authorizer: Authorizer; rbac: RbacAuthorizer }): readonly CreateHandler[] {
  const handler = (resource: string, kind: string, create: CreateHandler['create']): CreateHandler => ({
    type: 'create',
    group,
    resource,
    subresource: '',
    bodyKinds: [{ apiVersion, kind }],
    create,
  })
  const decide = (user: User, spec: AccessSpec): SubjectAccessReviewStatus => {
    const { verdict, reason } = authorizer.authorize(attributesOf(user, spec))
    return {
      allowed: verdict === 'allow',
      ...(verdict === 'deny' ? { denied: true } : {}),
      ...(reason === '' ? {} : { reason }),
    }
  }
  const reviewOther = (kind: string, body: SubjectAccessReview): SubjectAccessReview => {
    const errors = [...checkSpec(body.spec), ...checkSubject(body.spec)]
    if (errors.length > 0) throw invalid({ group, kind }, '', errors)
    return { ...body, status: decide(subjectOf(body.spec), body.spec) }
  }
  return [
    handler('subjectaccessreviews', 'SubjectAccessReview', async (body) => reviewOther('SubjectAccessReview', body as SubjectAccessReview)),
    handler('localsubjectaccessreviews', 'LocalSubjectAccessReview', async (body, { namespace }) => {
      const review = body as SubjectAccessReview
      const asked = review.spec.resourceAttributes?.namespace ?? ''
      if (asked !== namespace) throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`)
      return reviewOther('LocalSubjectAccessReview', review)
    }),
    handler('selfsubjectaccessreviews', 'SelfSubjectAccessReview', async (body, _target, call) => {
      const review = body as SelfSubjectAccessReview
      const errors = checkSpec(review.spec)
      if (errors.length > 0) throw invalid({ group, kind: 'SelfSubjectAccessReview' }, '', errors)
      return { ...review, status: decide(call.user, review.spec) }
    }),
    handler('selfsubjectrulesreviews', 'SelfSubjectRulesReview', async (body, _target, call) => {
      const review = body as SelfSubjectRulesReview
      const namespace = review.spec.namespace ?? ''
      if (namespace === '') throw badRequest('no namespace on request')
      return { ...review, status: rulesStatus(rbac, call.user, namespace) }
    }),
  ]
}

function rulesStatus(rbac: RbacAuthorizer, user: User, namespace: string): SelfSubjectRulesReview['status'] {
  const { rules, errors } = rbac.rulesFor(user, namespace)
  const resourceRules: ResourceRule[] = []
  const nonResourceRules: NonResourceRule[] = []
  for (const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } of compactRules(rules)) {
    if (resources !== undefined && resources.length > 0) {
      resourceRules.push({
        verbs,
        apiGroups: apiGroups ?? [],
        resources,
        ...(resourceNames !== undefined && resourceNames.length > 0 ? { resourceNames } : {}),
      })
    }
    if (nonResourceURLs !== undefined && nonResourceURLs.length > 0) nonResourceRules.push({ verbs, nonResourceURLs })
  }
  const evaluationError = errors.length === 0 ? undefined : errors.join(', ')
  return { resourceRules, nonResourceRules, incomplete: errors.length > 0, ...(evaluationError === undefined ? {} : { evaluationError }) }
}

function checkSpec({ resourceAttributes, nonResourceAttributes }: AccessSpec): FieldError[] {
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    return [invalidField('spec.nonResourceAttributes', nonResourceAttributes, 'cannot be specified in combination with resourceAttributes')]
  }
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    return [invalidField('spec.resourceAttributes', null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified')]
  }
  return []
}

function checkSubject({ user = '', groups = [] }: SubjectAccessReview['spec']): FieldError[] {
  return user === '' && groups.length === 0 ? [invalidField('spec.user', user, 'at least one of user or group must be specified')] : []
}

function subjectOf({ user = '', groups = [], uid, extra }: SubjectAccessReview['spec']): User {
  return { name: user, groups, ...(uid === undefined ? {} : { uid }), ...(extra === undefined ? {} : { extra }) }
}

function attributesOf(user: User, { resourceAttributes: on, nonResourceAttributes: at }: AccessSpec): Attributes {
  return {
    user,
    isResource: on !== undefined,
    verb: on?.verb ?? at?.verb ?? '',
    group: on?.group ?? '',
    version: on?.version ?? '',
    namespace: on?.namespace ?? '',
    resource: on?.resource ?? '',
    subresource: on?.subresource ?? '',
    name: on?.name ?? '',
    path: at?.path ?? '',
    ...(on?.fieldSelector === undefined ? {} : { fieldSelector: selectorText(on.fieldSelector) }),
  }
}

function selectorText({ rawSelector, requirements }: NonNullable<ResourceAttributes['fieldSelector']>): string {
  if (rawSelector !== undefined && rawSelector !== '') return rawSelector
  return (requirements ?? [])
    .filter(({ operator, values }) => operator === 'In' && values?.length === 1)
    .map(({ key, values }) => `${key}=${values![0]}`)
    .join(',')
}
