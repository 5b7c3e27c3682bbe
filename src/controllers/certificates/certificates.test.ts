import { expect, test } from 'vitest'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { startTestCluster } from '../cluster.testing.ts'
import { expiryMs } from './certificates.ts'

test('what a bootstrapping node asks for is approved; what an administrator without such a right could not ask waits', async () => {
  const cluster = await startTestCluster()
  const subject = { commonName: 'system:node:a', organizations: ['system:nodes'] }
  const request = Buffer.from(createCertificateRequest({ ...subject, privateKeyPem: createPrivateKeyPem() })).toString('base64')
  const spec = {
    request,
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature' as const, 'client auth' as const],
  }
  await cluster.create(CertificateSigningRequest, { metadata: { name: 'node' }, spec })
  await cluster.create(CertificateSigningRequest, {
    metadata: { name: 'other' },
    spec: { ...spec, signerName: 'kubernetes.io/kubelet-serving' },
  })
  const approved = await cluster.until(async () => {
    const now = await cluster.get(CertificateSigningRequest, 'node')
    return now?.status.conditions?.[0] === undefined ? undefined : now.status.conditions
  })
  expect(approved).toMatchObject([{ type: 'Approved', status: 'True', reason: 'AutoApproved' }])
  expect((await cluster.get(CertificateSigningRequest, 'other'))?.status.conditions).toBeUndefined()
})

test('a request goes an hour after it was decided, a day after nobody did', () => {
  const at = '2026-01-01T00:00:00Z'
  const request = { metadata: { creationTimestamp: at }, status: {} } as CertificateSigningRequest
  expect(expiryMs(request)).toBe(Date.parse('2026-01-02T00:00:00Z'))
  const conditions = [{ type: 'Denied', status: 'True', lastUpdateTime: '2026-01-01T05:00:00Z' }]
  expect(expiryMs({ ...request, status: { conditions } })).toBe(Date.parse('2026-01-01T06:00:00Z'))
})
