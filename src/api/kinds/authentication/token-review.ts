// TokenReview of authentication.k8s.io/v1.
import type * as authenticationV1 from '../../generated/authentication-v1.ts'
import { defineKind } from '../../kind.ts'

export type TokenReview = authenticationV1.TokenReview

export const TokenReview = defineKind<TokenReview>('authentication.k8s.io/v1/tokenreviews')
