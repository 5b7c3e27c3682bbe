import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWebhookServer, type WebhookServer } from '../admission/webhooks/webhook-server.testing.ts'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

// biome-ignore lint/suspicious/noExplicitAny: objects of every version
type Any = any

let hook: WebhookServer
let api: TestCore
/** What the webhook does with each object; undefined: what `betweenVersions` does. */
let convert: ((object: Any, desired: string) => Any) | undefined
/** What it answers instead, if anything. */
let instead: ((request: Any) => unknown) | undefined

beforeAll(async () => {
  hook = await startWebhookServer()
  hook.answer('/convert', (request) => {
    if (instead !== undefined) return instead(request)
    const convertedObjects = request.objects.map((object: Any) => (convert ?? betweenVersions)(object, request.desiredAPIVersion))
    return review({ uid: request.uid, result: { status: 'Success' }, convertedObjects })
  })
})
afterAll(() => hook.close())
beforeEach(async () => {
  convert = undefined
  instead = undefined
  hook.asked.length = 0
  api = await openTestCore()
})
afterEach(() => api.close())

function review(response: object, version = 'v1'): string {
  return JSON.stringify({ apiVersion: `apiextensions.k8s.io/${version}`, kind: 'ConversionReview', response })
}

// v1 says `host` and `port`, v2 says `address`; v1beta1 is v1 under another name.
function betweenVersions(object: Any, desired: string): Any {
  const out = { ...object, apiVersion: desired }
  const split = desired !== 'example.com/v2'
  if (split && object.spec?.address !== undefined) {
    const [host, port] = object.spec.address.split(':')
    out.spec = { ...object.spec, host, port }
    delete out.spec.address
  } else if (!split && object.spec?.host !== undefined) {
    const { host, port, ...rest } = object.spec
    out.spec = { ...rest, address: `${host}:${port}` }
  }
  return out
}

const text = { type: 'string' }
const whole = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

function version(name: string, spec: object, more: object = {}): object {
  return {
    name,
    served: true,
    storage: name === 'v1',
    schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec }, status: whole } } },
    subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } },
    ...more,
  }
}

const size = { type: 'integer' }
const v1Spec = { host: text, port: text, size, fromV1: { ...text, default: 'v1' }, fromV2: text }
const v2Spec = { address: text, size, fromV1: text, fromV2: { ...text, default: 'v2' } }
const v1 = version('v1', v1Spec, {
  selectableFields: [{ jsonPath: '.spec.host' }],
  additionalPrinterColumns: [{ name: 'Host', type: 'string', jsonPath: '.spec.host' }],
})
const v1beta1 = version('v1beta1', v1Spec)
const v2 = version('v2', v2Spec, {
  selectableFields: [{ jsonPath: '.spec.address' }],
  additionalPrinterColumns: [{ name: 'Address', type: 'string', jsonPath: '.spec.address' }],
})
const byWebhook = (): object => ({
  strategy: 'Webhook',
  webhook: { clientConfig: hook.clientConfig('/convert'), conversionReviewVersions: ['v1', 'v1beta1'] },
})

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const definitionPath = `${definitions}/endpoints.example.com`
const merge = { 'content-type': 'application/merge-patch+json' }
const at = (version: string, name = ''): string =>
  `/apis/example.com/${version}/namespaces/default/endpoints${name === '' ? '' : `/${name}`}`

async function define(spec: object = {}): Promise<void> {
  const names = { plural: 'endpoints', singular: 'endpoint', kind: 'Endpoint', listKind: 'EndpointList' }
  await api.ok('POST', definitions, {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'endpoints.example.com' },
      spec: { group: 'example.com', scope: 'Namespaced', names, versions: [v1, v1beta1, v2], conversion: byWebhook(), ...spec },
    },
  })
  await turns()
}

async function redefine(spec: object): Promise<void> {
  await api.ok('PATCH', definitionPath, { body: { spec }, headers: merge })
  await turns()
}

// Definitions are served a moment after they are written.
async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function until(seen: () => boolean): Promise<void> {
  const late = AbortSignal.timeout(10_000)
  while (!seen() && !late.aborted) await new Promise((resolve) => setImmediate(resolve))
}

const endpoint = (version: string, name: string, spec: object, metadata: object = {}): object => ({
  apiVersion: `example.com/${version}`,
  kind: 'Endpoint',
  metadata: { name, ...metadata },
  spec,
})
const inV1 = (name: string, metadata: object = {}): object => endpoint('v1', name, { host: name, port: '80' }, metadata)
const inV2 = (name: string, metadata: object = {}): object => endpoint('v2', name, { address: `${name}:80` }, metadata)

async function stored(name: string): Promise<Any> {
  const { value } = (await api.store.get(`/registry/example.com/endpoints/default/${name}`))!
  return JSON.parse(value.toString())
}

const apply = (version: string, manager: string, body: object, query = ''): Promise<Answer> =>
  api.call('PATCH', `${at(version, (body as Any).metadata.name)}?fieldManager=${manager}${query}`, {
    body,
    headers: { 'content-type': 'application/apply-patch+yaml' },
  })

describe('objects of several versions, converted by a webhook,', () => {
  test('are stored in one version and read, listed and written in each', async () => {
    await define()
    await api.ok('POST', at('v1'), { body: inV1('a') })
    const made = await api.ok('POST', at('v2'), { body: inV2('b') })
    // What the request's version fills in is kept; what the stored one fills in is seen.
    expect(made.json.spec).toEqual({ address: 'b:80', fromV1: 'v1', fromV2: 'v2' })
    expect((await stored('b')).apiVersion).toBe('example.com/v1')
    expect((await stored('b')).spec).toEqual({ host: 'b', port: '80', fromV2: 'v2' })
    expect((await api.ok('GET', at('v2', 'a'))).json).toMatchObject({
      apiVersion: 'example.com/v2',
      spec: { address: 'a:80', fromV1: 'v1' },
    })
    expect((await api.ok('GET', at('v1', 'b'))).json.spec).toEqual({ host: 'b', port: '80', fromV1: 'v1', fromV2: 'v2' })
    hook.asked.length = 0
    for (const [version, specs] of [
      ['v1', [{ host: 'a' }, { host: 'b' }]],
      ['v2', [{ address: 'a:80' }, { address: 'b:80' }]],
      ['v1beta1', [{ host: 'a' }, { host: 'b' }]],
    ] as const) {
      const { json } = await api.ok('GET', at(version))
      expect([json.apiVersion, json.kind]).toEqual([`example.com/${version}`, 'EndpointList'])
      expect(json.items).toMatchObject(specs.map((spec) => ({ apiVersion: `example.com/${version}`, spec })))
    }
    // Nothing is asked for twice, and all that is new at once.
    expect(hook.asked.map(({ request, query }) => [request.desiredAPIVersion, request.objects.length, query])).toEqual([
      ['example.com/v2', 1, '?timeout=30s'],
      ['example.com/v1beta1', 2, '?timeout=30s'],
    ])
    expect(hook.asked[1]!.request.objects[0].metadata.resourceVersion).toBeUndefined()
  })

  test('are updated, patched, scaled and deleted in each', async () => {
    await define()
    const { resourceVersion } = (await api.ok('POST', at('v1'), { body: inV1('a') })).json.metadata
    const put = await api.ok('PUT', at('v2', 'a'), {
      body: endpoint('v2', 'a', { address: 'x:1', size: 2 }, { resourceVersion }),
    })
    expect(put.json).toMatchObject({ apiVersion: 'example.com/v2', metadata: { generation: 2 }, spec: { address: 'x:1' } })
    expect((await stored('a')).spec).toMatchObject({ host: 'x', port: '1' })
    const patched = await api.ok('PATCH', at('v2', 'a'), { body: { spec: { address: 'y:2' } }, headers: merge })
    expect(patched.json.spec.address).toBe('y:2')
    await api.ok('PATCH', `${at('v2', 'a')}/status`, { body: { status: { size: 1 } }, headers: merge })
    const scale = (await api.ok('PATCH', `${at('v2', 'a')}/scale`, { body: { spec: { replicas: 7 } }, headers: merge })).json
    expect([scale.spec, scale.status]).toEqual([{ replicas: 7 }, { replicas: 1 }])
    expect((await api.ok('GET', `${at('v2', 'a')}/scale`)).json.spec).toEqual({ replicas: 7 })
    expect((await stored('a')).spec).toMatchObject({ host: 'y', port: '2', size: 7 })
    await api.ok('DELETE', at('v2', 'a'))
    await api.ok('POST', at('v2'), { body: inV2('b', { labels: { x: 'y' } }) })
    const gone = (await api.ok('DELETE', `${at('v2')}?labelSelector=x%3Dy`)).json
    expect([gone.kind, gone.items[0].spec.address]).toEqual(['EndpointList', 'b:80'])
    expect((await api.ok('GET', at('v1'))).json.items).toEqual([])
  })

  test('are written only when something changes', async () => {
    await define()
    const made = await api.ok('POST', at('v2'), { body: inV2('a') })
    // What was filled in from the store is said now, and kept.
    const { json } = await api.ok('PUT', at('v2', 'a'), { body: made.json })
    expect((await stored('a')).spec.fromV1).toBe('v1')
    const again = await api.ok('PUT', at('v2', 'a'), { body: json })
    expect(again.json.metadata.resourceVersion).toBe(json.metadata.resourceVersion)
  })

  test('are selected by fields and shown in tables as their version has them', async () => {
    await define()
    for (const name of ['a', 'b', 'c']) await api.ok('POST', at('v1'), { body: inV1(name) })
    const names = async (path: string): Promise<string[]> => (await api.ok('GET', path)).json.items.map((one: Any) => one.metadata.name)
    expect(await names(`${at('v1')}?fieldSelector=spec.host%3Db`)).toEqual(['b'])
    expect(await names(`${at('v2')}?fieldSelector=spec.address%3Db:80`)).toEqual(['b'])
    expect((await api.call('GET', `${at('v2')}?fieldSelector=spec.host%3Db`)).json.message).toContain(
      'field label not supported: spec.host',
    )
    const first = await api.ok('GET', `${at('v2')}?limit=2`)
    expect(first.json.items).toHaveLength(2)
    const second = await api.ok('GET', `${at('v2')}?limit=2&continue=${encodeURIComponent(first.json.metadata.continue)}`)
    expect(second.json.items.map((one: Any) => one.spec.address)).toEqual(['c:80'])
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const table = (await api.ok('GET', at('v2'), { headers })).json
    expect(table.columnDefinitions.map((one: Any) => one.name)).toEqual(['Name', 'Address'])
    expect(table.rows.map((row: Any) => row.cells)).toEqual([
      ['a', 'a:80'],
      ['b', 'b:80'],
      ['c', 'c:80'],
    ])
    expect(table.rows[0].object.metadata.name).toBe('a')
  })

  test('are watched in each version, in order, as its selectors see them', async () => {
    await define()
    await api.ok('POST', at('v1'), { body: inV1('a') })
    const seen = await api.watch(`${at('v2')}?watch=true`)
    const some = await api.watch(`${at('v2')}?watch=true&fieldSelector=spec.address%3Dx:1`)
    const own = await api.watch(`${at('v1')}?watch=true`)
    await api.ok('POST', at('v2'), { body: inV2('b') })
    await api.ok('PATCH', at('v1', 'b'), { body: { spec: { host: 'x', port: '1' } }, headers: merge })
    await api.ok('PATCH', at('v1', 'b'), { body: { spec: { port: '2' } }, headers: merge })
    await api.ok('DELETE', at('v1', 'a'))
    await until(() => seen.events.length === 5 && some.events.length === 2 && own.events.length === 5)
    const told = (stream: { events: Any[] }): unknown =>
      stream.events.map(({ type, object }) => [type, object.apiVersion, object.spec.address ?? object.spec.host])
    expect(told(seen)).toEqual([
      ['ADDED', 'example.com/v2', 'a:80'],
      ['ADDED', 'example.com/v2', 'b:80'],
      ['MODIFIED', 'example.com/v2', 'x:1'],
      ['MODIFIED', 'example.com/v2', 'x:2'],
      ['DELETED', 'example.com/v2', 'a:80'],
    ])
    expect(told(some)).toEqual([
      ['ADDED', 'example.com/v2', 'x:1'],
      ['DELETED', 'example.com/v2', 'x:1'],
    ])
    expect(told(own)).toEqual([
      ['ADDED', 'example.com/v1', 'a'],
      ['ADDED', 'example.com/v1', 'b'],
      ['MODIFIED', 'example.com/v1', 'x'],
      ['MODIFIED', 'example.com/v1', 'x'],
      ['DELETED', 'example.com/v1', 'a'],
    ])
    const versions = seen.events.map(({ object }) => Number(object.metadata.resourceVersion))
    expect(versions).toEqual([...versions].sort((a, b) => a - b))
    for (const stream of [seen, some, own]) stream.stop()
  })

  test('stay readable when another version is stored from now on, and move there with their next write', async () => {
    await define()
    const { json } = await api.ok('POST', at('v1'), { body: inV1('a') })
    const other = (one: object, storage: boolean): object => ({ ...one, storage })
    await redefine({ versions: [other(v1, false), v1beta1, other(v2, true)] })
    expect((await api.ok('GET', definitionPath)).json.status.storedVersions).toEqual(['v1', 'v2'])
    expect((await stored('a')).apiVersion).toBe('example.com/v1')
    for (const [version, spec] of [
      ['v1', { host: 'a' }],
      ['v2', { address: 'a:80' }],
    ] as const) {
      expect((await api.ok('GET', at(version, 'a'))).json.spec).toMatchObject(spec)
    }
    await api.ok('POST', at('v1'), { body: inV1('b') })
    expect((await stored('b')).apiVersion).toBe('example.com/v2')
    expect((await api.ok('GET', at('v2'))).json.items).toMatchObject([{ spec: { address: 'a:80' } }, { spec: { address: 'b:80' } }])
    // A write that changes nothing else moves it.
    const moved = await api.ok('PUT', at('v1', 'a'), { body: json })
    expect(moved.json.spec).toMatchObject({ host: 'a', port: '80' })
    expect(await stored('a')).toMatchObject({ apiVersion: 'example.com/v2', spec: { address: 'a:80' } })
    const early = await api.call('PATCH', definitionPath, { body: { spec: { versions: [v1beta1, other(v2, true)] } }, headers: merge })
    expect([early.status, early.json.message]).toEqual([422, expect.stringContaining('v1 was previously a storage version')])
    await api.ok('PATCH', `${definitionPath}/status`, { body: { status: { storedVersions: ['v2'] } }, headers: merge })
    await redefine({ versions: [v1beta1, other(v2, true)] })
    expect((await api.ok('GET', at('v1beta1', 'b'))).json.spec).toMatchObject({ host: 'b' })
  })

  test('are read after a restart, whatever version they were stored in', async () => {
    await define()
    const { metadata } = (await api.ok('POST', at('v1'), { body: inV1('a') })).json
    await redefine({ versions: [{ ...v1, storage: false }, v1beta1, { ...v2, storage: true }] })
    await api.ok('POST', at('v1'), { body: inV1('b') })
    await api.core.close()
    const second = await openTestCore({ store: api.store })
    const { json } = await second.ok('GET', at('v2'))
    expect(json.items.map((one: Any) => one.spec.address)).toEqual(['a:80', 'b:80'])
    const past = await second.watch(`${at('v2')}?watch=true&resourceVersion=${metadata.resourceVersion}&fieldSelector=spec.address%3Db:80`)
    await until(() => past.events.length > 0)
    expect(past.events.map(({ type, object }) => [type, object.spec.address])).toEqual([['ADDED', 'b:80']])
    past.stop()
    await second.core.close()
  })

  test('lose what their schemas do not know, wherever it comes from', async () => {
    await define()
    convert = (object, desired) => ({ ...betweenVersions(object, desired), garbage: 1 })
    const made = await api.ok('POST', at('v2'), { body: { ...inV2('a'), garbage: 2 } })
    expect(made.json.garbage).toBeUndefined()
    const was = await stored('a')
    expect(was.garbage).toBeUndefined()
    const key = '/registry/example.com/endpoints/default/a'
    const { modRevision } = (await api.store.get(key))!
    const strange = { ...was, garbage: 3, metadata: { ...was.metadata, labels: { changed: 'yes' } } }
    await api.store.write({ key, value: Buffer.from(JSON.stringify(strange)), expectedModRevision: modRevision })
    for (const version of ['v1', 'v2', 'v1beta1']) {
      const { json } = await api.ok('GET', at(version, 'a'))
      expect([json.garbage, json.metadata.labels]).toEqual([undefined, { changed: 'yes' }])
    }
  })

  test('have their conversion changed while they are there', async () => {
    await define({ conversion: { strategy: 'None' } })
    await api.ok('POST', at('v1'), { body: inV1('a') })
    expect((await api.ok('GET', at('v2', 'a'))).json.spec).toEqual({ fromV1: 'v1' })
    await redefine({ conversion: byWebhook() })
    expect((await api.ok('GET', at('v2', 'a'))).json.spec).toEqual({ address: 'a:80', fromV1: 'v1' })
    await redefine({ conversion: { strategy: 'None', webhook: null } })
    expect((await api.ok('GET', at('v2', 'a'))).json.spec).toEqual({ fromV1: 'v1' })
  })
})

describe('server-side apply across versions', () => {
  test('knows what is owned in each, and takes away what is not said any more', async () => {
    await define()
    await apply('v1', 'one', inV1('a'))
    const conflict = await apply('v2', 'two', { ...inV2('a'), spec: { address: 'b:81' } })
    expect(conflict.status).toBe(409)
    expect(conflict.json.message).toContain('conflicts with "one":\n- .spec.host\n- .spec.port')
    const both = await apply('v2', 'two', endpoint('v2', 'a', { size: 3 }))
    expect(both.json.spec).toMatchObject({ address: 'a:80', size: 3 })
    expect(both.json.metadata.managedFields.map((one: Any) => [one.manager, one.apiVersion])).toEqual([
      ['one', 'example.com/v1'],
      ['two', 'example.com/v2'],
    ])
    // Forced in another version: the first owner loses its fields of the same meaning.
    const forced = await apply('v2', 'two', endpoint('v2', 'a', { size: 3, address: 'b:81' }), '&force=true')
    expect(forced.status).toBe(200)
    expect((await api.ok('GET', at('v1', 'a'))).json.spec).toMatchObject({ host: 'b', port: '81' })
    const { managedFields } = forced.json.metadata
    expect(managedFields.find((one: Any) => one.manager === 'one')).toBeUndefined()
    const less = await apply('v2', 'two', endpoint('v2', 'a', { address: 'b:81' }))
    expect(less.json.spec.size).toBeUndefined()
    const moved = await apply('v1', 'two', endpoint('v1', 'a', { host: 'c', port: '82' }))
    expect(moved.json.spec).toMatchObject({ host: 'c', port: '82' })
  })
})

describe('admission sees the version that its rules name', () => {
  const registration = '/apis/admissionregistration.k8s.io/v1'
  const rule = (version: string): object => ({
    operations: ['*'],
    apiGroups: ['example.com'],
    apiVersions: [version],
    resources: ['endpoints'],
  })
  const register = (kind: 'Mutating' | 'Validating', webhook: object): Promise<Answer> =>
    api.ok('POST', `${registration}/${kind.toLowerCase()}webhookconfigurations`, {
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: `${kind}WebhookConfiguration`,
        metadata: { name: 'w' },
        webhooks: [{ name: 'w.example.com', sideEffects: 'None', admissionReviewVersions: ['v1'], ...webhook }],
      },
    })

  test('whichever was written: webhooks', async () => {
    await define()
    hook.answer('/mutate', ({ object }) => ({
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify([{ op: 'replace', path: '/spec/address', value: `${object.spec.address}0` }])).toString('base64'),
    }))
    await register('Mutating', { clientConfig: hook.clientConfig('/mutate'), rules: [rule('v2')] })
    const made = await api.ok('POST', at('v1'), { body: inV1('a') })
    expect(made.json.spec).toMatchObject({ host: 'a', port: '800' })
    expect((await api.ok('PATCH', at('v1beta1', 'a'), { body: { spec: { host: 'b' } }, headers: merge })).json.spec.port).toBe('8000')
    const seen = hook.asked.filter(({ path }) => path === '/mutate').at(-1)!.request
    expect([
      seen.kind.version,
      seen.requestKind.version,
      seen.object.apiVersion,
      seen.object.spec.address,
      seen.oldObject.spec.address,
    ]).toEqual(['v2', 'v1beta1', 'example.com/v2', 'b:800', 'a:800'])
    instead = ({ uid }) => review({ uid, result: { status: 'Failure', message: 'not today' } })
    const failed = await api.call('POST', at('v1'), { body: inV1('c') })
    expect([failed.status, failed.json.message]).toEqual([
      500,
      'Internal error occurred: conversion webhook for example.com/v1, Kind=Endpoint failed: not today',
    ])
  })

  test('not at all, when the rule is exact', async () => {
    await define()
    hook.answer('/deny', () => ({ allowed: false }))
    await register('Validating', { clientConfig: hook.clientConfig('/deny'), rules: [rule('v2')], matchPolicy: 'Exact' })
    expect((await api.call('POST', at('v1'), { body: inV1('a') })).status).toBe(201)
    expect((await api.call('POST', at('v2'), { body: inV2('b') })).status).toBe(400)
  })

  test('whichever was written: policies', async () => {
    await define()
    await api.ok('POST', `${registration}/validatingadmissionpolicies`, {
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: 'p' },
        spec: {
          matchConstraints: { resourceRules: [rule('v2')] },
          validations: [{ expression: "object.spec.address.endsWith(':80')", messageExpression: "'not ' + object.spec.address" }],
        },
      },
    })
    await api.ok('POST', `${registration}/validatingadmissionpolicybindings`, {
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: 'b' },
        spec: { policyName: 'p', validationActions: ['Deny'] },
      },
    })
    await turns()
    expect((await api.call('POST', at('v1'), { body: inV1('a') })).status).toBe(201)
    const answer = await api.call('POST', at('v1'), { body: endpoint('v1', 'b', { host: 'b', port: '81' }) })
    expect([answer.status, answer.json.message]).toEqual([422, expect.stringContaining('not b:81')])
  })
})

describe('metadata of converted objects', () => {
  test('is theirs, but for labels and annotations', async () => {
    await define()
    convert = (object, desired) => {
      const out = betweenVersions(object, desired)
      const { labels, annotations } = object.metadata
      const metadata = { ...object.metadata, generation: 42, finalizers: ['example.com/mine'], garbage: 'x', resourceVersion: '42' }
      return { ...out, metadata: { ...metadata, labels: { ...labels, to: 'other' }, annotations: { ...annotations, to: desired } } }
    }
    await api.ok('POST', at('v1'), { body: inV1('a') })
    const { metadata } = (await api.ok('GET', at('v2', 'a'))).json
    expect([metadata.labels, metadata.annotations]).toEqual([{ to: 'other' }, { to: 'example.com/v2' }])
    expect([metadata.generation, metadata.finalizers, metadata.garbage]).toEqual([1, undefined, undefined])
    expect((await api.ok('GET', `${at('v2')}?labelSelector=to%3Dother`)).json.items).toHaveLength(1)
    expect((await api.ok('GET', at('v1', 'a'))).json.metadata.labels).toBeUndefined()
  })

  const about = 'conversion webhook for example.com/v1, Kind=Endpoint returned invalid'
  test.each<[string, (metadata: Any) => Any, string]>([
    ['has one name', (m) => ({ ...m, name: 'b' }), `${about} object: must have the same name: a != b`],
    ['has one namespace', (m) => ({ ...m, namespace: 'b' }), `${about} object: must have the same namespace: default != b`],
    ['has one uid', (m) => ({ ...m, uid: '42' }), `${about} object: must have the same UID: 00000000-0000-4000-8000-000000000011 != 42`],
    [
      'has texts for labels',
      (m) => ({ ...m, labels: { a: 1 } }),
      `${about} metadata: metadata.labels[a] must be a string, but is int64 in converted object`,
    ],
    [
      'has labels in a map',
      (m) => ({ ...m, labels: [] }),
      `${about} metadata: invalid metadata.labels of type []interface {} in converted object`,
    ],
    [
      'has labels that are some',
      (m) => ({ ...m, labels: { a: 'not/a label' } }),
      `${about} metadata: metadata.labels: Invalid value: "not/a label": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    ],
  ])('%s', async (_, change, message) => {
    await define()
    const { json } = await api.ok('POST', at('v1'), { body: inV1('a') })
    convert = (object, desired) => ({ ...betweenVersions(object, desired), metadata: change(object.metadata) })
    const answer = await api.call('GET', at('v2', 'a'))
    const uid = json.metadata.uid
    expect([answer.status, answer.json.message]).toEqual([500, message.replace('00000000-0000-4000-8000-000000000011', uid)])
  })
})

describe('a webhook that fails', () => {
  const about = 'conversion webhook for example.com/v1, Kind=Endpoint'
  test.each<[string, (request: Any) => unknown, string]>([
    ['by its status', () => 400, `${about} failed: the server rejected our request for an unknown reason`],
    ['without JSON', () => 'nonsense', `${about} failed: couldn't get version/kind; json parse error`],
    ['with nothing', () => review(undefined as never), `${about} failed: no response provided`],
    [
      'with another review',
      (r) => review({ uid: r.uid }, 'v1beta1'),
      `${about} failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1beta1, Kind=ConversionReview`,
    ],
    ['with the answer to another', () => review({ uid: 'x' }), `${about} failed: expected response.uid="`],
    ['and says why', ({ uid }) => review({ uid, result: { status: 'Failure', message: 'not today' } }), `${about} failed: not today`],
    [
      'and does not say why',
      ({ uid }) => review({ uid, result: { status: 'Failure' } }),
      `${about} failed: response.result.status was 'Failure', not 'Success'`,
    ],
    [
      'with too little',
      ({ uid }) => review({ uid, result: { status: 'Success' }, convertedObjects: [] }),
      `${about} returned 0 objects, expected 1`,
    ],
    [
      'with objects as they were',
      ({ uid, objects }) => review({ uid, result: { status: 'Success' }, convertedObjects: objects }),
      `${about} returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)`,
    ],
    [
      'with other objects',
      ({ uid, objects: [one] }) =>
        review({ uid, result: { status: 'Success' }, convertedObjects: [{ ...one, apiVersion: 'example.com/v2', kind: 'Other' }] }),
      `${about} returned invalid object at index 0: invalid kind (expected Endpoint, received Other)`,
    ],
  ])('%s is told as it is', async (_, answer, message) => {
    await define()
    await api.ok('POST', at('v1'), { body: inV1('a') })
    instead = answer
    const { status, json } = await api.call('GET', at('v2', 'a'))
    expect([status, json.reason, json.code]).toEqual([500, undefined, 500])
    expect(json.message).toContain(message)
  })

  test('fails every verb that needs it, and no other', async () => {
    await define()
    const { json } = await api.ok('POST', at('v1'), { body: inV1('a') })
    instead = ({ uid }) => review({ uid, result: { status: 'Failure', message: 'not today' } })
    const patch = { body: { metadata: { annotations: { a: 'b' } } }, headers: merge }
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'a' }, spec: { replicas: 4 } }
    for (const [method, path, options] of [
      ['GET', at('v2', 'a')],
      ['GET', at('v2')],
      ['POST', at('v2'), { body: inV2('b') }],
      ['PUT', at('v2', 'a'), { body: inV2('a') }],
      ['PATCH', at('v2', 'a'), patch],
      ['DELETE', at('v2', 'a')],
      ['DELETE', at('v2')],
      ['GET', `${at('v2', 'a')}/status`],
      ['PUT', `${at('v2', 'a')}/status`, { body: inV2('a') }],
      ['PATCH', `${at('v2', 'a')}/status`, patch],
      ['GET', `${at('v2', 'a')}/scale`],
      ['PUT', `${at('v2', 'a')}/scale`, { body: scale }],
      ['PATCH', `${at('v2', 'a')}/scale`, patch],
    ] as const) {
      const answer = await api.call(method, path, options)
      expect([method, path, answer.status, answer.json.message]).toEqual([method, path, 500, expect.stringContaining('failed: not today')])
    }
    const watching = await api.watch(`${at('v2')}?watch=true`)
    await watching.ended
    expect(watching.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 500, message: `${about} failed: not today` } }])
    await api.ok('PATCH', at('v1', 'a'), { body: { spec: { size: 1 } }, headers: merge })
    const own = await api.watch(`${at('v1')}?watch=true&resourceVersion=${json.metadata.resourceVersion}`)
    await until(() => own.events.length > 0)
    own.stop()
    instead = undefined
    expect((await api.ok('GET', at('v2'))).json.items[0].spec).toMatchObject({ address: 'a:80', size: 1 })
    const healed = await api.watch(`${at('v2')}?watch=true&resourceVersion=${json.metadata.resourceVersion}`)
    await until(() => healed.events.length > 0)
    expect(healed.events[0]).toMatchObject({ type: 'MODIFIED', object: { spec: { address: 'a:80', size: 1 } } })
    healed.stop()
  })

  test('may speak the older review, which proves less', async () => {
    await define({
      conversion: {
        strategy: 'Webhook',
        webhook: { clientConfig: hook.clientConfig('/convert'), conversionReviewVersions: ['v9', 'v1beta1'] },
      },
    })
    await api.ok('POST', at('v1'), { body: inV1('a') })
    instead = ({ objects, desiredAPIVersion }) =>
      review(
        { result: { status: 'Success' }, convertedObjects: objects.map((one: Any) => betweenVersions(one, desiredAPIVersion)) },
        'v1beta1',
      )
    expect((await api.ok('GET', at('v2', 'a'))).json.spec.address).toBe('a:80')
  })

  test('must speak a review that is known', async () => {
    const webhook = { clientConfig: hook.clientConfig('/convert'), conversionReviewVersions: ['v9'] }
    await expect(define({ conversion: { strategy: 'Webhook', webhook } })).rejects.toThrow('must include at least one of v1, v1beta1')
  })
})

test('without a webhook, versions differ in what their schemas keep, and requests are checked by their own', async () => {
  const strict = version('v1', { ...v1Spec, host: { ...text, maxLength: 3 } })
  await define({ versions: [strict, v1beta1, v2], conversion: { strategy: 'None' } })
  const long = endpoint('v1beta1', 'a', { host: 'long enough', port: '80' })
  expect((await api.call('POST', at('v1'), { body: { ...long, apiVersion: 'example.com/v1' } })).status).toBe(422)
  const made = await api.ok('POST', at('v1beta1'), { body: long })
  expect(made.json.metadata.managedFields[0].apiVersion).toBe('example.com/v1beta1')
  const lost = await api.ok('POST', at('v2'), { body: inV2('b') })
  expect(lost.json.spec).toEqual({ fromV1: 'v1', fromV2: 'v2' })
  const seen = await api.watch(`${at('v2')}?watch=true`)
  await until(() => seen.events.length === 2)
  expect(seen.events.map(({ object }) => [object.apiVersion, object.spec])).toEqual([
    ['example.com/v2', { fromV1: 'v1' }],
    ['example.com/v2', { fromV1: 'v1', fromV2: 'v2' }],
  ])
  seen.stop()
})

test('what a changed schema fills in and leaves out is seen in objects that were stored before', async () => {
  await define({ versions: [v1], conversion: { strategy: 'None' } })
  await api.ok('POST', at('v1'), { body: endpoint('v1', 'a', { host: 'a', port: '80', size: 1 }) })
  const watching = await api.watch(`${at('v1')}?watch=true`)
  const { size: _, ...smaller } = v1Spec
  await redefine({ versions: [version('v1', { ...smaller, more: { ...text, default: 'yes' } })] })
  await watching.ended
  for (const json of [(await api.ok('GET', at('v1', 'a'))).json, (await api.ok('GET', at('v1'))).json.items[0]]) {
    expect(json.spec).toEqual({ host: 'a', port: '80', fromV1: 'v1', more: 'yes' })
  }
  expect((await stored('a')).spec).toEqual({ host: 'a', port: '80', size: 1, fromV1: 'v1' })
  const { json } = await api.ok('PATCH', at('v1', 'a'), { body: {}, headers: merge })
  expect(json.spec.more).toBe('yes')
  expect((await stored('a')).spec).toEqual({ host: 'a', port: '80', fromV1: 'v1', more: 'yes' })
})
