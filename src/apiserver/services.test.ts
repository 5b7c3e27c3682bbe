import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openMemoryStore } from '#storage/memory/memory-store'
import { openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore({ serviceCidrs: ['10.96.0.0/24'], nodePortRange: { from: 30000, to: 30019 } })
})

afterEach(async () => {
  await api.close()
})

const services = '/api/v1/namespaces/default/services'
const service = (name: string, spec: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
})

describe('every cluster has', () => {
  test('the kubernetes service with the first address, its endpoints and its namespaces', async () => {
    const { json } = await api.ok('GET', `${services}/kubernetes`)
    expect(json.spec).toEqual({
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1'],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
    })
    const slice = (await api.ok('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes')).json
    expect(slice.endpoints).toEqual([{ addresses: ['192.0.2.1'], conditions: { ready: true } }])
    const namespaces = (await api.ok('GET', '/api/v1/namespaces')).json.items.map((n: { metadata: { name: string } }) => n.metadata.name)
    expect(namespaces).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system'])
    const classes = (await api.ok('GET', '/apis/scheduling.k8s.io/v1/priorityclasses')).json.items
    expect(classes.map((c: { value: number }) => c.value)).toEqual([2_000_000_000, 2_000_001_000])
  })

  test('the same objects after a restart, changed only where the address is another', async () => {
    const store = openMemoryStore()
    const first = await openTestCore({ store })
    const before = await store.currentRevision()
    await first.core.close()
    const again = await openTestCore({ store })
    expect(await store.currentRevision()).toBe(before)
    await again.core.close()
    const moved = await openTestCore({ store, advertise: { address: '192.0.2.9', port: 6443 } })
    const slice = (await moved.ok('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes')).json
    expect(slice.endpoints[0].addresses).toEqual(['192.0.2.9'])
    await moved.close()
  })
})

describe('cluster IPs', () => {
  test('are given from the range, recorded as IPAddress objects, and given back', async () => {
    const { json } = await api.ok('POST', services, { body: service('web') })
    const ip = json.spec.clusterIP
    expect(ip).toMatch(/^10\.96\.0\.\d+$/)
    const address = (await api.ok('GET', `/apis/networking.k8s.io/v1/ipaddresses/${ip}`)).json
    expect(address.spec.parentRef).toEqual({ group: '', resource: 'services', namespace: 'default', name: 'web' })
    await api.ok('DELETE', `${services}/web`)
    expect((await api.call('GET', `/apis/networking.k8s.io/v1/ipaddresses/${ip}`)).status).toBe(404)
  })

  test.each(['10.96.0.30', '10.97.0.30'])(
    'once given are not exchanged for another (%s): nothing is taken, and validation says so',
    async (ip) => {
      const { json } = await api.ok('POST', services, { body: service('web') })
      const spec = { ...json.spec, clusterIP: ip, clusterIPs: [ip] }
      const answer = await api.call('PUT', `${services}/web`, { body: { ...json, spec } })
      expect([answer.status, answer.json.message]).toEqual([
        422,
        `Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["${ip}"]: may not change once set`,
      ])
      expect((await api.call('GET', `/apis/networking.k8s.io/v1/ipaddresses/${ip}`)).status).toBe(404)
    },
  )

  test('that are asked for are given if they are free and in the range', async () => {
    expect((await api.ok('POST', services, { body: service('a', { clusterIP: '10.96.0.20' }) })).json.spec.clusterIPs).toEqual([
      '10.96.0.20',
    ])
    const taken = await api.call('POST', services, { body: service('b', { clusterIP: '10.96.0.20' }) })
    expect([taken.status, taken.json.message]).toEqual([
      422,
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.20"]: failed to allocate IP 10.96.0.20: provided IP is already allocated',
    ])
    const outside = await api.call('POST', services, { body: service('b', { clusterIP: '10.97.0.20' }) })
    expect(outside.json.message).toBe(
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.97.0.20"]: failed to allocate IP 10.97.0.20: the provided IP (10.97.0.20) is not in the valid range. The range of valid IPs is 10.96.0.0/24',
    )
  })

  test('MUSTHOLD 24: are never given twice, not by two servers over one store either', async () => {
    const other = await openTestCore({ store: api.store, serviceCidrs: ['10.96.0.0/24'], nodePortRange: { from: 30000, to: 30019 } })
    const created = await Promise.all(
      Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? api : other).ok('POST', services, { body: service(`s${i}`) })),
    )
    const ips = created.map(({ json }) => json.spec.clusterIP)
    expect(new Set(ips).size).toBe(60)
    const asked = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        (i % 2 === 0 ? api : other).call('POST', services, { body: service(`x${i}`, { clusterIP: '10.96.0.2' }) }),
      ),
    )
    expect(asked.filter(({ status }) => status === 201).length).toBeLessThanOrEqual(1)
    await other.core.close()
  })

  test('run out with a clear word', async () => {
    const small = await openTestCore({ serviceCidrs: ['10.96.0.0/29'] })
    for (let i = 0; i < 5; i++) await small.ok('POST', services, { body: service(`s${i}`) })
    const { status, json } = await small.call('POST', services, { body: service('last') })
    expect([status, json.message]).toEqual([500, 'Internal error occurred: failed to allocate a serviceIP: range is full'])
    await small.close()
  })

  test('are none for headless and external services', async () => {
    const headless = (await api.ok('POST', services, { body: service('h', { clusterIP: 'None' }) })).json.spec
    expect([headless.clusterIP, headless.clusterIPs, headless.ipFamilies]).toEqual(['None', ['None'], ['IPv4']])
    const external = (await api.ok('POST', services, { body: service('e', { type: 'ExternalName', externalName: 'x.example.com' }) })).json
      .spec
    expect(external.clusterIP).toBeUndefined()
  })

  test('stay what they are through updates, and are not taken by dry runs', async () => {
    const { json } = await api.ok('POST', services, { body: service('web') })
    const updated = await api.ok('PUT', `${services}/web`, { body: service('web', { selector: { app: 'other' } }) })
    expect(updated.json.spec.clusterIP).toBe(json.spec.clusterIP)
    const before = await api.store.currentRevision()
    await api.ok('POST', `${services}?dryRun=All`, { body: service('dry') })
    expect(await api.store.currentRevision()).toBe(before)
  })
})

describe('node ports', () => {
  const nodePort = (name: string, port?: number): object =>
    service(name, { type: 'NodePort', ports: [{ port: 80, ...(port === undefined ? {} : { nodePort: port }) }] })

  test('are given from the range, one to each, until it is empty, and come back', async () => {
    const ports = new Set<number>()
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const { json } = await api.ok('POST', services, { body: nodePort(`n${i}`) })
        ports.add(json.spec.ports[0].nodePort)
      }),
    )
    expect([ports.size, Math.min(...ports), Math.max(...ports)]).toEqual([20, 30000, 30019])
    const full = await api.call('POST', services, { body: nodePort('more') })
    expect(full.json.message).toBe('Internal error occurred: failed to allocate a nodePort: range is full')
    await api.ok('DELETE', `${services}/n3`)
    await api.ok('POST', services, { body: nodePort('more') })
  })

  test('that are asked for are given if they are free and in the range', async () => {
    expect((await api.ok('POST', services, { body: nodePort('a', 30007) })).json.spec.ports[0].nodePort).toBe(30007)
    const taken = await api.call('POST', services, { body: nodePort('b', 30007) })
    expect(taken.json.message).toBe(
      'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated',
    )
    const outside = await api.call('POST', services, { body: nodePort('b', 80) })
    expect(outside.json.message).toBe(
      'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30019',
    )
  })

  test('go when the type does, and an address that failed validation takes none along', async () => {
    await api.ok('POST', services, { body: nodePort('a', 30007) })
    const back = (
      await api.ok('PATCH', `${services}/a`, {
        body: { spec: { type: 'ClusterIP' } },
        headers: { 'content-type': 'application/merge-patch+json' },
      })
    ).json
    expect(back.spec.ports[0].nodePort).toBeUndefined()
    const invalid = await api.call('POST', services, { body: service('b', { type: 'NodePort', ports: [{ port: 0, nodePort: 30007 }] }) })
    expect(invalid.status).toBe(422)
    await api.ok('POST', services, { body: nodePort('c', 30007) })
  })

  test('MUSTHOLD 24: are never given twice by two servers over one store', async () => {
    const other = await openTestCore({ store: api.store, serviceCidrs: ['10.96.0.0/24'], nodePortRange: { from: 30000, to: 30019 } })
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? api : other).call('POST', services, { body: nodePort(`n${i}`) })),
    )
    const ports = answers.filter(({ status }) => status === 201).map(({ json }) => json.spec.ports[0].nodePort)
    expect(new Set(ports).size).toBe(ports.length)
    expect(ports.length).toBe(20)
    await other.core.close()
  })
})
