import { describe, expect, test } from 'vitest'
import type * as certificatesV1 from '../../generated/certificates-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testContext, testNowMs, updateErrors } from '../testing.ts'
import { CertificateSigningRequest } from './certificate-signing-request.ts'

const pem = (label: string): string => Buffer.from(`-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`).toString('base64')

const spec: Manifest<certificatesV1.CertificateSigningRequestSpec> = {
  request: pem('CERTIFICATE REQUEST'),
  signerName: 'kubernetes.io/kube-apiserver-client',
  usages: ['client auth'],
}

function withConditions(...types: string[]): Manifest<CertificateSigningRequest> {
  return { spec, status: { conditions: types.map((type) => ({ type, status: 'True' })) } }
}

describe('certificate signing requests', () => {
  test('know who asked', () => {
    const { spec: stored, status } = created(CertificateSigningRequest, {
      spec: { ...spec, username: 'root' },
      status: { certificate: 'AAAA' },
    })
    expect(stored).toMatchObject({ username: 'jane', groups: ['system:authenticated'] })
    expect(status).toEqual({})
  })

  test.each<[string, Manifest<certificatesV1.CertificateSigningRequestSpec>, string[]]>([
    ['a request for something', spec, []],
    [
      'a request',
      { ...spec, request: pem('CERTIFICATE') },
      [`spec.request: Invalid value: "${pem('CERTIFICATE')}": PEM block type must be CERTIFICATE REQUEST`],
    ],
    ['for something', { ...spec, usages: [] }, ['spec.usages: Required value']],
    ['once', { ...spec, usages: ['client auth', 'client auth'] }, ['spec.usages[1]: Duplicate value: "client auth"']],
    ['by somebody', { ...spec, signerName: '' }, ['spec.signerName: Required value']],
    [
      'in a domain',
      { ...spec, signerName: 'signer' },
      ['spec.signerName: Invalid value: "signer": must be a fully qualified domain and path of the form \'example.com/signer-name\''],
    ],
    [
      'for ten minutes at least',
      { ...spec, expirationSeconds: 599 },
      ['spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(CertificateSigningRequest, { spec: manifest })).toEqual(errors)
  })

  test('are approved or denied, once', () => {
    const update = (to: Manifest<CertificateSigningRequest>, subresource: string): string[] =>
      updateErrors(CertificateSigningRequest, { spec }, to, subresource)
    expect(update(withConditions('Approved'), 'approval')).toEqual([])
    expect(update(withConditions('Approved', 'Denied'), 'approval')).toEqual([
      'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
    ])
    expect(update(withConditions('Approved'), 'status')).toEqual([
      'status.conditions: Forbidden: updates may not add a condition of type "Approved"',
    ])
    expect(update({ spec, status: { certificate: pem('CERTIFICATE') } }, 'status')).toEqual([])
    expect(update({ spec, status: { certificate: pem('CERTIFICATE') } }, 'approval')).toEqual([])
  })

  test.each<[string, string]>([
    ['PRIVATE KEY', 'only CERTIFICATE PEM blocks are allowed, found "PRIVATE KEY"'],
    ['CERTIFICATE-----\nA: b', 'no PEM block headers are permitted'],
    ['-', 'must contain at least one CERTIFICATE PEM block'],
  ])('a certificate is not a %j', (label, problem) => {
    const text = `-----BEGIN ${label}${label.includes(':') ? '' : '-----'}\nAAAA\n-----END ${label.split('-----')[0]}-----\n`
    const certificate = label === '-' ? 'AAAA' : Buffer.from(text).toString('base64')
    expect(updateErrors(CertificateSigningRequest, { spec }, { spec, status: { certificate } }, 'status')).toEqual([
      `status.certificate: Invalid value: "<certificate data>": ${problem}`,
    ])
  })

  test('approving leaves the certificate, and its name may be anything that fits in a path', () => {
    const request = created(CertificateSigningRequest, { spec })
    const old = structuredClone(request)
    request.status.certificate = pem('CERTIFICATE')
    CertificateSigningRequest.strategy.prepareForUpdate!(request, old, testContext('approval'))
    expect(request.status.certificate).toBeUndefined()
    expect(createErrors(CertificateSigningRequest, { metadata: { name: 'Jane:1' }, spec })).toEqual([])
  })

  test('decisions are dated', () => {
    const request = created(CertificateSigningRequest, { spec })
    const old = structuredClone(request)
    request.status.conditions = [{ type: 'Approved', status: 'True' }]
    CertificateSigningRequest.strategy.prepareForUpdate!(request, old, testContext('approval'))
    const now = `${new Date(testNowMs).toISOString().slice(0, 19)}Z`
    expect(request.status.conditions).toEqual([{ type: 'Approved', status: 'True', lastUpdateTime: now, lastTransitionTime: now }])
  })

  test.each<[string[], string | undefined, string]>([
    [[], undefined, 'Pending'],
    [['Approved'], undefined, 'Approved'],
    [['Approved'], 'AAAA', 'Approved,Issued'],
    [['Denied'], undefined, 'Denied'],
    [['Approved', 'Failed'], undefined, 'Approved,Failed'],
  ])('%j shows as %s %s', (types, certificate, cell) => {
    const request = created(CertificateSigningRequest, { spec: { ...spec, expirationSeconds: 3600 } })
    request.status = { conditions: types.map((type) => ({ type, status: 'True' })), ...(certificate !== undefined && { certificate }) }
    expect(row(CertificateSigningRequest, request)).toMatchObject({ Condition: cell, RequestedDuration: '60m', Requestor: 'jane' })
  })
})
