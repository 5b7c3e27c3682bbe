import { expect, test } from 'vitest'
import type { CertificateSigningRequestSpec } from '#api/generated/certificates-v1'
import { type CertificateSubject, createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { clientSigner, kubeletClientSigner, kubeletServingSigner, parseRequest, refusalOf } from './kubelet-requests.ts'

const privateKeyPem = createPrivateKeyPem()
const node: CertificateSubject = { commonName: 'system:node:a', organizations: ['system:nodes'] }
const client = ['digital signature', 'client auth'] as const
const serving = ['digital signature', 'key encipherment', 'server auth'] as const

function specOf(signerName: string, subject: CertificateSubject, usages: readonly string[]): CertificateSigningRequestSpec {
  const request = Buffer.from(createCertificateRequest({ ...subject, privateKeyPem })).toString('base64')
  return { request, signerName, usages: usages as CertificateSigningRequestSpec['usages'] & {} }
}

test.each<[string, string, CertificateSubject, readonly string[], string | undefined]>([
  ['a client may be anybody', clientSigner, { commonName: 'somebody' }, client, undefined],
  ['a client is no server', clientSigner, node, ['server auth'], 'invalid usage for client certificate: server auth'],
  ['a client has a use', clientSigner, node, ['digital signature'], 'missing required usage for client certificate: client auth'],
  ['a node comes as a node', kubeletClientSigner, node, client, undefined],
  ['and as nothing else', kubeletClientSigner, { commonName: 'x' }, client, 'subject organization is not system:nodes'],
  ['by its name', kubeletClientSigner, { ...node, commonName: 'x' }, client, 'subject common name does not begin with system:node:'],
  ['a client has no address', kubeletClientSigner, { ...node, ips: ['10.0.0.1'] }, client, 'IP subjectAltNames are not allowed'],
  [
    'a client certificate is for clients',
    kubeletClientSigner,
    node,
    serving,
    'usages did not match [client auth digital signature key encipherment]',
  ],
  ['a node serves at an address', kubeletServingSigner, { ...node, ips: ['10.0.0.1'] }, serving, undefined],
  ['it serves nowhere', kubeletServingSigner, node, serving, 'DNS or IP subjectAltName is required'],
  ['signers of others decide for themselves', 'example.com/theirs', { commonName: 'x' }, [], undefined],
])('%s', (_, signerName, subject, usages, refusal) => {
  const spec = specOf(signerName, subject, usages)
  expect(refusalOf(parseRequest(spec)!, spec)).toBe(refusal)
})

test('a request that cannot be read is none', () => {
  expect(parseRequest({ ...specOf(clientSigner, node, client), request: 'bm8=' })).toBeUndefined()
})
