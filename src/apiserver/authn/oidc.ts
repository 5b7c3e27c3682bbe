// kube-apiserver's --oidc-* options as the configuration that they stand for.
import type { JwtAlgorithm } from '#platform/jwt'
import type { JwtAuthenticatorConfiguration } from './jwt-configuration.ts'

export interface OidcSettings {
  /** As it stands in the tokens; its documents are below it. */
  readonly issuerUrl: string
  /** Whom the tokens must be for. */
  readonly clientId: string
  readonly usernameClaim: string
  /** Empty: none. */
  readonly usernamePrefix: string
  /** Absent: nobody has groups. */
  readonly groupsClaim?: string
  readonly groupsPrefix: string
  readonly requiredClaims: ReadonlyMap<string, string>
  readonly algorithms: readonly JwtAlgorithm[]
  /** Authorities of the provider's certificate, PEM; absent: the machine's. */
  readonly caPem?: string
}

export function oidcConfiguration(settings: OidcSettings): JwtAuthenticatorConfiguration {
  const { issuerUrl, clientId, usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, requiredClaims, caPem } = settings
  return {
    issuer: { url: issuerUrl, audiences: [clientId], ...(caPem === undefined ? {} : { certificateAuthority: caPem }) },
    claimMappings: {
      username: { claim: usernameClaim, prefix: usernamePrefix },
      ...(groupsClaim === undefined ? {} : { groups: { claim: groupsClaim, prefix: groupsPrefix } }),
    },
    claimValidationRules: [...requiredClaims].map(([claim, requiredValue]) => ({ claim, requiredValue })),
  }
}
