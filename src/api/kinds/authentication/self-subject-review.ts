// SelfSubjectReview of authentication.k8s.io/v1.
import type * as authenticationV1 from '../../generated/authentication-v1.ts'
import { defineKind } from '../../kind.ts'

export type SelfSubjectReview = authenticationV1.SelfSubjectReview

export const SelfSubjectReview = defineKind<SelfSubjectReview>('authentication.k8s.io/v1/selfsubjectreviews')
