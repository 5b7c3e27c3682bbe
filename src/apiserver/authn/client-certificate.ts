// Users by client certificate: the common name is the user, the organizations are the groups. The chain was verified when the
// connection opened; the dates are looked at with every request, since connections live long.
import { createHash } from 'node:crypto'
import type { Clock } from '#base/clock'
import { parseCertificate } from '#platform/x509'
import type { User } from '../request.ts'
import { authenticated, InvalidCredentials, type LocalAuthenticator } from './authenticator.ts'

interface KnownPeer {
  readonly user: User | undefined
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export function clientCertificateAuthenticator(clock: Clock): LocalAuthenticator {
  // All requests of a connection carry the same buffer.
  const peers = new WeakMap<Uint8Array, KnownPeer>()
  return {
    name: 'x509',
    authenticate(request) {
      const der = request.peerCertificate
      if (der === undefined) {
        if (request.certificateRefused)
          throw new InvalidCredentials('x509: the client certificate is not signed by the client CA, or has expired')
        return undefined
      }
      let peer = peers.get(der)
      if (peer === undefined) {
        peer = peerOf(der)
        peers.set(der, peer)
      }
      const nowMs = clock.now()
      if (nowMs > peer.notAfterMs || nowMs < peer.notBeforeMs)
        throw new InvalidCredentials('x509: the client certificate has expired or is not yet valid')
      return peer.user
    },
  }
}

function peerOf(der: Uint8Array): KnownPeer {
  const { commonName, organizations, uid, usages, notBeforeMs, notAfterMs } = parseCertificate(der)
  const mayAuthenticate = commonName !== '' && (usages.length === 0 || usages.includes('client'))
  const fingerprint = createHash('sha256').update(der).digest('hex')
  const user: User | undefined = mayAuthenticate
    ? authenticated({
        name: commonName,
        groups: organizations,
        ...(uid === undefined ? {} : { uid }),
        extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
      })
    : undefined
  return { user, notBeforeMs, notAfterMs }
}
