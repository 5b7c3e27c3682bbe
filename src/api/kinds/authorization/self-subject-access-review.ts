// SelfSubjectAccessReview of authorization.k8s.io/v1.
import type * as authorizationV1 from '../../generated/authorization-v1.ts'
import { defineKind } from '../../kind.ts'

export type SelfSubjectAccessReview = authorizationV1.SelfSubjectAccessReview

export const SelfSubjectAccessReview = defineKind<SelfSubjectAccessReview>('authorization.k8s.io/v1/selfsubjectaccessreviews')
