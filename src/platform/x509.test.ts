// Certificates, checked against Node's own X.509 reader and OpenSSL-backed TLS rules.
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  createCa,
  createCertificateRequest,
  createPrivateKeyPem,
  derBlocks,
  issueCertificate,
  parseCertificate,
  parseCertificateRequest,
  signCertificateRequest,
} from './x509.ts'

const nowMs = Date.UTC(2026, 5, 1)
const ca = createCa({ commonName: 'kubernetes', days: 3650, nowMs })

describe('certificates', () => {
  test('an authority signs itself and may sign others', () => {
    const node = new X509Certificate(ca.certificatePem)
    expect(node.ca).toBe(true)
    expect(node.verify(node.publicKey)).toBe(true)
    expect(parseCertificate(ca.certificatePem)).toMatchObject({ commonName: 'kubernetes', isAuthority: true, usages: [] })
  })

  test('a server certificate carries names, addresses and usage, and its authority verifies it', () => {
    const issued = issueCertificate({
      ca,
      commonName: 'kube-apiserver',
      dnsNames: ['localhost', 'kubernetes.default.svc'],
      ips: ['10.96.0.1', '::1', 'fd00::10.0.0.1'],
      usages: ['server'],
      days: 365,
      nowMs,
    })
    const node = new X509Certificate(issued.certificatePem)
    expect(node.verify(new X509Certificate(ca.certificatePem).publicKey)).toBe(true)
    expect(node.checkIssued(new X509Certificate(ca.certificatePem))).toBe(true)
    expect(node.ca).toBe(false)
    expect(node.checkHost('kubernetes.default.svc')).toBe('kubernetes.default.svc')
    expect(node.checkIP('10.96.0.1')).toBe('10.96.0.1')
    expect(node.checkIP('::1')).toBe('::1')
    expect(node.checkIP('fd00::a00:1')).toBe('fd00::a00:1')
    expect(node.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(parseCertificate(issued.certificatePem)).toMatchObject({
      commonName: 'kube-apiserver',
      dnsNames: ['localhost', 'kubernetes.default.svc'],
      ips: ['10.96.0.1', '0:0:0:0:0:0:0:1', 'fd00:0:0:0:0:0:a00:1'],
      usages: ['server'],
      isAuthority: false,
      notBeforeMs: nowMs - 300_000,
      notAfterMs: nowMs + 365 * 86_400_000,
      serial: node.serialNumber,
    })
  })

  test('a client certificate names user and groups', () => {
    const issued = issueCertificate({ ca, commonName: 'jané', organizations: ['b', 'system:masters'], usages: ['client'], days: 1, nowMs })
    expect(parseCertificate(new X509Certificate(issued.certificatePem).raw)).toMatchObject({
      commonName: 'jané',
      organizations: ['b', 'system:masters'],
      uid: undefined,
      usages: ['client'],
    })
  })

  test('a certificate never outlives its authority', () => {
    const short = createCa({ commonName: 'short', days: 1, nowMs })
    const issued = issueCertificate({ ca: short, commonName: 'x', usages: ['client'], days: 100, nowMs })
    expect(parseCertificate(issued.certificatePem).notAfterMs).toBe(parseCertificate(short.certificatePem).notAfterMs)
  })

  test('dates after 2049 use the long form', () => {
    const late = createCa({ commonName: 'late', days: 36_500, nowMs })
    expect(parseCertificate(late.certificatePem).notAfterMs).toBe(nowMs + 36_500 * 86_400_000)
    expect(new X509Certificate(late.certificatePem).validTo).toContain('2126')
  })

  test('bundles are read one block at a time', () => {
    expect(derBlocks(`# first\n${ca.certificatePem}\n${ca.certificatePem}`)).toHaveLength(2)
  })

  test('junk is refused', () => {
    expect(() => parseCertificate('nothing')).toThrow('no PEM block "CERTIFICATE"')
    expect(() => parseCertificate(Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]))).toThrow('longer than its data')
  })
})

describe('certificate signing requests', () => {
  test('what is asked for is what is signed', () => {
    const requestPem = createCertificateRequest({
      privateKeyPem: createPrivateKeyPem(),
      commonName: 'system:node:one',
      organizations: ['system:nodes'],
      dnsNames: ['one'],
      ips: ['10.0.0.1'],
    })
    expect(parseCertificateRequest(requestPem)).toMatchObject({
      commonName: 'system:node:one',
      organizations: ['system:nodes'],
      dnsNames: ['one'],
      ips: ['10.0.0.1'],
      emailAddresses: [],
      uris: [],
    })
    const pem = signCertificateRequest({ ca, requestPem, usages: ['client', 'server'], lifetimeMs: 3_600_000, nowMs })
    expect(parseCertificate(pem)).toMatchObject({
      commonName: 'system:node:one',
      organizations: ['system:nodes'],
      dnsNames: ['one'],
      ips: ['10.0.0.1'],
      notAfterMs: nowMs + 3_600_000,
    })
    expect(new X509Certificate(pem).verify(new X509Certificate(ca.certificatePem).publicKey)).toBe(true)
  })

  test.each([
    ['eight hours are counted from the backdated beginning', 8 * 3_600_000, 8 * 3_600_000 - 300_000],
    ['less from now on', 8 * 3_600_000 - 1_000, 8 * 3_600_000 - 1_000],
  ])('%s', (_what, lifetimeMs, leftMs) => {
    const requestPem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName: 'x' })
    const pem = signCertificateRequest({ ca, requestPem, usages: ['client'], lifetimeMs, nowMs })
    expect(parseCertificate(pem)).toMatchObject({ notBeforeMs: nowMs - 300_000, notAfterMs: nowMs + leftMs })
  })

  test.each([
    [['digital signature', 'key encipherment'], '03020 5a0'],
    [['digital signature'], '03020780'],
    [['key encipherment'], '03020520'],
  ] as const)('a key is for %j and nothing else', (keyUsages, bits) => {
    const requestPem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName: 'x' })
    const pem = signCertificateRequest({ ca, requestPem, usages: ['client'], keyUsages, lifetimeMs: 600_000, nowMs })
    // The extension's object identifier, that it is critical, and its value.
    expect(new X509Certificate(pem).raw.toString('hex')).toContain(`0603551d0f0101ff0404${bits.replace(' ', '')}`)
  })

  test('a key for nothing in particular says nothing of it', () => {
    const requestPem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName: 'x' })
    const pem = signCertificateRequest({ ca, requestPem, usages: ['client'], keyUsages: [], lifetimeMs: 600_000, nowMs })
    expect(new X509Certificate(pem).raw.toString('hex')).not.toContain('0603551d0f')
  })

  test.each(['rsa', 'ed25519'] as const)('an %s key may ask as well', (type) => {
    const { privateKey } = type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
    const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const requestPem = createCertificateRequest({ privateKeyPem, commonName: 'x' })
    expect(parseCertificateRequest(requestPem).commonName).toBe('x')
  })

  test('a request may be signed with SHA-1, as old tools do', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const pem = createCertificateRequest({ privateKeyPem, commonName: 'old' })
    const der = Buffer.from(pem.replace(/-----[^\n]+\n/g, ''), 'base64')
    const sha256WithRsa = Buffer.from('06092a864886f70d01010b', 'hex')
    der[der.indexOf(sha256WithRsa) + sha256WithRsa.length - 1] = 5
    // What is signed begins after the outer header of four bytes, and says its own length in two.
    const info = der.subarray(4, 8 + der.readUInt16BE(6))
    sign('sha1', info, privateKey).copy(der, der.length - 256)
    const old = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
    expect(parseCertificateRequest(old).commonName).toBe('old')
  })

  test('a request whose signature does not fit its key is refused', () => {
    const pem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName: 'honest' })
    const body = Buffer.from(pem.replace(/-----[^\n]+\n/g, ''), 'base64')
    body[body.indexOf('honest')] = 'H'.charCodeAt(0)
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${body.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
    expect(() => parseCertificateRequest(forged)).toThrow('does not verify')
  })
})
