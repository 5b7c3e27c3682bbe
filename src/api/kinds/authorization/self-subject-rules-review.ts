// SelfSubjectRulesReview of authorization.k8s.io/v1.
import type * as authorizationV1 from '../../generated/authorization-v1.ts'
import { defineKind } from '../../kind.ts'

export type SelfSubjectRulesReview = authorizationV1.SelfSubjectRulesReview

export const SelfSubjectRulesReview = defineKind<SelfSubjectRulesReview>('authorization.k8s.io/v1/selfsubjectrulesreviews')
