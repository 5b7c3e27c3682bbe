// SubjectAccessReview of authorization.k8s.io/v1.
import type * as authorizationV1 from '../../generated/authorization-v1.ts'
import { defineKind } from '../../kind.ts'

export type SubjectAccessReview = authorizationV1.SubjectAccessReview

export const SubjectAccessReview = defineKind<SubjectAccessReview>('authorization.k8s.io/v1/subjectaccessreviews')
