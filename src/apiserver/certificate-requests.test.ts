import { afterEach, beforeEach, expect, test } from 'vitest'
import { createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { type Answer, openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const pem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName: 'jane' })

const wrap = (der: Buffer): string => `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`

function ask(request: string): Promise<Answer> {
  const spec = { request: Buffer.from(request).toString('base64'), signerName: 'example.com/s', usages: ['client auth'] }
  const body = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name: 'r' }, spec }
  return api.call('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', { body })
}

test('a request for a certificate is taken when it can be read and whoever made it holds the key', async () => {
  expect((await ask(pem)).status).toBe(201)
})

test('a request whose content is none, or whose signature is of something else, is refused', async () => {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const forged = Buffer.from(der)
  forged.write('john', forged.indexOf('jane'))
  for (const content of [Buffer.from('none'), forged]) {
    const { status, json } = await ask(wrap(content))
    expect([status, json.reason, json.details.causes.map(({ field }: { field: string }) => field)]).toEqual([
      422,
      'Invalid',
      ['spec.request'],
    ])
  }
})
