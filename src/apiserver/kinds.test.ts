// What concerns single kinds: events that expire, kinds that are stored as another, protobuf.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

const configMaps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, data: Record<string, string> = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
})
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('events', () => {
  test('are forgotten an hour after they were last seen', async () => {
    const events = '/api/v1/namespaces/default/events'
    const event = (name: string): object => ({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
      lastTimestamp: new Date(api.clock.now()).toISOString().replace('.000', ''),
      reason: 'Tested',
      type: 'Normal',
    })
    await api.ok('POST', events, { body: event('old') })
    await api.clock.advance(40 * 60_000)
    await api.ok('POST', events, { body: event('new') })
    await api.clock.advance(30 * 60_000)
    await turn()
    const names = (await api.ok('GET', events)).json.items.map((e: { metadata: { name: string } }) => e.metadata.name)
    expect(names).toEqual(['new'])
  })
})

describe('kinds that are stored as another', () => {
  const hpas = (version: string): string => `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`

  test('are one object in two versions', async () => {
    const spec = {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      maxReplicas: 5,
      targetCPUUtilizationPercentage: 60,
    }
    const body = { apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web' }, spec }
    const created = (await api.ok('POST', hpas('v1'), { body })).json
    expect([created.apiVersion, created.spec.targetCPUUtilizationPercentage]).toEqual(['autoscaling/v1', 60])
    const v2 = (await api.ok('GET', `${hpas('v2')}/web`)).json
    expect([v2.apiVersion, v2.spec.metrics[0].resource.target]).toEqual(['autoscaling/v2', { type: 'Utilization', averageUtilization: 60 }])
    const stream = await api.watch(`${hpas('v1')}?watch=true`)
    await api.ok('PATCH', `${hpas('v2')}/web`, {
      body: { spec: { maxReplicas: 7 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    await turn()
    expect(stream.events.map((event) => [event.type, event.object.apiVersion, event.object.spec.maxReplicas])).toEqual([
      ['ADDED', 'autoscaling/v1', 5],
      ['MODIFIED', 'autoscaling/v1', 7],
    ])
    stream.stop()
    const list = (await api.ok('GET', hpas('v1'))).json
    expect([list.apiVersion, list.items[0].spec.targetCPUUtilizationPercentage]).toEqual(['autoscaling/v1', 60])
  })

  test('keep the rules of each version, and select by its fields', async () => {
    const events = '/apis/events.k8s.io/v1/namespaces/default/events'
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'e' },
      regarding: { kind: 'Pod', namespace: 'default', name: 'p' },
      reason: 'Tested',
      type: 'Normal',
      action: 'Test',
      reportingController: 'test.example.com/x',
      reportingInstance: 'x-1',
      note: 'hello',
    }
    const missing = await api.call('POST', events, { body: event })
    expect([missing.status, missing.json.message]).toEqual([422, 'Event.events.k8s.io "e" is invalid: eventTime: Required value'])
    await api.ok('POST', events, { body: { ...event, eventTime: '2026-01-01T00:00:00.000000Z' } })
    const core = (await api.ok('GET', '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp')).json
    expect([core.items.length, core.items[0].message]).toEqual([1, 'hello'])
    expect((await api.ok('GET', `${events}?fieldSelector=regarding.name%3Dp`)).json.items.length).toBe(1)
    expect((await api.ok('GET', `${events}?fieldSelector=regarding.name%3Dq`)).json.items.length).toBe(0)
  })
})

test('component statuses are computed, listed and printed', async () => {
  const path = '/api/v1/componentstatuses'
  const { json, warnings } = await api.ok('GET', path)
  expect(json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual([
    'controller-manager',
    'etcd-0',
    'scheduler',
  ])
  expect(warnings).toEqual(['v1 ComponentStatus is deprecated in v1.19+'])
  const table = await api.ok('GET', path, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
  expect(table.json.rows[1].cells[0]).toBe('etcd-0')
  expect((await api.ok('GET', `${path}/etcd-0`)).json.conditions).toEqual([{ type: 'Healthy', status: 'True', message: 'ok' }])
  expect((await api.call('GET', `${path}/none`)).status).toBe(404)
  const selected = async (query: string): Promise<number> => (await api.ok('GET', `${path}?${query}`)).json.items.length
  expect([await selected('labelSelector=a%3Db'), await selected('labelSelector=!a')]).toEqual([0, 3])
  expect(await selected('fieldSelector=metadata.name%3Dscheduler')).toBe(1)
})

describe('protobuf', () => {
  const accept = 'application/vnd.kubernetes.protobuf'

  test('comes in and goes out as JSON does', async () => {
    const { encodeObject, decodeObject } = await import('#api/protobuf/envelope')
    const { ConfigMap } = await import('#api/kinds/core/config-map')
    const body = Buffer.from(encodeObject(ConfigMap.schema(), configMap('one', { a: '1' })))
    const created = await api.ok('POST', configMaps, { body, headers: { 'content-type': accept, accept } })
    expect(created.headers['content-type']).toBe(accept)
    const { kind, object } = decodeObject(created.bytes)
    const json = (await api.ok('GET', `${configMaps}/one`)).json
    expect([kind, object['metadata'], object['data']]).toEqual(['ConfigMap', json.metadata, { a: '1' }])
    const list = decodeObject((await api.ok('GET', configMaps, { headers: { accept } })).bytes)
    expect([list.kind, (list.object['items'] as unknown[]).length]).toEqual(['ConfigMapList', 1])
    const wrong = await api.call('POST', '/api/v1/namespaces/default/secrets', { body, headers: { 'content-type': accept } })
    expect([wrong.status, wrong.json.message]).toEqual([
      400,
      'ConfigMap in version "v1" cannot be handled as a Secret: converting (v1.ConfigMap) to (core.Secret): unknown conversion',
    ])
    const broken = await api.call('POST', configMaps, { body: Buffer.from('k8s'), headers: { 'content-type': accept } })
    expect([broken.status, broken.json.reason]).toEqual([400, 'BadRequest'])
  })
})

// As Kubernetes' strategies say: whoever writes these over must have read them.
test.each([
  ['admissionregistration.k8s.io/v1', 'validatingwebhookconfigurations', 'ValidatingWebhookConfiguration', { webhooks: [] }],
  ['admissionregistration.k8s.io/v1', 'mutatingwebhookconfigurations', 'MutatingWebhookConfiguration', { webhooks: [] }],
  [
    'apiregistration.k8s.io/v1',
    'apiservices',
    'APIService',
    { spec: { group: 'a.example.com', version: 'v1', groupPriorityMinimum: 10, versionPriority: 10 } },
  ],
])('%s %s are replaced by their version only', async (apiVersion, resource, kind, rest) => {
  const name = 'v1.a.example.com'
  const path = `/apis/${apiVersion}/${resource}`
  const body = { apiVersion, kind, metadata: { name }, ...rest }
  await api.ok('POST', path, { body })
  const { status, json } = await api.call('PUT', `${path}/${name}`, { body })
  const group = apiVersion.split('/')[0]
  expect([status, json.message]).toEqual([
    422,
    `${resource}.${group} "${name}" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update`,
  ])
  await api.ok('PUT', `${path}/${name}`, { body: (await api.ok('GET', `${path}/${name}`)).json })
})
