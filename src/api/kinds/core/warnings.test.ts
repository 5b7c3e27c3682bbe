import { describe, expect, test } from 'vitest'
import type { Kind } from '../../kind.ts'
import type { KubeObject, Manifest } from '../../object.ts'
import { Ingress } from '../networking/ingress.ts'
import { created, testContext } from '../testing.ts'
import { ResourceQuota } from './resource-quota.ts'
import { Secret } from './secret.ts'
import { Service } from './service.ts'
import { ServiceAccount } from './service-account.ts'

function warningsOf<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>, old?: Manifest<T>): string[] | undefined {
  return kind.strategy.warnings?.(created(kind, manifest), old === undefined ? undefined : created(kind, old))
}

const pem = (...labels: string[]): string =>
  Buffer.from(labels.map((label) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`).join('')).toString('base64')

describe('warnings', () => {
  test('requests of a quota beyond its limits, when it is made', () => {
    const hard = {
      cpu: '2',
      'limits.cpu': '1',
      'requests.memory': '1Gi',
      'limits.memory': '1Gi',
      'requests.storage': '2Gi',
      'limits.storage': '1Gi',
    }
    expect(warningsOf(ResourceQuota, { spec: { hard } })).toEqual([
      'ResourceQuota cpu (2) should be less than limits.cpu (1)',
      'ResourceQuota requests.storage (2Gi) should be less than limits.storage (1Gi)',
    ])
    expect(warningsOf(ResourceQuota, { spec: { hard } }, { spec: { hard } })).toEqual([])
  })

  test('an annotation of service accounts that went out of use, when it is new', () => {
    const manifest = { metadata: { annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } } }
    expect(warningsOf(ServiceAccount, manifest, {})).toEqual([
      'metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets',
    ])
    expect(warningsOf(ServiceAccount, manifest, manifest)).toEqual([])
  })

  test.each<[certificate: string, key: string, warnings: string[]]>([
    [pem('CERTIFICATE'), pem('EC PRIVATE KEY'), []],
    ['AAAA', pem('PRIVATE KEY'), ['tls: failed to find any PEM data in certificate input']],
    [pem('CERTIFICATE'), 'AAAA', ['tls: failed to find any PEM data in key input']],
    [
      pem('PRIVATE KEY'),
      pem('CERTIFICATE'),
      ['tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched'],
    ],
    [pem('CERTIFICATE'), pem('CERTIFICATE'), ['tls: found a certificate rather than a key in the PEM for the private key']],
    [
      pem('A', 'B'),
      'AAAA',
      ['tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [A B]'],
    ],
  ])('a secret for TLS that is none', (certificate, key, warnings) => {
    expect(warningsOf(Secret, { type: 'kubernetes.io/tls', data: { 'tls.crt': certificate, 'tls.key': key } })).toEqual(warnings)
  })

  test('addresses of load balancers that are written oddly', () => {
    const warnings: string[] = []
    const context = { ...testContext('status'), warn: (text: string) => warnings.push(text) }
    const loadBalancer = { ingress: [{ ip: '010.0.0.1' }] }
    const service = created(Service, { spec: {} })
    service.status = { loadBalancer }
    Service.strategy.prepareForStatusUpdate?.(service, service, context)
    const ingress = created(Ingress, { spec: {} })
    ingress.status = { loadBalancer }
    Ingress.strategy.prepareForStatusUpdate?.(ingress, ingress, context)
    const text = 'status.loadBalancer.ingress[0]: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"'
    expect(warnings).toEqual([text, text])
  })
})
