// Certificates: authorities, issued certificates, signing requests. Keys are EC P-256; certificates of other authorities may
// carry RSA or Ed25519 keys. RFC 5280 and RFC 2986, as far as a cluster needs them.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { isIP } from 'node:net'
import {
  bitString,
  childrenOf,
  contextTag,
  type DerElement,
  DerError,
  element,
  objectIdentifier,
  readElement,
  readElements,
  readObjectIdentifier,
  readTime,
  sequence,
  tag,
  time,
  unsignedInteger,
} from './der.ts'

const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  /** Kubernetes' own attribute for a user's uid in a client certificate. */
  userUid: '1.3.6.1.4.1.57683.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  extensionRequest: '1.2.840.113549.1.9.14',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
  ecdsaSha512: '1.2.840.10045.4.3.4',
  ecdsaSha1: '1.2.840.10045.4.1',
  rsaSha1: '1.2.840.113549.1.1.5',
  rsaSha256: '1.2.840.113549.1.1.11',
  rsaSha384: '1.2.840.113549.1.1.12',
  rsaSha512: '1.2.840.113549.1.1.13',
  ed25519: '1.3.101.112',
} as const

const usageOids = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const

const hashes: Readonly<Record<string, string | null>> = {
  [oids.ecdsaSha256]: 'sha256',
  [oids.ecdsaSha384]: 'sha384',
  [oids.ecdsaSha512]: 'sha512',
  [oids.rsaSha256]: 'sha256',
  [oids.rsaSha384]: 'sha384',
  [oids.rsaSha512]: 'sha512',
  [oids.ed25519]: null,
}

// Compat: a request only shows that who asks has the key, for which Go, and with it Kubernetes, still takes SHA-1.
const requestHashes: typeof hashes = { ...hashes, [oids.ecdsaSha1]: 'sha1', [oids.rsaSha1]: 'sha1' }

/** Certificates are valid from a little before their making, for clocks that are apart. */
const backdateMs = 5 * 60_000
const dayMs = 86_400_000

export type CertificateUsage = 'server' | 'client'

/** A certificate with its private key, both in PEM. */
export interface CertifiedKey {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** Who a certificate names and how it may be reached. */
export interface CertificateSubject {
  readonly commonName: string
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  /** IPv4 or IPv6 addresses as text. */
  readonly ips?: readonly string[]
}

export interface ParsedCertificate {
  readonly commonName: string
  readonly organizations: readonly string[]
  /** Kubernetes' uid attribute, if the subject carries one. */
  readonly uid: string | undefined
  /** Upper-case hexadecimal, as openssl prints it. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly dnsNames: readonly string[]
  readonly ips: readonly string[]
  readonly isAuthority: boolean
  /** Empty when the certificate restricts nothing. Others than ours are given as dotted identifiers. */
  readonly usages: readonly string[]
  readonly der: Buffer
}

export interface ParsedCertificateRequest {
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ips: readonly string[]
  readonly emailAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly publicKey: KeyObject
}

/** A new EC P-256 key, PKCS #8 in PEM. */
export function createPrivateKeyPem(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** A self-signed authority. */
export function createCa(options: { commonName: string; days: number; nowMs: number }): CertifiedKey {
  const key = createPrivateKey(createPrivateKeyPem())
  const publicKey = createPublicKey(key)
  const extensions = [
    extension(oids.basicConstraints, true, sequence(element(tag.boolean, Buffer.from([0xff])))),
    // digitalSignature, keyEncipherment, keyCertSign
    extension(oids.keyUsage, true, bitString(Buffer.from([0xa4]), 2)),
    extension(oids.subjectKeyIdentifier, false, element(tag.octetString, keyIdentifier(publicKey))),
  ]
  const name = encodeName({ commonName: options.commonName })
  const der = signCertificate({ issuer: name, subject: name, publicKey, extensions, signer: key, ...options })
  return { certificatePem: toPem('CERTIFICATE', der), privateKeyPem: pemOf(key) }
}

/** A new key and a certificate for it. `usages` says what the certificate is good for. */
export function issueCertificate(
  options: CertificateSubject & {
    ca: CertifiedKey
    usages: readonly CertificateUsage[]
    days: number
    nowMs: number
    /** Certify this key instead of a new one. */
    privateKeyPem?: string
  },
): CertifiedKey {
  const privateKeyPem = options.privateKeyPem ?? createPrivateKeyPem()
  const certificatePem = certify({ ...options, publicKey: createPublicKey(privateKeyPem) })
  return { certificatePem, privateKeyPem }
}

/** Signs what a certificate signing request asks for: its subject, its names, its key. The caller has checked that it may. */
export function signCertificateRequest(options: {
  ca: CertifiedKey
  requestPem: string
  usages: readonly CertificateUsage[]
  /** What the key is for; default: all that keys of clients and servers are. */
  keyUsages?: readonly KeyUsage[]
  /** From now on. Times of eight hours and more are counted from the (earlier) beginning of the certificate. */
  lifetimeMs: number
  nowMs: number
}): string {
  const request = parseCertificateRequest(options.requestPem)
  const lifetimeMs = options.lifetimeMs < shortMs ? options.lifetimeMs : options.lifetimeMs - backdateMs
  return certify({ ...options, ...request, days: lifetimeMs / dayMs })
}

// Shorter certificates would lose too much of their time to the backdating (Kubernetes' signers draw the line here too).
const shortMs = 8 * 3_600_000

export type KeyUsage = 'digital signature' | 'key encipherment'

const keyUsageBits = { 'digital signature': 0x80, 'key encipherment': 0x20 } as const

function keyUsageExtension(usages: readonly KeyUsage[]): Buffer[] {
  let bits = 0
  for (const usage of usages) bits |= keyUsageBits[usage]
  if (bits === 0) return []
  return [extension(oids.keyUsage, true, bitString(Buffer.from([bits]), (bits & 0x20) === 0 ? 7 : 5))]
}

function certify(
  options: CertificateSubject & {
    ca: CertifiedKey
    usages: readonly CertificateUsage[]
    keyUsages?: readonly KeyUsage[]
    days: number
    nowMs: number
    publicKey: KeyObject
  },
): string {
  const authority = readCertificate(derOfPem(options.ca.certificatePem))
  const extensions = [
    ...keyUsageExtension(options.keyUsages ?? ['digital signature', 'key encipherment']),
    extension(oids.extendedKeyUsage, false, sequence(...options.usages.map((usage) => objectIdentifier(usageOids[usage])))),
    extension(oids.basicConstraints, true, sequence()),
    extension(
      oids.authorityKeyIdentifier,
      false,
      sequence(element(contextTag(0, false), authority.keyIdentifier ?? keyIdentifier(createPublicKey(options.ca.privateKeyPem)))),
    ),
  ]
  const names = alternativeNames(options)
  if (names.length > 0) extensions.push(extension(oids.subjectAltName, false, sequence(...names)))
  const der = signCertificate({
    issuer: authority.subject,
    subject: encodeName(options),
    publicKey: options.publicKey,
    extensions,
    signer: createPrivateKey(options.ca.privateKeyPem),
    days: options.days,
    nowMs: options.nowMs,
    notAfterMsMax: authority.parsed.notAfterMs,
  })
  return toPem('CERTIFICATE', der)
}

/** A certificate signing request for `privateKeyPem`. */
export function createCertificateRequest(options: CertificateSubject & { privateKeyPem: string }): string {
  const key = createPrivateKey(options.privateKeyPem)
  const names = alternativeNames(options)
  const attributes =
    names.length === 0
      ? element(contextTag(0, true))
      : element(
          contextTag(0, true),
          sequence(
            objectIdentifier(oids.extensionRequest),
            element(tag.set, sequence(extension(oids.subjectAltName, false, sequence(...names)))),
          ),
        )
  const info = sequence(unsignedInteger(Buffer.from([0])), encodeName(options), spkiOf(createPublicKey(key)), attributes)
  return toPem('CERTIFICATE REQUEST', signed(info, key))
}

/** Reads a certificate in PEM (the first of a chain) or DER. Throws DerError when it is none. */
export function parseCertificate(input: string | Uint8Array): ParsedCertificate {
  return readCertificate(typeof input === 'string' ? derOfPem(input) : Buffer.from(input.buffer, input.byteOffset, input.byteLength)).parsed
}

/** Reads a request and verifies that it is signed by the key that it asks to certify. Throws DerError otherwise. */
export function parseCertificateRequest(pem: string): ParsedCertificateRequest {
  const [info, algorithm, signature] = childrenOf(readElement(derOfPem(pem, 'CERTIFICATE REQUEST')), tag.sequence)
  const [, subject, spki, attributes] = childrenOf(info, tag.sequence)
  if (subject === undefined || spki === undefined || signature?.tag !== tag.bitString) throw new DerError('not a certificate request')
  const publicKey = createPublicKey({ key: spki.whole, format: 'der', type: 'spki' })
  const hash = requestHashes[readObjectIdentifier(childrenOf(algorithm, tag.sequence)[0])]
  if (hash === undefined || !verify(hash, info!.whole, publicKey, signature.content.subarray(1))) {
    throw new DerError('the signature of the certificate request does not verify')
  }
  return { ...readSubject(subject), ...requestedNames(attributes), publicKey }
}

function requestedNames(attributes: DerElement | undefined): GeneralNames {
  if (attributes === undefined) return readGeneralNames(undefined)
  for (const attribute of childrenOf(attributes, contextTag(0, true))) {
    const [type, values] = childrenOf(attribute, tag.sequence)
    if (readObjectIdentifier(type) !== oids.extensionRequest) continue
    const extensions = readExtensions(childrenOf(values, tag.set)[0])
    return readGeneralNames(extensions.get(oids.subjectAltName))
  }
  return readGeneralNames(undefined)
}

// The bits of a certificate that signing others with it needs, beside what everybody may ask.
interface ReadCertificate {
  readonly parsed: ParsedCertificate
  readonly subject: Buffer
  readonly keyIdentifier: Buffer | undefined
}

function readCertificate(der: Buffer): ReadCertificate {
  const outer = readElement(der)
  const fields = childrenOf(childrenOf(outer, tag.sequence)[0], tag.sequence)
  // The version is optional, tagged [0].
  const [serial, , , validity, subject, , ...optional] = fields[0]?.tag === contextTag(0, true) ? fields.slice(1) : fields
  if (serial?.tag !== tag.integer || subject === undefined) throw new DerError('not a certificate')
  const [notBefore, notAfter] = childrenOf(validity, tag.sequence)
  const wrapped = optional.find((item) => item.tag === contextTag(3, true))
  const extensions = wrapped === undefined ? new Map<string, Buffer>() : readExtensions(readElement(wrapped.content))
  const constraints = extensions.get(oids.basicConstraints)
  const usages = extensions.get(oids.extendedKeyUsage)
  const identifier = extensions.get(oids.subjectKeyIdentifier)
  const { dnsNames, ips } = readGeneralNames(extensions.get(oids.subjectAltName))
  const usageNames = Object.entries(usageOids)
  const parsed: ParsedCertificate = {
    ...readSubject(subject),
    serial: serial.content.toString('hex').toUpperCase().replace(/^00/, ''),
    notBeforeMs: readTime(notBefore),
    notAfterMs: readTime(notAfter),
    dnsNames,
    ips,
    isAuthority: constraints !== undefined && childrenOf(readElement(constraints), tag.sequence)[0]?.tag === tag.boolean,
    usages:
      usages === undefined
        ? []
        : childrenOf(readElement(usages), tag.sequence).map((item) => {
            const oid = readObjectIdentifier(item)
            return usageNames.find(([, known]) => known === oid)?.[0] ?? oid
          }),
    der: outer.whole,
  }
  return { parsed, subject: subject.whole, keyIdentifier: identifier === undefined ? undefined : readElement(identifier).content }
}

function readSubject(name: DerElement): { commonName: string; organizations: string[]; uid: string | undefined } {
  let commonName = ''
  let uid: string | undefined
  const organizations: string[] = []
  for (const set of childrenOf(name, tag.sequence)) {
    for (const attribute of childrenOf(set, tag.set)) {
      const [type, value] = childrenOf(attribute, tag.sequence)
      const oid = readObjectIdentifier(type)
      const text = value?.content.toString('utf8') ?? ''
      if (oid === oids.commonName) commonName = text
      else if (oid === oids.organization) organizations.push(text)
      else if (oid === oids.userUid) uid = text
    }
  }
  return { commonName, organizations, uid }
}

function readExtensions(list: DerElement | undefined): Map<string, Buffer> {
  const out = new Map<string, Buffer>()
  for (const item of childrenOf(list, tag.sequence)) {
    const parts = childrenOf(item, tag.sequence)
    const value = parts.at(-1)
    if (value?.tag !== tag.octetString) throw new DerError('a malformed extension')
    out.set(readObjectIdentifier(parts[0]), value.content)
  }
  return out
}

interface GeneralNames {
  readonly dnsNames: string[]
  readonly ips: string[]
  readonly emailAddresses: string[]
  readonly uris: string[]
}

function readGeneralNames(value: Buffer | undefined): GeneralNames {
  const names: GeneralNames = { dnsNames: [], ips: [], emailAddresses: [], uris: [] }
  if (value === undefined) return names
  for (const item of childrenOf(readElement(value), tag.sequence)) {
    if (item.tag === contextTag(1, false)) names.emailAddresses.push(item.content.toString('latin1'))
    else if (item.tag === contextTag(2, false)) names.dnsNames.push(item.content.toString('latin1'))
    else if (item.tag === contextTag(6, false)) names.uris.push(item.content.toString('latin1'))
    else if (item.tag === contextTag(7, false)) names.ips.push(ipText(item.content))
  }
  return names
}

function signCertificate(options: {
  issuer: Buffer
  subject: Buffer
  publicKey: KeyObject
  extensions: readonly Buffer[]
  signer: KeyObject
  days: number
  nowMs: number
  notAfterMsMax?: number
}): Buffer {
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const notAfterMs = Math.min(options.nowMs + options.days * dayMs, options.notAfterMsMax ?? Number.POSITIVE_INFINITY)
  const body = sequence(
    element(contextTag(0, true), unsignedInteger(Buffer.from([2]))),
    unsignedInteger(serial),
    signatureAlgorithm(options.signer),
    options.issuer,
    sequence(time(options.nowMs - backdateMs), time(notAfterMs)),
    options.subject,
    spkiOf(options.publicKey),
    element(contextTag(3, true), sequence(...options.extensions)),
  )
  return signed(body, options.signer)
}

function signed(body: Buffer, key: KeyObject): Buffer {
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return sequence(body, signatureAlgorithm(key), bitString(sign(algorithm, body, key)))
}

function signatureAlgorithm(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return sequence(objectIdentifier(oids.ecdsaSha256))
    case 'rsa':
      return sequence(objectIdentifier(oids.rsaSha256), element(tag.null))
    case 'ed25519':
      return sequence(objectIdentifier(oids.ed25519))
    default:
      throw new Error(`a key of type ${key.asymmetricKeyType} cannot sign certificates`)
  }
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const parts = [objectIdentifier(oid)]
  if (critical) parts.push(element(tag.boolean, Buffer.from([0xff])))
  return sequence(...parts, element(tag.octetString, value))
}

function encodeName(subject: CertificateSubject): Buffer {
  const attribute = (oid: string, text: string): Buffer =>
    sequence(objectIdentifier(oid), element(tag.utf8String, Buffer.from(text, 'utf8')))
  const sets: Buffer[] = []
  const organizations = (subject.organizations ?? []).map((text) => attribute(oids.organization, text))
  // A SET OF is ordered by its encoded bytes.
  if (organizations.length > 0) sets.push(element(tag.set, ...organizations.sort(Buffer.compare)))
  if (subject.commonName !== '') sets.push(element(tag.set, attribute(oids.commonName, subject.commonName)))
  return sequence(...sets)
}

function alternativeNames(subject: CertificateSubject & { emailAddresses?: readonly string[]; uris?: readonly string[] }): Buffer[] {
  const ascii = (number: number, text: string): Buffer => element(contextTag(number, false), Buffer.from(text, 'latin1'))
  return [
    ...(subject.emailAddresses ?? []).map((text) => ascii(1, text)),
    ...(subject.dnsNames ?? []).map((text) => ascii(2, text)),
    ...(subject.uris ?? []).map((text) => ascii(6, text)),
    ...(subject.ips ?? []).map((text) => element(contextTag(7, false), ipBytes(text))),
  ]
}

function ipBytes(text: string): Buffer {
  if (isIP(text) === 4) return Buffer.from(text.split('.').map(Number))
  if (isIP(text) !== 6) throw new Error(`${JSON.stringify(text)} is not an IP address`)
  const embedded = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const plain =
    embedded === null
      ? text
      : `${embedded[1]}${(Number(embedded[2]) * 256 + Number(embedded[3])).toString(16)}:${(Number(embedded[4]) * 256 + Number(embedded[5])).toString(16)}`
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return Buffer.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]))
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.')
  const groups: string[] = []
  for (let i = 0; i + 1 < bytes.length; i += 2) groups.push(bytes.readUInt16BE(i).toString(16))
  return groups.join(':')
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

// RFC 5280 section 4.2.1.2, method 1.
function keyIdentifier(key: KeyObject): Buffer {
  const [, bits] = readElements(readElement(spkiOf(key)).content)
  return createHash('sha1').update(bits!.content.subarray(1)).digest()
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** Wraps bytes as PEM with this label. */
export function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der.buffer, der.byteOffset, der.byteLength)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`
}

/** The bytes of the first PEM block with this label. Throws DerError without one. */
export function derOfPem(pem: string, label = 'CERTIFICATE'): Buffer {
  const all = derBlocks(pem, label)
  if (all[0] === undefined) throw new DerError(`no PEM block "${label}"`)
  return all[0]
}

/** The bytes of every PEM block with this label, in order; a CA bundle holds several certificates. */
export function derBlocks(pem: string, label = 'CERTIFICATE'): Buffer[] {
  const blocks: Buffer[] = []
  const begin = `-----BEGIN ${label}-----`
  const finish = `-----END ${label}-----`
  for (let at = pem.indexOf(begin); at >= 0; at = pem.indexOf(begin, at + 1)) {
    const end = pem.indexOf(finish, at)
    if (end < 0) break
    blocks.push(Buffer.from(pem.slice(at + begin.length, end), 'base64'))
  }
  return blocks
}
