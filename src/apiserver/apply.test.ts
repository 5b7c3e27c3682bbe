import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

const configMaps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const applyType = { 'content-type': 'application/apply-patch+yaml' }

function apply(path: string, manager: string, body: object, extra = ''): Promise<Answer> {
  return api.call('PATCH', `${path}?fieldManager=${manager}${extra}`, { body, headers: applyType })
}

const configMap = (data: object): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one' }, data })
const deployment = (replicas?: number): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    ...(replicas === undefined ? {} : { replicas }),
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'i:1' }] } },
  },
})

describe('apply', () => {
  test('creates what is not there, and owns what it says', async () => {
    const { status, json } = await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }))
    expect(status).toBe(201)
    expect(json.metadata.managedFields).toEqual([
      {
        manager: 'me',
        operation: 'Apply',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:a': {} } },
      },
    ])
    expect(json.data).toEqual({ a: '1' })
  })

  test('again without a change writes nothing', async () => {
    const first = await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }))
    await api.clock.advance(60_000)
    const second = await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }))
    expect([second.status, second.json.metadata.resourceVersion]).toEqual([200, first.json.metadata.resourceVersion])
  })

  test('takes away what it no longer says, and leaves what others own', async () => {
    await apply(`${configMaps}/one`, 'me', configMap({ a: '1', b: '2' }))
    await apply(`${configMaps}/one`, 'you', configMap({ c: '3' }))
    const { json } = await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }))
    expect(json.data).toEqual({ a: '1', c: '3' })
  })

  test('of a field that another manager owns is a conflict, unless it is forced', async () => {
    await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }))
    const { status, json } = await apply(`${configMaps}/one`, 'you', configMap({ a: '2' }))
    expect([status, json.reason, json.message]).toEqual([409, 'Conflict', 'Apply failed with 1 conflict: conflict with "me": .data.a'])
    expect(json.details.causes).toEqual([{ reason: 'FieldManagerConflict', message: 'conflict with "me"', field: '.data.a' }])
    const forced = await apply(`${configMaps}/one`, 'you', configMap({ a: '2' }), '&force=true')
    expect(forced.json.data).toEqual({ a: '2' })
    expect(forced.json.metadata.managedFields.map((entry: { manager: string }) => entry.manager)).toEqual(['you'])
  })

  test('needs a field manager', async () => {
    const { status, json } = await api.call('PATCH', `${configMaps}/one`, { body: configMap({}), headers: applyType })
    expect([status, json.message]).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ])
  })

  test('in a dry run shows the outcome and writes nothing', async () => {
    const before = await api.store.currentRevision()
    const { status, json } = await apply(`${configMaps}/one`, 'me', configMap({ a: '1' }), '&dryRun=All')
    expect([status, json.data, await api.store.currentRevision()]).toEqual([201, { a: '1' }, before])
  })

  test('fills in defaults, which nobody owns', async () => {
    const { json } = await apply(`${deployments}/web`, 'me', deployment())
    expect(json.spec.replicas).toBe(1)
    const [entry] = json.metadata.managedFields
    expect(entry.fieldsV1['f:spec']['f:replicas']).toBeUndefined()
    const scaled = await api.ok('PATCH', `${deployments}/web/scale`, {
      body: { spec: { replicas: 3 } },
      headers: { 'content-type': 'application/merge-patch+json', 'user-agent': 'hpa/1.0' },
    })
    expect(scaled.json.spec.replicas).toBe(3)
    const again = await apply(`${deployments}/web`, 'me', deployment())
    expect(again.json.spec.replicas).toBe(3)
    const conflict = await apply(`${deployments}/web`, 'me', deployment(1))
    expect(conflict.json.message).toBe(
      'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas',
    )
  })

  test('to the scale owns the replicas of the parent', async () => {
    await apply(`${deployments}/web`, 'me', deployment())
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web' }, spec: { replicas: 4 } }
    const { status, json } = await apply(`${deployments}/web/scale`, 'scaler', scale)
    expect([status, json.kind, json.spec.replicas]).toEqual([200, 'Scale', 4])
    const parent = (await api.ok('GET', `${deployments}/web`)).json
    expect(parent.metadata.managedFields.find((entry: { manager: string }) => entry.manager === 'scaler')).toMatchObject({
      operation: 'Apply',
      subresource: 'scale',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
    })
  })
})

describe('updates', () => {
  test('own what they change, by the name of the client', async () => {
    const { json } = await api.ok('POST', configMaps, {
      body: configMap({ a: '1' }),
      headers: { 'user-agent': 'kubectl/v1.35.0 (linux/amd64)' },
    })
    expect(json.metadata.managedFields).toEqual([
      {
        manager: 'kubectl',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } },
      },
    ])
    const patched = await api.ok('PATCH', `${configMaps}/one?fieldManager=other`, {
      body: { data: { a: '2' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    const owners = patched.json.metadata.managedFields.map((entry: { manager: string; fieldsV1: object }) => [
      entry.manager,
      entry.fieldsV1,
    ])
    expect(owners).toEqual([
      ['kubectl', { 'f:data': {} }],
      ['other', { 'f:data': { 'f:a': {} } }],
    ])
  })

  test('of status are said to be of the subresource, and the main resource owns none of it', async () => {
    const body = { ...deployment(), status: { replicas: 9 } }
    const created = (await api.ok('POST', deployments, { body })).json
    expect(created.status).toEqual({})
    expect(created.metadata.managedFields[0].fieldsV1['f:status']).toBeUndefined()
    const { json } = await api.ok('PATCH', `${deployments}/web/status`, {
      body: { status: { observedGeneration: 1 } },
      headers: { 'content-type': 'application/merge-patch+json', 'user-agent': 'controller' },
    })
    expect(json.metadata.managedFields.find((entry: { manager: string }) => entry.manager === 'controller')).toMatchObject({
      manager: 'controller',
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:observedGeneration': {} } },
    })
  })
})
