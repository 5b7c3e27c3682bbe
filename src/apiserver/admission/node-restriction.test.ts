import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCertificateRequest, createPrivateKeyPem } from '#platform/x509'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'
import type { User } from '../request.ts'
import type { ResourceHandler } from '../subresources/subresource.ts'

let api: TestCore

// Tokens are made elsewhere; here it is who may ask.
const token: ResourceHandler = {
  type: 'create',
  group: '',
  resource: 'serviceaccounts',
  subresource: 'token',
  bodyKinds: [{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' }],
  create: async (body) => body,
}

beforeEach(async () => {
  api = await openTestCore({ handlers: () => [token] })
  await api.ok('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } } })
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  })
})
afterEach(() => api.close())

const user: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
const pods = '/api/v1/namespaces/default/pods'
const container = { name: 'c', image: 'i' }

async function mirrorPod(spec: object): Promise<Answer> {
  const { uid } = (await api.ok('GET', '/api/v1/nodes/n1')).json.metadata
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid, controller: true }]
  const metadata = { name: 'static', annotations: { 'kubernetes.io/config.mirror': 'x' }, ownerReferences }
  const body = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'n1', containers: [container], ...spec } }
  return api.call('POST', pods, { body, user })
}

describe('MUSTHOLD 15: a mirror pod', () => {
  const volume = (source: object): object => ({ volumes: [{ name: 'v', ...source }] })
  test.each([
    ['serviceaccounts', { serviceAccountName: 'default' }],
    ['secrets', { containers: [{ ...container, envFrom: [{ secretRef: { name: 's' } }] }] }],
    [
      'secrets',
      { initContainers: [{ ...container, name: 'i', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }] },
    ],
    ['secrets', volume({ projected: { sources: [{ secret: { name: 's' } }] } })],
    ['configmaps', volume({ configMap: { name: 'c' } })],
    ['resourceclaims', { resourceClaims: [{ name: 'r', resourceClaimName: 'c' }] }],
    ['csidrivers (via CSI volumes)', volume({ csi: { driver: 'd.example.com' } })],
    ['persistentvolumeclaims', volume({ persistentVolumeClaim: { claimName: 'c' } })],
    ['serviceaccounts (via projected volumes)', volume({ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } })],
  ])('does not reach %s', async (what, spec) => {
    expect((await mirrorPod(spec)).json.message).toBe(`pods "static" is forbidden: node "n1" can not create pods that reference ${what}`)
  })

  test('may use what the node has itself', async () => {
    const volumes = [
      { name: 'a', emptyDir: {} },
      { name: 'b', hostPath: { path: '/x' } },
      { name: 'c', projected: { sources: [{ downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.name' } }] } }] } },
    ]
    expect((await mirrorPod({ volumes })).status).toBe(201)
  })
})

describe('MUSTHOLD 15: a node asks for tokens', () => {
  const ask = async (audiences: string[], name = 'default'): Promise<Answer> => {
    const { uid } = (await api.ok('GET', `${pods}/p`)).json.metadata
    const spec = { audiences, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid } }
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
    return api.call('POST', `/api/v1/namespaces/default/serviceaccounts/${name}/token`, { body, user })
  }

  test('for the audiences that its pod, or the driver of its volume, names, and one at a time', async () => {
    const driver = { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: 'd.example.com' } }
    await api.ok('POST', '/apis/storage.k8s.io/v1/csidrivers', { body: { ...driver, spec: { tokenRequests: [{ audience: 'disk' }] } } })
    const volumes = [
      { name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't', audience: 'vault' } }] } },
      { name: 'd', csi: { driver: 'd.example.com' } },
    ]
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { nodeName: 'n1', containers: [container], volumes } }
    await api.ok('POST', pods, { body })
    // The account's own token is mounted too, and is for the API server.
    for (const audiences of [[], ['vault'], ['disk']]) expect((await ask(audiences)).status).toBe(201)
    expect((await ask(['other'])).json.message).toBe(
      'serviceaccounts "default" is forbidden: audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience',
    )
    expect((await ask(['vault', 'disk'])).json.message).toContain('node may only request 0 or 1 audiences')
  })
})

test('a node makes resource slices and certificate requests for itself alone', async () => {
  const slice = (nodeName: string): Promise<Answer> => {
    const spec = { driver: 'd.example.com', nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 } }
    const body = { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceSlice', metadata: { name: nodeName }, spec }
    return api.call('POST', '/apis/resource.k8s.io/v1/resourceslices', { body, user })
  }
  expect((await slice('n2')).json.message).toBe(
    'resourceslices.resource.k8s.io "n2" is forbidden: can only create ResourceSlice with the same NodeName as the requesting node',
  )
  expect((await slice('n1')).status).toBe(201)
  const sign = (commonName: string): Promise<Answer> => {
    const pem = createCertificateRequest({ privateKeyPem: createPrivateKeyPem(), commonName, organizations: ['system:nodes'] })
    const spec = {
      request: Buffer.from(pem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    }
    const body = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { generateName: 'csr-' }, spec }
    return api.call('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', { body, user })
  }
  expect((await sign('system:node:n2')).json.message).toContain('is forbidden: can only create a node CSR with CN=system:node:n1')
  expect((await sign('system:node:n1')).status).toBe(201)
})

describe('a pod bears the topology of its node', () => {
  const topology = { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r' }
  beforeEach(async () => {
    const labels = { ...topology, other: 'x' }
    await api.ok('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n2', labels } } })
  })
  const labelsOf = async (name: string): Promise<object> => (await api.ok('GET', `${pods}/${name}`)).json.metadata.labels

  test.each([
    ['when it is bound', undefined],
    ['when it is made there', 'n2'],
  ])('%s, whatever it said before', async (_, nodeName) => {
    const metadata = { name: 'p', labels: { own: 'y', 'topology.kubernetes.io/zone': 'elsewhere' } }
    await api.ok('POST', pods, { body: { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName, containers: [container] } } })
    if (nodeName === undefined) {
      const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n2' } }
      await api.ok('POST', `${pods}/p/binding`, { body })
    }
    expect(await labelsOf('p')).toEqual({ own: 'y', ...topology })
  })
})
