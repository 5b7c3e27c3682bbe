// LocalSubjectAccessReview of authorization.k8s.io/v1.
import type * as authorizationV1 from '../../generated/authorization-v1.ts'
import { defineKind } from '../../kind.ts'

export type LocalSubjectAccessReview = authorizationV1.LocalSubjectAccessReview

export const LocalSubjectAccessReview = defineKind<LocalSubjectAccessReview>('authorization.k8s.io/v1/localsubjectaccessreviews')
