// Users vouched for by a front proxy (an aggregating API server): headers count only from a certificate of the request-header CA
// whose common name is on the list. From anybody else they mean nothing.

import type { Clock } from '#base/clock'
import { parseCertificate } from '#platform/x509'
import { identityValues } from '../identity-headers.ts'
import type { ApiRequest } from '../request.ts'
import { authenticated, InvalidCredentials, type LocalAuthenticator } from './authenticator.ts'

export interface FrontProxyOptions {
  /** Common names that may; empty: any that the authority signed. */
  readonly allowedNames: readonly string[]
  readonly clock: Clock
}

const extraPrefix = 'x-remote-extra-'

export function frontProxyAuthenticator({ allowedNames, clock }: FrontProxyOptions): LocalAuthenticator {
  const proxies = new WeakMap<Uint8Array, ReturnType<typeof parseCertificate>>()
  return {
    name: 'front-proxy',
    authenticate(request) {
      const der = request.proxyCertificate
      if (der === undefined) return undefined
      let proxy = proxies.get(der)
      if (proxy === undefined) {
        proxy = parseCertificate(der)
        proxies.set(der, proxy)
      }
      const [name = ''] = identityValues(request.headers['x-remote-user'])
      if (name === '') return undefined
      if (allowedNames.length > 0 && !allowedNames.includes(proxy.commonName)) {
        throw new InvalidCredentials(`the front proxy ${JSON.stringify(proxy.commonName)} is not allowed`)
      }
      if (clock.now() > proxy.notAfterMs) throw new InvalidCredentials('the certificate of the front proxy has expired')
      const [uid = ''] = identityValues(request.headers['x-remote-uid'])
      return authenticated({
        name,
        groups: identityValues(request.headers['x-remote-group']),
        ...(uid ? { uid } : {}),
        ...extraOf(request),
      })
    },
  }
}

function extraOf({ headers }: ApiRequest): { extra?: Record<string, string[]> } {
  const extra = new Map<string, string[]>()
  for (const header in headers) {
    if (!header.startsWith(extraPrefix)) continue
    let key = header.slice(extraPrefix.length)
    try {
      key = decodeURIComponent(key)
    } catch {
      // Taken as it stands.
    }
    extra.set(key, [...identityValues(headers[header])])
  }
  return extra.size === 0 ? {} : { extra: Object.fromEntries(extra) }
}
