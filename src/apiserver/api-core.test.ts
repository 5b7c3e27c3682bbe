import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore
// The revision of the objects that every cluster has.
let start: number

beforeEach(async () => {
  api = await openTestCore()
  start = await api.store.currentRevision()
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

describe('create', () => {
  test('fills in what the server owns and answers 201', async () => {
    const { status, json } = await api.call('POST', configMaps, {
      body: { ...configMap('one', { a: '1' }), metadata: { name: 'one', uid: 'mine', creationTimestamp: '2000-01-01T00:00:00Z' } },
    })
    expect(status).toBe(201)
    expect(json).toMatchObject({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: {
        name: 'one',
        namespace: 'default',
        uid: expect.stringMatching(/^00000000-0000-4000-8000-\d{12}$/),
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      data: { a: '1' },
    })
    expect((await api.ok('GET', `${configMaps}/one`)).json).toEqual(json)
  })

  test('of what is there already is a conflict', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    const { status, json } = await api.call('POST', configMaps, { body: configMap('one') })
    expect([status, json.reason, json.message]).toEqual([409, 'AlreadyExists', 'configmaps "one" already exists'])
  })

  test('with generateName makes a name', async () => {
    const { json } = await api.ok('POST', configMaps, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'x-' } } })
    expect(json.metadata.name).toMatch(/^x-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })

  test('with a bad name says which causes', async () => {
    const { status, json } = await api.call('POST', configMaps, { body: configMap('Bad_Name') })
    expect([status, json.reason, json.details.causes[0].field]).toEqual([422, 'Invalid', 'metadata.name'])
    expect(json.message).toMatch(
      /^ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
    )
  })

  test('in a dry run writes nothing', async () => {
    const before = await api.store.currentRevision()
    const { status, json } = await api.call('POST', `${configMaps}?dryRun=All`, { body: configMap('one') })
    expect([status, json.metadata.resourceVersion]).toEqual([201, undefined])
    expect(await api.store.currentRevision()).toBe(before)
    expect((await api.call('GET', `${configMaps}/one`)).status).toBe(404)
  })

  test('with an unknown field warns, refuses or keeps silent, as it is told', async () => {
    const body = { ...configMap('one'), nonsense: 1 }
    const warned = await api.ok('POST', configMaps, { body })
    expect(warned.warnings).toEqual(['unknown field "nonsense"'])
    const strict = await api.call('POST', `${configMaps}?fieldValidation=Strict`, { body })
    expect([strict.status, strict.json.message]).toEqual([
      400,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "nonsense"',
    ])
    const ignored = await api.ok('POST', `${configMaps}?fieldValidation=Ignore`, { body: { ...body, metadata: { name: 'two' } } })
    expect(ignored.warnings).toEqual([])
  })

  test('of YAML works as of JSON', async () => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: text\ndata:\n  on: "yes"\n'
    const { json } = await api.ok('POST', configMaps, { body, headers: { 'content-type': 'application/yaml' } })
    expect(json.data).toEqual({ true: 'yes' })
  })

  test('of malformed JSON is a bad request', async () => {
    const { status, json } = await api.call('POST', configMaps, { body: '{"kind": "Conf' })
    expect([status, json.reason]).toEqual([400, 'BadRequest'])
    expect(json.message).toBe(
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"kind": "Conf)',
    )
  })

  test('of another kind is a bad request', async () => {
    const wrong = await api.call('POST', configMaps, { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } } })
    expect([wrong.status, wrong.json.message]).toEqual([
      400,
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ])
  })

  test('in another namespace than the path says is a bad request', async () => {
    const body = { ...configMap('one'), metadata: { name: 'one', namespace: 'other' } }
    const { json } = await api.call('POST', configMaps, { body })
    expect(json.message).toBe('the namespace of the provided object does not match the namespace sent on the request')
  })
})

describe('update', () => {
  test('replaces, and a stale resourceVersion is a conflict', async () => {
    const created = (await api.ok('POST', configMaps, { body: configMap('one', { a: '1' }) })).json
    const updated = (await api.ok('PUT', `${configMaps}/one`, { body: { ...created, data: { a: '2' } } })).json
    expect(updated.data).toEqual({ a: '2' })
    expect(Number(updated.metadata.resourceVersion)).toBeGreaterThan(Number(created.metadata.resourceVersion))
    const { status, json } = await api.call('PUT', `${configMaps}/one`, { body: { ...created, data: { a: '3' } } })
    expect([status, json.reason, json.message]).toEqual([
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to the latest version and try again',
    ])
  })

  test('without a resourceVersion replaces whatever is there', async () => {
    await api.ok('POST', configMaps, { body: configMap('one', { a: '1' }) })
    const { json } = await api.ok('PUT', `${configMaps}/one`, { body: configMap('one', { b: '2' }) })
    expect(json.data).toEqual({ b: '2' })
  })

  test('that changes nothing writes nothing', async () => {
    const created = (await api.ok('POST', configMaps, { body: configMap('one', { a: '1', b: '2' }) })).json
    const same = (await api.ok('PUT', `${configMaps}/one`, { body: configMap('one', { b: '2', a: '1' }) })).json
    expect(same.metadata.resourceVersion).toBe(created.metadata.resourceVersion)
  })

  test('cannot change the uid, by patch neither: that is invalid', async () => {
    const { uid } = (await api.ok('POST', configMaps, { body: configMap('one') })).json.metadata
    const body = { metadata: { uid: 'other' } }
    for (const type of ['merge', 'strategic-merge']) {
      const { status, json } = await api.call('PATCH', `${configMaps}/one`, {
        body,
        headers: { 'content-type': `application/${type}-patch+json` },
      })
      expect([status, json.message]).toEqual([422, 'ConfigMap "one" is invalid: metadata.uid: Invalid value: "other": field is immutable'])
    }
    expect((await api.ok('GET', `${configMaps}/one`)).json.metadata.uid).toBe(uid)
  })

  test.each([
    [
      'apps/v1',
      'deployments',
      'Deployment.apps',
      {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    ],
    ['policy/v1', 'poddisruptionbudgets', 'PodDisruptionBudget.policy', { minAvailable: 1 }],
  ])('of a status cannot change the uid: %s %s', async (version, resource, kind, spec) => {
    const path = `/apis/${version}/namespaces/default/${resource}`
    await api.ok('POST', path, { body: { metadata: { name: 'one' }, spec } })
    const body = { metadata: { uid: 'other' }, status: { observedGeneration: 1 } }
    const { status, json } = await api.call('PATCH', `${path}/one/status`, {
      body,
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect([status, json.message]).toEqual([422, `${kind} "one" is invalid: metadata.uid: Invalid value: "other": field is immutable`])
  })

  test('of what is not there is not found, save for leases', async () => {
    const { status, json } = await api.call('PUT', `${configMaps}/one`, { body: configMap('one') })
    expect([status, json.message]).toEqual([404, 'configmaps "one" not found'])
  })

  test('cannot change the uid', async () => {
    const created = (await api.ok('POST', configMaps, { body: configMap('one') })).json
    const body = { ...created, metadata: { ...created.metadata, uid: 'other' } }
    const { json } = await api.call('PUT', `${configMaps}/one`, { body })
    expect(json.message).toBe(
      `Operation cannot be fulfilled on configmaps "one": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/one, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: ${created.metadata.uid}`,
    )
  })

  test('whose name differs from the path is a bad request', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    const { json } = await api.call('PUT', `${configMaps}/one`, { body: configMap('two') })
    expect(json.message).toBe('the name of the object (two) does not match the name on the URL (one)')
  })
})

describe('patch', () => {
  const mergeType = { 'content-type': 'application/merge-patch+json' }

  test('of each type changes what it says', async () => {
    await api.ok('POST', configMaps, { body: configMap('one', { a: '1' }) })
    const merged = await api.ok('PATCH', `${configMaps}/one`, { body: { data: { b: '2' } }, headers: mergeType })
    expect(merged.json.data).toEqual({ a: '1', b: '2' })
    const json = await api.ok('PATCH', `${configMaps}/one`, {
      body: [{ op: 'remove', path: '/data/a' }],
      headers: { 'content-type': 'application/json-patch+json' },
    })
    expect(json.json.data).toEqual({ b: '2' })
    const strategic = await api.ok('PATCH', `${configMaps}/one`, {
      body: { metadata: { labels: { x: 'y' } } },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
    expect(strategic.json.metadata.labels).toEqual({ x: 'y' })
  })

  test('that many send at once loses none', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        api.ok('PATCH', `${configMaps}/one`, { body: { data: { [`k${i}`]: 'v' } }, headers: mergeType }),
      ),
    )
    expect(Object.keys((await api.ok('GET', `${configMaps}/one`)).json.data).length).toBe(20)
  })

  test('of an unknown type is refused with the types that are known', async () => {
    const { status, json } = await api.call('PATCH', `${configMaps}/one`, { body: {}, headers: { 'content-type': 'text/plain' } })
    expect([status, json.message]).toEqual([
      415,
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    ])
  })
})

describe('delete', () => {
  test('removes and answers what was removed', async () => {
    const created = (await api.ok('POST', configMaps, { body: configMap('one') })).json
    const { status, json } = await api.call('DELETE', `${configMaps}/one`)
    expect([status, json]).toEqual([
      200,
      {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: 'one', kind: 'configmaps', uid: created.metadata.uid },
      },
    ])
    expect((await api.call('GET', `${configMaps}/one`)).status).toBe(404)
  })

  test('waits for finalizers, and the last one to go takes the object along', async () => {
    const body = { ...configMap('one'), metadata: { name: 'one', finalizers: ['example.com/hold'] } }
    await api.ok('POST', configMaps, { body })
    const pending = (await api.ok('DELETE', `${configMaps}/one`)).json
    expect(pending.metadata).toMatchObject({ deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 })
    const again = await api.call('POST', configMaps, { body: configMap('one') })
    expect(again.json.message).toBe('object is being deleted: configmaps "one" already exists')
    await api.ok('PATCH', `${configMaps}/one`, {
      body: { metadata: { finalizers: null } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect((await api.call('GET', `${configMaps}/one`)).status).toBe(404)
  })

  test('in the foreground or leaving orphans adds the finalizer that says so', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    const foreground = await api.ok('DELETE', `${configMaps}/one?propagationPolicy=Foreground`)
    expect(foreground.json.metadata.finalizers).toEqual(['foregroundDeletion'])
    await api.ok('POST', configMaps, { body: configMap('two') })
    const orphan = await api.ok('DELETE', `${configMaps}/two`, {
      body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' },
    })
    expect(orphan.json.metadata.finalizers).toEqual(['orphan'])
  })

  test('with a precondition that does not hold is a conflict', async () => {
    const created = (await api.ok('POST', configMaps, { body: configMap('one') })).json
    const { status, json } = await api.call('DELETE', `${configMaps}/one`, { body: { preconditions: { uid: 'other' } } })
    expect([status, json.message]).toEqual([
      409,
      `Operation cannot be fulfilled on ConfigMap "one": the UID in the precondition (other) does not match the UID in record (${created.metadata.uid}). The object might have been deleted and then recreated`,
    ])
  })

  test('of a collection removes what the selector selects', async () => {
    for (const name of ['a', 'b', 'c']) {
      await api.ok('POST', configMaps, { body: { ...configMap(name), metadata: { name, labels: { gone: String(name !== 'b') } } } })
    }
    const { json } = await api.ok('DELETE', `${configMaps}?labelSelector=gone%3Dtrue`)
    expect(json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['a', 'c'])
    expect((await api.ok('GET', configMaps)).json.items.length).toBe(1)
  })
})

describe('list', () => {
  const names = (json: { items: { metadata: { name: string } }[] }): string[] => json.items.map((item) => item.metadata.name)

  test('comes in pages of one consistent state', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await api.ok('POST', configMaps, { body: configMap(name) })
    const first = (await api.ok('GET', `${configMaps}?limit=2`)).json
    expect([names(first), first.metadata.remainingItemCount, first.kind]).toEqual([['a', 'b'], 2, 'ConfigMapList'])
    expect(first.items[0].kind).toBeUndefined()
    await api.ok('DELETE', `${configMaps}/c`)
    await api.ok('POST', configMaps, { body: configMap('bb') })
    const token = encodeURIComponent(first.metadata.continue)
    const second = (await api.ok('GET', `${configMaps}?limit=2&continue=${token}`)).json
    expect([names(second), second.metadata.continue, second.metadata.resourceVersion]).toEqual([
      ['c', 'd'],
      undefined,
      first.metadata.resourceVersion,
    ])
    expect(names((await api.ok('GET', configMaps)).json)).toEqual(['a', 'b', 'bb', 'd'])
  })

  test('selects by labels and fields', async () => {
    await api.ok('POST', configMaps, { body: { ...configMap('a'), metadata: { name: 'a', labels: { app: 'x' } } } })
    await api.ok('POST', configMaps, { body: configMap('b') })
    expect(names((await api.ok('GET', `${configMaps}?labelSelector=app%3Dx`)).json)).toEqual(['a'])
    expect(names((await api.ok('GET', `${configMaps}?labelSelector=!app`)).json)).toEqual(['b'])
    expect(names((await api.ok('GET', `${configMaps}?fieldSelector=metadata.name%3Db`)).json)).toEqual(['b'])
    const bad = await api.call('GET', `${configMaps}?fieldSelector=data%3Db`)
    expect([bad.status, bad.json.message]).toEqual([
      400,
      '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ])
    for (const [path, message] of [
      [
        '/api/v1/persistentvolumes?fieldSelector=name%3Dx',
        '"name" is not a known field selector: only "metadata.name", "metadata.namespace"',
      ],
      ['/apis/batch/v1/jobs?fieldSelector=data%3Dx', 'field label "data" not supported for Job'],
      [
        '/apis/resource.k8s.io/v1/resourceslices?fieldSelector=a%3Dx',
        'field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a',
      ],
      ['/api/v1/nodes?fieldSelector=metadata.namespace%3Dx', 'field label not supported: metadata.namespace'],
    ] as const) {
      expect((await api.call('GET', path)).json.message).toBe(message)
    }
  })

  test('with a token that is made up is a bad request', async () => {
    const start = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: '../../secrets/x' })).toString('base64url')
    const { status } = await api.call('GET', `${configMaps}?limit=1&continue=${start}`)
    expect(status).toBe(400)
  })

  test('as a table has rows of cells and metadata', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { json } = await api.ok('GET', configMaps, { headers: { accept } })
    expect([json.kind, json.apiVersion, json.columnDefinitions[0].name]).toEqual(['Table', 'meta.k8s.io/v1', 'Name'])
    expect(json.rows[0].cells[0]).toBe('one')
    expect(json.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'one' } })
  })

  test('of a scale has columns of its own', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments'
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/web:v1' }] } }
    const spec = { replicas: 3, selector: { matchLabels: { app: 'web' } }, template }
    await api.ok('POST', path, { body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec } })
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { json } = await api.ok('GET', `${path}/web/scale?includeObject=Object`, { headers: { accept } })
    expect(json.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(['Name', 'Desired', 'Available', 'Age'])
    expect(json.rows[0].cells.slice(0, 3)).toEqual(['web', 3, 0])
    expect(json.rows[0].object).toMatchObject({ kind: 'Scale', spec: { replicas: 3 } })
  })

  test('of metadata alone leaves the rest out', async () => {
    await api.ok('POST', configMaps, { body: configMap('one', { a: '1' }) })
    const accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
    const { json } = await api.ok('GET', configMaps, { headers: { accept } })
    expect(json.items).toEqual([
      {
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: expect.objectContaining({ name: 'one', resourceVersion: String(start + 1) }),
      },
    ])
  })

  test('that is large is sent in chunks, compressed if the client can', async () => {
    const value = 'x'.repeat(10_000)
    for (let i = 0; i < 60; i++) await api.ok('POST', configMaps, { body: configMap(`c${i}`, { value }) })
    const plain = await api.ok('GET', configMaps)
    expect(plain.json.items.length).toBe(60)
    const { gunzipSync } = await import('node:zlib')
    const packed = await api.ok('GET', configMaps, { headers: { 'accept-encoding': 'gzip' } })
    expect(packed.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true)
  })

  test('of a future resourceVersion waits, then says it is too large', async () => {
    const pending = api.call('GET', `${configMaps}?resourceVersion=99`)
    await api.clock.advance(3_000)
    const { status, json } = await pending
    expect([status, json.message]).toEqual([504, `Timeout: Too large resource version: 99, current: ${start}`])
  })

  test('of nothing is an empty list', async () => {
    expect((await api.ok('GET', configMaps)).bytes.toString()).toBe(
      `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"${start}"},"items":[]}\n`,
    )
  })
})

describe('watch', () => {
  const shown = (events: { type: string; object: { metadata: { name: string } } }[]): string[] =>
    events.map((event) => `${event.type} ${event.object.metadata.name}`)

  test('tells what is there, then what happens', async () => {
    await api.ok('POST', configMaps, { body: configMap('a') })
    const stream = await api.watch(`${configMaps}?watch=true`)
    await turn()
    await api.ok('POST', configMaps, { body: configMap('b') })
    await api.ok('DELETE', `${configMaps}/a`)
    await turn()
    expect(shown(stream.events)).toEqual(['ADDED a', 'ADDED b', 'DELETED a'])
    stream.stop()
    await stream.ended
  })

  test('from a revision tells only what came after', async () => {
    const { json } = await api.ok('POST', configMaps, { body: configMap('a') })
    await api.ok('POST', configMaps, { body: configMap('b') })
    const stream = await api.watch(`${configMaps}?watch=true&resourceVersion=${json.metadata.resourceVersion}`)
    await turn()
    expect(shown(stream.events)).toEqual(['ADDED b'])
    stream.stop()
  })

  test('with sendInitialEvents marks the end of the initial events', async () => {
    await api.ok('POST', configMaps, { body: configMap('a') })
    const stream = await api.watch(
      `${configMaps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    )
    await turn()
    expect(stream.events[1]).toEqual({
      type: 'BOOKMARK',
      object: {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(start + 1), annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    })
    stream.stop()
  })

  test('gets a bookmark each minute that something happened, and ends in time', async () => {
    const stream = await api.watch(`${configMaps}?watch=true&resourceVersion=${start}&allowWatchBookmarks=true&timeoutSeconds=100`)
    await turn()
    await api.ok('POST', '/api/v1/namespaces/default/secrets', { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } } })
    await api.clock.advance(61_000)
    expect(stream.events).toEqual([
      { type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: String(start + 1) } } },
    ])
    await api.clock.advance(60_000)
    await stream.ended
    expect(stream.events.length).toBe(1)
  })

  test('as a table says the columns once', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const stream = await api.watch(`${configMaps}?watch=true&resourceVersion=${start}`, { headers: { accept } })
    await turn()
    await api.ok('POST', configMaps, { body: configMap('a') })
    await api.ok('POST', configMaps, { body: configMap('b') })
    await turn()
    expect(
      stream.events.map((event) => [event.object.kind, event.object.columnDefinitions?.[0].name, event.object.rows[0].cells[0]]),
    ).toEqual([
      ['Table', 'Name', 'a'],
      ['Table', undefined, 'b'],
    ])
    stream.stop()
  })

  test('without a timer left behind', async () => {
    const stream = await api.watch(`${configMaps}?watch=true&allowWatchBookmarks=true`)
    await turn()
    stream.stop()
    await stream.ended
    expect(api.clock.pending).toBe(0)
  })
})

describe('what is not served', () => {
  test('a resource that nobody knows is not found', async () => {
    const { status, json } = await api.call('GET', '/apis/nobody.example.com/v1/things')
    expect([status, json.message]).toEqual([404, 'the server could not find the requested resource'])
  })

  test('a verb that the resource has not is not allowed', async () => {
    const { status, json } = await api.call('POST', '/api/v1/configmaps', { body: configMap('one') })
    expect([status, json.reason, json.message]).toEqual([
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
    ])
  })

  test('a form that nobody speaks is not acceptable', async () => {
    const { status, json } = await api.call('GET', configMaps, { headers: { accept: 'text/html' } })
    expect([status, json.message]).toEqual([
      406,
      'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ])
  })
})
