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
import type { KubeObject } from '#api/object'
import { invalid as invalidField } from '#api/validation/field-errors'
import type { Attributes } from '../authz/authorizer.ts'
import type { Authorizers } from '../authz/authorizers.ts'
import type { User } from '../request.ts'
import type { CreateHandler } from '../subresources/subresource.ts'
import { checkSelectors, type ReviewedSelectors, readSelectors } from './review-selectors.ts'

const group = 'authorization.k8s.io'
const apiVersion = `${group}/v1`

interface AccessSpec {
  readonly resourceAttributes?: ResourceAttributes
  readonly nonResourceAttributes?: NonResourceAttributes
}

export function accessReviewHandlers({ authorizer }: { authorizer: Authorizers }): readonly CreateHandler[] {
  const handler = (resource: string, kind: string, create: CreateHandler['create']): CreateHandler => ({
    type: 'create',
    group,
    resource,
    subresource: '',
    bodyKinds: [{ apiVersion, kind }],
    create,
  })
  const decide = async (user: User, spec: AccessSpec): Promise<SubjectAccessReviewStatus> => {
    const { errors: unread, ...selectors } = readSelectors(spec.resourceAttributes ?? {})
    const { verdict, reason, error } = await authorizer.authorize(attributesOf(user, spec, selectors))
    const errors = error === undefined ? unread : [error, ...unread]
    return {
      allowed: verdict === 'allow',
      ...(verdict === 'deny' ? { denied: true } : {}),
      ...(reason === '' ? {} : { reason }),
      ...(errors.length === 0 ? {} : { evaluationError: errors.join('; ') }),
    }
  }
  const reviewOther = async (kind: string, body: SubjectAccessReview, more: readonly FieldError[]): Promise<SubjectAccessReview> => {
    const errors = [...checkSpec(body.spec), ...checkSubject(body.spec), ...checkSelectors(body.spec.resourceAttributes), ...more]
    if (errors.length > 0) throw invalid({ group, kind }, '', errors)
    return { ...body, status: await decide(subjectOf(body.spec), body.spec) }
  }
  return [
    handler('subjectaccessreviews', 'SubjectAccessReview', async (body) =>
      reviewOther('SubjectAccessReview', body as SubjectAccessReview, checkMetadata(body, 'must be empty')),
    ),
    handler('localsubjectaccessreviews', 'LocalSubjectAccessReview', async (body, { namespace }) => {
      const review = body as SubjectAccessReview
      const local = { ...review, metadata: { ...review.metadata, namespace } }
      return reviewOther('LocalSubjectAccessReview', local, checkLocal(local, namespace))
    }),
    handler('selfsubjectaccessreviews', 'SelfSubjectAccessReview', async (body, _target, call) => {
      const review = body as SelfSubjectAccessReview
      const errors = [...checkSpec(review.spec), ...checkSelectors(review.spec.resourceAttributes), ...checkMetadata(body, 'must be empty')]
      if (errors.length > 0) throw invalid({ group, kind: 'SelfSubjectAccessReview' }, '', errors)
      return { ...review, status: await decide(call.user, review.spec) }
    }),
    handler('selfsubjectrulesreviews', 'SelfSubjectRulesReview', async (body, _target, call) => {
      const review = body as SelfSubjectRulesReview
      const namespace = review.spec.namespace ?? ''
      if (namespace === '') throw badRequest('no namespace on request')
      const { apiVersion: version, kind, metadata } = review
      return {
        apiVersion: version,
        kind,
        metadata,
        spec: {},
        status: rulesStatus(authorizer, call.user, namespace),
      } as SelfSubjectRulesReview
    }),
  ]
}

function rulesStatus(authorizer: Authorizers, user: User, namespace: string): SelfSubjectRulesReview['status'] {
  const { rules, errors, incomplete } = authorizer.rulesFor(user, namespace)
  const resourceRules: ResourceRule[] = []
  const nonResourceRules: NonResourceRule[] = []
  for (const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } of rules) {
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
  const evaluationError = errors.length > 1 ? `[${errors.join(', ')}]` : errors[0]
  return { resourceRules, nonResourceRules, incomplete, ...(evaluationError === undefined ? {} : { evaluationError }) }
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

// A review is about nothing that is stored: it has no name and no labels.
function checkMetadata({ metadata }: Pick<KubeObject, 'metadata'>, words: string): FieldError[] {
  const { managedFields: _, ...rest } = (metadata ?? {}) as unknown as Record<string, unknown>
  const said = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null && value !== ''))
  return Object.keys(said).length === 0 ? [] : [invalidField('metadata', said, words)]
}

function checkLocal({ metadata, spec }: SubjectAccessReview, namespace: string): FieldError[] {
  const { namespace: _, ...rest } = metadata ?? {}
  const errors = checkMetadata({ metadata: rest as KubeObject['metadata'] }, 'must be empty except for namespace')
  const asked = spec.resourceAttributes?.namespace ?? ''
  if (spec.resourceAttributes !== undefined && asked !== namespace) {
    errors.push(invalidField('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace'))
  }
  if (spec.nonResourceAttributes !== undefined) {
    errors.push(invalidField('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request'))
  }
  return errors
}

function subjectOf({ user = '', groups = [], uid, extra }: SubjectAccessReview['spec']): User {
  return { name: user, groups, ...(uid === undefined ? {} : { uid }), ...(extra === undefined ? {} : { extra }) }
}

function attributesOf(
  user: User,
  { resourceAttributes: on, nonResourceAttributes: at }: AccessSpec,
  { fieldSelector, labelSelector }: Omit<ReviewedSelectors, 'errors'>,
): Attributes {
  return {
    user,
    isResource: on !== undefined,
    verb: on?.verb ?? at?.verb ?? '',
    group: on?.group ?? '',
    version: on === undefined ? '' : on.version || '*',
    namespace: on?.namespace ?? '',
    resource: on?.resource ?? '',
    subresource: on?.subresource ?? '',
    name: on?.name ?? '',
    path: at?.path ?? '',
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
  }
}
