// Who is at the other end of a TLS connection, and which authority says so: decided once, when the connection opens.
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { Connection } from './served-request.ts'

/** SHA-256 fingerprints, as Node writes them, of the certificates that an authority bundle holds. */
export type AuthorityFingerprints = ReadonlySet<string>

export interface PeerAuthorities {
  readonly client: AuthorityFingerprints
  /** Front proxies' authority; it is not the client authority. */
  readonly requestHeader: AuthorityFingerprints
}

/** A peer without a certificate, or with one that no authority of ours vouches for, is anonymous here and not refused. */
export function connectionOf(socket: TLSSocket, authorities: PeerAuthorities): Connection {
  const remoteAddress = plainAddress(socket.remoteAddress ?? '')
  if (!socket.authorized) {
    const shown = socket.getPeerCertificate(false)
    return { remoteAddress, peerCertificate: undefined, proxyCertificate: undefined, certificateRefused: shown.raw !== undefined }
  }
  const leaf = socket.getPeerCertificate(true)
  const chain = fingerprintsOf(leaf)
  const vouchedBy = (authority: AuthorityFingerprints): Uint8Array | undefined =>
    chain.some((print) => authority.has(print)) ? leaf.raw : undefined
  const peerCertificate = vouchedBy(authorities.client)
  const proxyCertificate = vouchedBy(authorities.requestHeader)
  return {
    remoteAddress,
    peerCertificate,
    proxyCertificate,
    certificateRefused: peerCertificate === undefined && proxyCertificate === undefined,
  }
}

const chainMax = 10

// The chain that OpenSSL verified, up to and with the trust anchor, which refers to itself.
function fingerprintsOf(leaf: DetailedPeerCertificate): string[] {
  const prints: string[] = []
  let at: DetailedPeerCertificate | undefined = leaf
  while (at?.fingerprint256 !== undefined && prints.length < chainMax) {
    prints.push(at.fingerprint256)
    const issuer: DetailedPeerCertificate | undefined = at.issuerCertificate
    at = issuer === at ? undefined : issuer
  }
  return prints
}

// An IPv4 peer on a dual-stack socket is written as IPv6.
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
