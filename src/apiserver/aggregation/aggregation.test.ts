// Aggregated API servers against a plain HTTPS server: what is checked, what it is told, what its answers become.
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { allKinds } from '#api/kinds/all'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { KubeObject, Manifest } from '#api/object'
import { systemClock } from '#base/clock'
import type { Client } from '#client/client'
import { createMetrics } from '#platform/metrics'
import { type CertifiedKey, createCa, issueCertificate } from '#platform/x509'
import { createDiscovery } from '../discovery/discovery.ts'
import { type FakeReader, fakeReader } from '../fake-reader.testing.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import { createKindCatalog } from '../kind-catalog.ts'
import type { ApiReply, ApiRequest, BodySink } from '../request.ts'
import { createAddressGuard } from '../streaming/address-guard.ts'
import { type Aggregator, createAggregator } from './aggregator.ts'
import { checkObjects } from './availability.ts'
import { automanagedLabel, localApiServices, registerLocalServices } from './local-services.ts'
import { userHeaders } from './remote.ts'
import { resourcesOf } from './remote-documents.ts'

const nowMs = systemClock.now()
let serverCa: CertifiedKey
let proxyCa: CertifiedKey
let serving: CertifiedKey
let proxyClient: CertifiedKey
beforeAll(() => {
  serverCa = createCa({ commonName: 'extension', days: 1, nowMs })
  proxyCa = createCa({ commonName: 'front-proxy-ca', days: 1, nowMs })
  serving = issueCertificate({ ca: serverCa, commonName: 'flora', dnsNames: ['flora.garden.svc'], usages: ['server'], days: 1, nowMs })
  proxyClient = issueCertificate({ ca: proxyCa, commonName: 'front-proxy-client', usages: ['client'], days: 1, nowMs })
})

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

interface Asked {
  url: string
  host: string | undefined
  client: string | undefined
  headers: string[]
}

const resources = [
  { name: 'flowers', singularName: 'flower', namespaced: true, kind: 'Flower', verbs: ['get', 'list'], shortNames: ['fl'] },
  { name: 'flowers/status', singularName: '', namespaced: true, kind: 'Flower', verbs: ['get'] },
]

/** A server of garden.example.com/v1; `answers` says more paths. */
async function extension(answers: Record<string, [status: number, headers: Record<string, string>, body: string]> = {}) {
  const asked: Asked[] = []
  const server: Server = createServer(
    { cert: serving.certificatePem, key: serving.privateKeyPem, ca: proxyCa.certificatePem, requestCert: true, rejectUnauthorized: false },
    (message, response) => {
      const client = (message.socket as TLSSocket).authorized
        ? `${(message.socket as TLSSocket).getPeerCertificate().subject.CN}`
        : undefined
      const named = message.rawHeaders.flatMap((value, i) => (i % 2 === 0 ? [`${value.toLowerCase()}: ${message.rawHeaders[i + 1]}`] : []))
      asked.push({ url: message.url!, host: message.headers.host, client, headers: named })
      const [status, headers, body] =
        answers[message.url!] ??
        ((message.url === '/apis/garden.example.com/v1'
          ? [200, { 'content-type': 'application/json' }, JSON.stringify({ kind: 'APIResourceList', resources })]
          : message.url === '/openapi/v3'
            ? [
                200,
                {},
                JSON.stringify({
                  paths: { 'apis/garden.example.com/v1': { serverRelativeURL: '/openapi/v3/apis/garden.example.com/v1?hash=1' } },
                }),
              ]
            : [404, {}, 'no such thing']) as [number, Record<string, string>, string])
      response.writeHead(status, headers)
      response.end(body)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { asked, port: (server.address() as AddressInfo).port }
}

const apiService = (more: Partial<APIService['spec']> = {}): Manifest<APIService> => ({
  metadata: { name: 'v1.garden.example.com' },
  spec: {
    group: 'garden.example.com',
    version: 'v1',
    groupPriorityMinimum: 2_000,
    versionPriority: 15,
    service: { namespace: 'garden', name: 'flora', port: 443 },
    caBundle: Buffer.from(serverCa.certificatePem).toString('base64'),
    ...more,
  },
  status: {},
})

function putService(reader: FakeReader, port: number): void {
  reader.put(Service, {
    metadata: { namespace: 'garden', name: 'flora' },
    spec: { type: 'ClusterIP', ports: [{ name: 'https', port: 443 }] },
  })
  reader.put(EndpointSlice, {
    metadata: { namespace: 'garden', name: 'flora-1', labels: { 'kubernetes.io/service-name': 'flora' }, resourceVersion: `${port}` },
    addressType: 'IPv4',
    ports: [{ name: 'https', port }],
    endpoints: [{ addresses: ['127.0.0.1'] }],
  })
}

async function settled(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await systemClock.sleep(10)
  expect(condition()).toBe(true)
}

/** An aggregator that is looked after, over the reader. Conditions are written to the reader. */
function aggregatorOver(reader: FakeReader, metrics = createMetrics()): Aggregator {
  const stop = new AbortController()
  closing.push(() => stop.abort())
  const aggregator = createAggregator({
    metrics,
    reader,
    clock: systemClock,
    random: () => 0,
    guard: createAddressGuard({ address: '127.0.0.1', port: 1, serviceCidrs: [] }),
    proxyClient: { cert: proxyClient.certificatePem, key: proxyClient.privateKeyPem },
  })
  const client = { updateStatus: async (kind: never, object: never) => reader.put(kind, object) } as unknown as Client
  void aggregator.run({ client, onError: (error) => expect.unreachable(String(error)), signal: stop.signal })
  return aggregator
}

const conditionOf = (reader: FakeReader) => reader.get(APIService, '', 'v1.garden.example.com')?.status.conditions?.[0]

async function bodyOf({ body }: ApiReply): Promise<string> {
  if (typeof body !== 'function') return `${body}`
  const chunks: Uint8Array[] = []
  const sink: BodySink = { write: (chunk) => chunks.push(chunk) > 0, drained: async () => undefined, flush: () => undefined }
  await body(sink, new AbortController().signal)
  return Buffer.concat(chunks).toString()
}

const asJane = (target: string, headers: Record<string, string> = {}): ApiRequest =>
  fakeRequest(target, { headers, user: { name: 'jane', uid: '7', groups: ['dev', 'ops'], extra: { 'example.com/Scope': ['a', 'b'] } } })

describe('the server behind an APIService', () => {
  test('is asked for its version, and then shown in discovery and OpenAPI', async () => {
    const server = await extension()
    const reader = fakeReader()
    reader.put(APIService, apiService())
    putService(reader, server.port)
    const aggregator = aggregatorOver(reader)
    await settled(() => aggregator.all()[0]?.openApi !== undefined)
    expect(conditionOf(reader)).toMatchObject({ type: 'Available', status: 'True', reason: 'Passed', message: 'all checks passed' })
    expect(server.asked[0]).toMatchObject({ url: '/apis/garden.example.com/v1', host: 'flora.garden.svc', client: 'front-proxy-client' })
    expect(server.asked[0]?.headers).toEqual(
      expect.arrayContaining(['x-remote-user: system:kube-aggregator', 'x-remote-group: system:masters']),
    )
    expect(aggregator.all()).toEqual([
      {
        group: 'garden.example.com',
        groupPriorityMinimum: 2_000,
        versionPriority: 15,
        discovery: { version: 'v1', resources: resourcesOf('garden.example.com', 'v1', resources), freshness: 'Current' },
        openApi: '/openapi/v3/apis/garden.example.com/v1?hash=1',
      },
    ])
    const discovery = createDiscovery({ catalog: createKindCatalog(allKinds), serverAddress: 'a:1', remotes: aggregator })
    const { groups } = JSON.parse(await bodyOf((await discovery.answer(fakeRequest('/apis')))!)) as { groups: { name: string }[] }
    expect(groups.map(({ name }) => name).slice(0, 3)).toEqual(['apiregistration.k8s.io', 'apps', 'events.k8s.io'])
    expect(groups.at(-1)).toEqual({
      name: 'garden.example.com',
      versions: [{ groupVersion: 'garden.example.com/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'garden.example.com/v1', version: 'v1' },
    })
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const list = JSON.parse(await bodyOf((await discovery.answer(fakeRequest('/apis', { headers: { accept } })))!))
    expect(list.items.at(-1)).toMatchObject({
      metadata: { name: 'garden.example.com' },
      versions: [{ version: 'v1', freshness: 'Current', resources: [{ resource: 'flowers', shortNames: ['fl'], scope: 'Namespaced' }] }],
    })
  })

  test('tells its OpenAPI of version 2, of which its own paths are shown', async () => {
    const document = {
      paths: {
        '/apis/garden.example.com/v1/flowers': { get: { responses: { 200: { schema: { $ref: '#/definitions/Flower' } } } } },
        '/apis/garden.example.com/v2/flowers': { get: { responses: { 200: { schema: { $ref: '#/definitions/Other' } } } } },
      },
      definitions: { Flower: { type: 'object' }, Other: { type: 'object' } },
    }
    const server = await extension({ '/openapi/v2': [200, { etag: '"7"' }, JSON.stringify(document)], '/openapi/v3': [404, {}, ''] })
    const reader = fakeReader()
    reader.put(APIService, apiService())
    putService(reader, server.port)
    const aggregator = aggregatorOver(reader)
    await settled(() => aggregator.all()[0]?.openApiV2 !== undefined)
    const { etag, read } = aggregator.all()[0]!.openApiV2!
    expect(etag).toBe('"7"')
    expect(await read()).toEqual({
      paths: { '/apis/garden.example.com/v1/flowers': document.paths['/apis/garden.example.com/v1/flowers'] },
      definitions: { Flower: { type: 'object' } },
    })
    const asked = server.asked.find(({ url }) => url === '/openapi/v2')!
    expect(asked.headers).toContain('x-remote-user: system:aggregator')
    // There is no version 3 to pass on: it is made here.
    expect(aggregator.answer(asJane('/openapi/v3/apis/garden.example.com/v1'))).toBeUndefined()
  })

  test('MUSTHOLD 6: is told by certificate and headers who asks; what the client says of that, and its token, stay here', async () => {
    const path = '/apis/garden.example.com/v1/namespaces/a/flowers?watch=false&labelSelector=a%3Db'
    const server = await extension({ [path]: [200, { 'content-type': 'application/json' }, '{"items":[]}'] })
    const reader = fakeReader()
    reader.put(APIService, apiService())
    putService(reader, server.port)
    const aggregator = aggregatorOver(reader)
    await settled(() => conditionOf(reader)?.status === 'True')
    const reply = (await aggregator.answer(
      asJane(path, {
        authorization: 'Bearer secret',
        'x-remote-user': 'root',
        'x-remote-group': 'system:masters',
        'x-remote-extra-a': 'b',
        accept: 'application/json',
      }),
    ))!
    expect([reply.status, await bodyOf(reply)]).toEqual([200, '{"items":[]}'])
    const { headers, client, host } = server.asked.find(({ url }) => url === path)!
    expect({ client, host }).toEqual({ client: 'front-proxy-client', host: 'flora.garden.svc' })
    expect(headers.filter((header) => header.startsWith('x-remote-') || header.startsWith('auth')).sort()).toEqual([
      'x-remote-extra-example.com%2fscope: a',
      'x-remote-extra-example.com%2fscope: b',
      'x-remote-group: dev',
      'x-remote-group: ops',
      'x-remote-uid: 7',
      'x-remote-user: jane',
    ])
  })

  test('MUSTHOLD 4: must prove by certificate that it is that service, unless the APIService waives that', async () => {
    const server = await extension({ '/apis/garden.example.com/v1/x': [200, {}, 'fine'] })
    const reader = fakeReader()
    putService(reader, server.port)
    reader.put(APIService, apiService({ caBundle: Buffer.from(proxyCa.certificatePem).toString('base64') }))
    const aggregator = aggregatorOver(reader)
    await settled(() => conditionOf(reader)?.status === 'True')
    const refused = (await aggregator.answer(asJane('/apis/garden.example.com/v1/x')))!
    expect(refused.status).toBe(503)
    expect(await bodyOf(refused)).toMatch(/^error trying to reach service: .*certificate/)
    const { caBundle: _, ...waived } = apiService().spec!
    reader.put(APIService, { ...apiService(), spec: { ...waived, insecureSkipTLSVerify: true } as APIService['spec'] })
    await settled(() => conditionOf(reader)?.status === 'True')
    const taken = (await aggregator.answer(asJane('/apis/garden.example.com/v1/x')))!
    expect([taken.status, await bodyOf(taken)]).toEqual([200, 'fine'])
  })

  test('MUSTHOLD 2: its redirects are neither followed nor passed on', async () => {
    const server = await extension({ '/apis/garden.example.com/v1/x': [302, { location: 'https://192.0.2.1/' }, ''] })
    const reader = fakeReader()
    reader.put(APIService, apiService())
    putService(reader, server.port)
    const aggregator = aggregatorOver(reader)
    await settled(() => conditionOf(reader)?.status === 'True')
    await expect(aggregator.answer(asJane('/apis/garden.example.com/v1/x'))).rejects.toThrow('redirect')
  })

  test('is not asked while it is unavailable, and its resources are stale once it does not answer', async () => {
    const server = await extension()
    const reader = fakeReader()
    reader.put(APIService, apiService())
    const metrics = createMetrics()
    const aggregator = aggregatorOver(reader, metrics)
    await settled(() => conditionOf(reader)?.reason === 'ServiceNotFound')
    expect([...metrics.text()].join('')).toContain('aggregator_unavailable_apiservice{name="v1.garden.example.com"} 1')
    const reply = (await aggregator.answer(asJane('/apis/garden.example.com/v1/flowers')))!
    expect([reply.status, await bodyOf(reply)]).toEqual([503, 'service unavailable\n'])
    expect(server.asked).toEqual([])
    putService(reader, server.port)
    await settled(() => aggregator.all()[0]?.discovery.freshness === 'Current')
    putService(reader, 2)
    await settled(() => aggregator.all()[0]?.discovery.freshness === 'Stale')
    expect(conditionOf(reader)).toMatchObject({ status: 'False', reason: 'FailedDiscoveryCheck' })
    expect(conditionOf(reader)?.message).toMatch(
      /^failing or missing response from https:\/\/127\.0\.0\.1:2\/apis\/garden\.example\.com\/v1: /,
    )
    expect([...metrics.text()].join('')).toContain(
      'aggregator_unavailable_apiservice_total{name="v1.garden.example.com",reason="FailedDiscoveryCheck"} 1',
    )
    expect(aggregator.all()[0]?.discovery.resources).toHaveLength(1)
    reader.remove(APIService, '', 'v1.garden.example.com')
    await settled(() => aggregator.all().length === 0)
    expect(aggregator.answer(asJane('/apis/garden.example.com/v1/flowers'))).toBeUndefined()
  })
})

test('users are named by the bytes of their names', () => {
  const headers = userHeaders({ name: 'jörg 🌷', groups: ['ops'] })
  expect(Buffer.from(headers['x-remote-user'] as string, 'latin1').toString()).toBe('jörg 🌷')
})

describe('availability by what the cluster’s objects say', () => {
  const service = (ports: { name?: string; port: number }[], type = 'ClusterIP') => ({
    metadata: { namespace: 'garden', name: 'flora' },
    spec: { type, ports },
  })
  const slice = (ready: boolean, name = 'https') => ({
    metadata: { namespace: 'garden', name: 'flora-1', labels: { 'kubernetes.io/service-name': 'flora' } },
    addressType: 'IPv4',
    ports: [{ name, port: 8443 }],
    endpoints: [{ addresses: ['192.0.2.7'], conditions: { ready } }],
  })
  const cases: [string, object | undefined, object | undefined, object | undefined][] = [
    ['no service', undefined, undefined, { reason: 'ServiceNotFound', message: 'service/flora in "garden" is not present' }],
    [
      'another port',
      service([{ port: 80 }]),
      undefined,
      { reason: 'ServicePortError', message: 'service/flora in "garden" is not listening on port 443' },
    ],
    [
      'no endpoints',
      service([{ port: 443 }]),
      undefined,
      { reason: 'EndpointsNotFound', message: 'cannot find endpointslices for service/flora in "garden"' },
    ],
    [
      'none ready',
      service([{ name: 'https', port: 443 }]),
      slice(false),
      { reason: 'MissingEndpoints', message: 'endpointslices for service/flora in "garden" have no addresses with port name "https"' },
    ],
    [
      'none of that port',
      service([{ name: 'https', port: 443 }]),
      slice(true, 'other'),
      { reason: 'MissingEndpoints', message: 'endpointslices for service/flora in "garden" have no addresses with port name "https"' },
    ],
    ['one ready', service([{ name: 'https', port: 443 }]), slice(true), undefined],
    ['a name elsewhere', service([], 'ExternalName'), undefined, undefined],
  ]
  test.each(cases)('%s', (_, serviceObject, sliceObject, expected) => {
    const reader = fakeReader()
    if (serviceObject) reader.put(Service, serviceObject as Manifest<Service>)
    if (sliceObject) reader.put(EndpointSlice, sliceObject as Manifest<EndpointSlice>)
    expect(checkObjects(reader, apiService() as APIService)).toEqual(expected && { status: 'False', ...expected })
  })
})

describe('APIServices of this server’s own versions', () => {
  test('one for each version but their own group’s, with Kubernetes’ priorities', () => {
    const wanted = localApiServices(allKinds)
    expect(wanted.has('v1.apiregistration.k8s.io')).toBe(false)
    expect(wanted.get('v1.')).toEqual({
      metadata: { name: 'v1.', labels: { [automanagedLabel]: 'onstart' } },
      spec: { version: 'v1', groupPriorityMinimum: 18_000, versionPriority: 1 },
    })
    expect(wanted.get('v2.autoscaling')?.spec).toEqual({
      group: 'autoscaling',
      version: 'v2',
      groupPriorityMinimum: 17_500,
      versionPriority: 30,
    })
  })

  test('are made, mended and removed; what others made is left alone', async () => {
    const reader = fakeReader()
    const written: string[] = []
    const client = {
      create: async (kind: never, object: KubeObject) => {
        written.push(`create ${object.metadata.name}`)
        reader.put(kind, object as never)
      },
      update: async (_kind: never, object: KubeObject) => void written.push(`update ${object.metadata.name}`),
      delete: async (_kind: never, key: { name: string }) => void written.push(`delete ${key.name}`),
    } as unknown as Client
    const kinds = allKinds.filter(({ group }) => group === 'apps')
    await registerLocalServices(reader, client, kinds, true)
    expect(written.splice(0)).toEqual(['create v1.apps'])
    await registerLocalServices(reader, client, kinds, true)
    expect(written).toEqual([])
    const stored = reader.get(APIService, '', 'v1.apps')!
    reader.put(APIService, { ...stored, spec: { ...stored.spec, versionPriority: 99 } })
    reader.put(APIService, { metadata: { name: 'v1.old', labels: { [automanagedLabel]: 'true' } }, spec: stored.spec })
    reader.put(APIService, { metadata: { name: 'v1.mine' }, spec: stored.spec })
    await registerLocalServices(reader, client, kinds, false)
    expect(written.splice(0)).toEqual(['delete v1.old'])
    await registerLocalServices(reader, client, kinds, true)
    expect(written.splice(0)).toEqual(['update v1.apps', 'delete v1.old'])
    // Defined, but not served yet: the server has just started.
    reader.put(CustomResourceDefinition, {
      metadata: { name: 'bulbs.old' },
      spec: { group: 'old', versions: [{ name: 'v1', served: true }] },
    } as never)
    reader.put(APIService, { metadata: { name: 'v1.old', labels: { [automanagedLabel]: 'true' } }, spec: { ...stored.spec, group: 'old' } })
    await registerLocalServices(reader, client, kinds, false)
    expect(written).toEqual([])
  })
})
