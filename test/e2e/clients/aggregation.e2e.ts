// An API server beside ours, behind a Service: registered, discovered, explained and used with kubectl as if its kinds were our own.
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { type CertifiedKey, createCa, issueCertificate } from '#platform/x509'
import { type ClientCluster, kubectls, startClientCluster, tableOf } from './client-cluster.ts'

interface Stored {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; creationTimestamp?: string; uid?: string }
  [field: string]: unknown
}

/** An API server of garden.example.com/v1 and of metrics.k8s.io/v1beta1 that keeps its objects in memory. */
function extensionServer({ certificatePem, privateKeyPem }: CertifiedKey, users: Set<string>): Server {
  const objects = new Map<string, Stored>()
  const schema = {
    type: 'object',
    description: 'A flower and where it grows.',
    properties: {
      spec: { type: 'object', description: 'How it is.', properties: { colour: { type: 'string', description: 'Its colour.' } } },
    },
    'x-kubernetes-group-version-kind': [{ group: 'garden.example.com', version: 'v1', kind: 'Flower' }],
  }
  const documents: Record<string, object> = {
    '/apis/garden.example.com/v1': {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'garden.example.com/v1',
      resources: [
        {
          name: 'flowers',
          singularName: 'flower',
          namespaced: true,
          kind: 'Flower',
          shortNames: ['fl'],
          verbs: ['create', 'delete', 'deletecollection', 'get', 'list'],
        },
      ],
    },
    '/apis/metrics.k8s.io/v1beta1': {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'metrics.k8s.io/v1beta1',
      resources: [{ name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] }],
    },
    '/apis/metrics.k8s.io/v1beta1/nodes': {
      kind: 'NodeMetricsList',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: {},
      items: ['node-0', 'node-1'].map((name) => ({
        metadata: { name },
        timestamp: '2026-01-01T00:00:00Z',
        window: '10s',
        usage: { cpu: '500m', memory: '256Mi' },
      })),
    },
    '/openapi/v3': { paths: { 'apis/garden.example.com/v1': { serverRelativeURL: '/openapi/v3/apis/garden.example.com/v1?hash=A' } } },
    '/openapi/v3/apis/garden.example.com/v1': {
      openapi: '3.0.0',
      info: { title: 'Garden', version: 'v1' },
      paths: {
        '/apis/garden.example.com/v1/namespaces/{namespace}/flowers': {
          post: {
            'x-kubernetes-action': 'post',
            'x-kubernetes-group-version-kind': { group: 'garden.example.com', version: 'v1', kind: 'Flower' },
          },
        },
      },
      components: { schemas: { 'com.example.garden.v1.Flower': schema } },
    },
  }
  return createServer({ cert: certificatePem, key: privateKeyPem }, (message, response) => {
    users.add(String(message.headers['x-remote-user']))
    const { pathname, searchParams } = new URL(message.url!, 'https://garden')
    const send = (code: number, body: object): void => {
      response.writeHead(code, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    const document = documents[pathname]
    if (document !== undefined) return send(200, document)
    const [, namespace, name] = /^\/apis\/garden\.example\.com\/v1(?:\/namespaces\/([^/]+))?\/flowers(?:\/(.+))?$/.exec(pathname) ?? []
    const status = (code: number, reason: string, text: string): void =>
      send(code, { kind: 'Status', apiVersion: 'v1', status: code < 400 ? 'Success' : 'Failure', message: text, reason, code })
    const wanted = [...objects.values()].filter(
      ({ metadata }) =>
        (namespace === undefined || metadata.namespace === namespace) &&
        (searchParams.get('labelSelector') ?? '')
          .split(',')
          .every((term) => term === '' || metadata.labels?.[term.split('=')[0]!] === term.split('=')[1]),
    )
    const key = `${namespace}/${name}`
    const found = objects.get(key)
    if (name !== undefined && found === undefined) return status(404, 'NotFound', `flowers.garden.example.com "${name}" not found`)
    if (message.method === 'GET') {
      return send(
        200,
        name === undefined ? { kind: 'FlowerList', apiVersion: 'garden.example.com/v1', metadata: {}, items: wanted } : found!,
      )
    }
    if (message.method === 'DELETE') {
      for (const { metadata } of name === undefined ? wanted : [found!]) objects.delete(`${metadata.namespace}/${metadata.name}`)
      return status(200, '', '')
    }
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const object = JSON.parse(Buffer.concat(chunks).toString()) as Stored
      object.metadata = {
        ...object.metadata,
        ...(namespace === undefined ? {} : { namespace }),
        creationTimestamp: '2026-01-01T00:00:00Z',
        uid: '1',
      }
      objects.set(`${namespace}/${object.metadata.name}`, object)
      send(201, object)
    })
  })
}

describe('an aggregated API server', () => {
  let cluster: ClientCluster
  let server: Server
  let manifests: string
  const users = new Set<string>()
  beforeAll(async () => {
    const nowMs = clock.now()
    const ca = createCa({ commonName: 'garden-ca', days: 1, nowMs })
    server = extensionServer(
      issueCertificate({ ca, commonName: 'garden', dnsNames: ['api.garden.svc'], usages: ['server'], days: 1, nowMs }),
      users,
    )
    cluster = await startClientCluster()
    await new Promise<void>((resolve) => server.listen(0, resolve))
    const address = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)!.address
    const service = { namespace: 'garden', name: 'api', port: 443 }
    const caBundle = Buffer.from(ca.certificatePem).toString('base64')
    const registration = (group: string, version: string): object => ({
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `${version}.${group}` },
      spec: { group, version, groupPriorityMinimum: 2_000, versionPriority: 200, service, caBundle },
    })
    manifests = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'garden' } },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'api', namespace: 'garden' },
        spec: { ports: [{ port: 443, targetPort: 8443 }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'api-1', namespace: 'garden', labels: { 'kubernetes.io/service-name': 'api' } },
        addressType: 'IPv4',
        ports: [{ name: '', port: (server.address() as AddressInfo).port }],
        endpoints: [{ addresses: [address] }],
      },
      registration('garden.example.com', 'v1'),
      registration('metrics.k8s.io', 'v1beta1'),
    ]
      .map((manifest) => JSON.stringify(manifest))
      .join('\n---\n')
  })
  afterAll(async () => {
    server?.closeAllConnections()
    server?.close()
    await cluster?.stop()
  })

  // covers: [sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [LinuxOnly] [Conformance]
  test('is registered, becomes available, and serves its kinds through ours', async () => {
    const { kubectl } = cluster
    await kubectl.runWith(manifests, 'apply', '-f', '-')
    await kubectl.run(
      'wait',
      '--for=condition=Available',
      '--timeout=60s',
      'apiservice/v1.garden.example.com',
      'apiservice/v1beta1.metrics.k8s.io',
    )
    const rows = tableOf(await kubectl.run('get', 'apiservices'))
    expect(rows[0]).toEqual(['NAME', 'SERVICE', 'AVAILABLE', 'AGE'])
    expect(rows.find(([name]) => name === 'v1.garden.example.com')?.slice(1, 3)).toEqual(['garden/api', 'True'])
    expect(rows.find(([name]) => name === 'v1.apps')?.slice(1, 3)).toEqual(['Local', 'True'])

    const flower = {
      apiVersion: 'garden.example.com/v1',
      kind: 'Flower',
      metadata: { name: 'rose', labels: { kind: 'thorny' } },
      spec: { colour: 'red' },
    }
    await kubectl.runWith(JSON.stringify(flower), 'create', '-f', '-')
    expect(JSON.parse(await kubectl.run('get', 'flower', 'rose', '-o', 'json'))).toMatchObject({
      metadata: { namespace: 'default' },
      spec: { colour: 'red' },
    })
    await kubectl.runWith(JSON.stringify({ ...flower, metadata: { name: 'tulip' } }), 'create', '-f', '-')
    expect(await kubectl.run('get', 'fl', '-o', 'name')).toBe('flower.garden.example.com/rose\nflower.garden.example.com/tulip\n')
    expect(await kubectl.refused('get', 'flower', 'lily')).toBe(
      'Error from server (NotFound): flowers.garden.example.com "lily" not found\n',
    )
    expect(await kubectl.run('explain', 'flower.spec.colour')).toContain('Its colour.')
    await kubectl.run('delete', 'flowers', '-l', 'kind=thorny')
    expect(await kubectl.run('get', 'flowers', '-o', 'name')).toBe('flower.garden.example.com/tulip\n')
    expect(users).toContain('kubernetes-admin')

    await kubectl.run('patch', 'apiservice', 'v1.garden.example.com', '--type=merge', '-p', '{"spec":{"versionPriority":400}}')
    expect(await kubectl.run('get', 'apiservice', 'v1.garden.example.com', '-o', 'jsonpath={.spec.versionPriority}')).toBe('400')
  })

  test.each(kubectls)('is found by kubectl %s', async (_, client) => {
    const resources = await client(cluster).run('api-resources', '--api-group=garden.example.com')
    expect(tableOf(resources)[1]).toEqual(['flowers', 'fl', 'garden.example.com/v1', 'true', 'Flower'])
  })

  test('may be one that measures: kubectl top shows what it says', async () => {
    expect(tableOf(await cluster.kubectl.run('top', 'nodes')).map((row) => row.slice(0, 2))).toEqual([
      ['NAME', 'CPU(cores)'],
      ['node-0', '500m'],
      ['node-1', '500m'],
    ])
  })

  test('is asked with the rights of the user alone', async () => {
    const { kubectl } = cluster
    expect(await kubectl.refused('get', 'flowers', '--as=jane')).toContain(
      'flowers.garden.example.com is forbidden: User "jane" cannot list resource "flowers" in API group "garden.example.com"',
    )
    await kubectl.run('create', 'role', 'gardener', '--verb=list', '--resource=flowers.garden.example.com')
    await kubectl.run('create', 'rolebinding', 'gardener', '--role=gardener', '--user=jane')
    await kubectl.run('get', 'flowers', '--as=jane')
    expect(users).toContain('jane')
  })

  test('is emptied with a namespace, which waits for it', async () => {
    const { kubectl } = cluster
    await kubectl.run('create', 'namespace', 'bed')
    const flower = { apiVersion: 'garden.example.com/v1', kind: 'Flower', metadata: { name: 'rose', namespace: 'bed' } }
    await kubectl.runWith(JSON.stringify(flower), 'create', '-f', '-')
    await kubectl.run('delete', 'namespace', 'bed', '--timeout=60s')
    expect(await kubectl.run('get', 'flowers', '-A', '-o', 'name')).not.toContain('rose')
  })

  test('is told to be unavailable when it does not answer, and ours goes on', async () => {
    const { kubectl } = cluster
    await kubectl.run('delete', 'endpointslice', '-n', 'garden', 'api-1')
    await kubectl.run('wait', '--for=condition=Available=false', '--timeout=60s', 'apiservice/v1.garden.example.com')
    expect(tableOf(await kubectl.run('get', 'apiservice', 'v1.garden.example.com'))[1]?.slice(1, 3)).toEqual([
      'garden/api',
      'False (EndpointsNotFound)',
    ])
    expect(await kubectl.refused('get', 'flowers')).toContain('the server is currently unable to handle the request')
    await kubectl.run('get', 'pods')
    await kubectl.run('create', 'namespace', 'waits')
    await kubectl.run('delete', 'namespace', 'waits', '--wait=false')
    await kubectl.run('wait', '--for=condition=NamespaceDeletionDiscoveryFailure', '--timeout=60s', 'namespace/waits')
    expect(await kubectl.run('get', 'namespace', 'waits', '-o', 'jsonpath={.status.conditions[0].message}')).toContain(
      'unable to retrieve the complete list of server APIs: garden.example.com/v1: the server is currently unable to handle the request',
    )
    await kubectl.run('delete', 'apiservice', 'v1.garden.example.com', 'v1beta1.metrics.k8s.io')
    expect(await kubectl.refused('get', 'flowers')).toContain('the server could not find the requested resource')
    await kubectl.run('wait', '--for=delete', '--timeout=60s', 'namespace/waits')
  })
})
