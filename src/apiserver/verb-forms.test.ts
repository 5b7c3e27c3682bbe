// How requests say what they want and what they get: media types, tables and metadata alone, options of deletes, lists of any age.
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeObject } from '#api/protobuf/envelope'
import { builtinSchema } from '#api/schema/builtin'
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
const controllers = '/api/v1/namespaces/default/replicationcontrollers'
const controller = {
  apiVersion: 'v1',
  kind: 'ReplicationController',
  metadata: { name: 'one' },
  spec: {
    replicas: 2,
    selector: { a: 'b' },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
}
const types = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'
const as = (kind: string, media = 'json'): Record<string, string> => ({ accept: `application/${media};as=${kind};g=meta.k8s.io;v=v1` })

describe('a form that is not served', () => {
  // CBOR is behind a feature gate that is off unless somebody turns it on.
  test.each([
    ['GET', configMaps, { accept: 'application/cbor' }, 406, `only the following media types are accepted: ${types}`],
    ['GET', configMaps, as('Table', 'vnd.kubernetes.protobuf'), 406, `only the following media types are accepted: ${types}`],
    [
      'GET',
      `${configMaps}?watch=true`,
      { accept: 'application/yaml' },
      406,
      'only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
    ],
    [
      'POST',
      configMaps,
      { 'content-type': 'application/cbor' },
      415,
      `the body of the request was in an unknown format - accepted media types include: ${types}`,
    ],
    [
      'PATCH',
      `${configMaps}/x`,
      { 'content-type': 'application/apply-patch+cbor' },
      415,
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    ],
    [
      'DELETE',
      `${configMaps}/x`,
      { 'content-type': 'application/cbor' },
      415,
      `the body of the request was in an unknown format - accepted media types include: ${types}`,
    ],
  ])('%s %s %o is refused', async (method, path, headers, code, message) => {
    const { status, json } = await api.call(method, path, { headers, body: 'x' })
    expect([status, json.code, json.message]).toEqual([code, code, message])
  })
})

test.each([
  ['PUT', configMaps],
  ['PATCH', configMaps],
  ['POST', `${configMaps}/one`],
  ['POST', `${configMaps}/one?watch=true`],
  ['POST', '/api/v1/configmaps'],
  ['DELETE', '/api/v1/namespaces'],
])('%s %s is not allowed', async (method, path) => {
  const { status, json } = await api.call(method, path, { body: configMap('one') })
  expect([status, json.message]).toEqual([405, 'the server does not allow this method on the requested resource'])
})

test.each([configMaps, `${configMaps}/one`])('HEAD %s is not allowed: Kubernetes routes it to proxies only', async (path) => {
  expect((await api.call('HEAD', path)).status).toBe(405)
})

test('indented JSON ends with its last brace', async () => {
  await api.ok('POST', configMaps, { body: configMap('one') })
  const text = (await api.ok('GET', `${configMaps}/one?pretty=1`)).bytes.toString()
  expect(text).toBe(JSON.stringify(JSON.parse(text), null, 2))
})

describe('a part of an object', () => {
  test('can be had as a table, or as its metadata', async () => {
    await api.ok('POST', controllers, { body: controller })
    const table = await api.ok('GET', `${controllers}/one/scale`, { headers: as('Table') })
    expect([table.json.kind, table.json.rows[0].cells]).toEqual(['Table', ['one', 2, 0, '0s']])
    const partial = await api.ok('GET', `${controllers}/one/scale`, { headers: as('PartialObjectMetadata') })
    expect([partial.json.kind, partial.json.apiVersion, partial.json.metadata.name]).toEqual([
      'PartialObjectMetadata',
      'meta.k8s.io/v1',
      'one',
    ])
    const list = await api.call('GET', `${controllers}/one/scale`, { headers: as('PartialObjectMetadataList') })
    expect([list.status, list.json.message]).toEqual([
      406,
      'you requested PartialObjectMetadataList, but the requested object is not a list (*Scale)',
    ])
  })
})

describe('lists', () => {
  test('of any age are answered whole, whatever their limit', async () => {
    for (const name of ['a', 'b', 'c']) await api.ok('POST', configMaps, { body: configMap(name) })
    const whole = await api.ok('GET', `${configMaps}?limit=2&resourceVersion=0`)
    expect([whole.json.items.length, whole.json.metadata.continue]).toEqual([3, undefined])
    const paged = await api.ok('GET', `${configMaps}?limit=2`)
    expect([paged.json.items.length, paged.json.metadata.remainingItemCount]).toEqual([2, 1])
    const rest = await api.ok('GET', `${configMaps}?limit=2&resourceVersion=0&continue=${paged.json.metadata.continue}`)
    expect(rest.json.items.length).toBe(1)
  })

  // covers: [sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Conformance]
  test('can be continued when what they showed is forgotten, with what is there now', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `template-${String(i).padStart(2, '0')}`)
    for (const name of names) await api.ok('POST', configMaps, { body: configMap(name) })
    const page = (token: string) => api.call('GET', `${configMaps}?limit=10&continue=${token}`)
    const first = (await api.ok('GET', `${configMaps}?limit=10`)).json
    await api.clock.advance(4 * 60_000)
    expect((await page(first.metadata.continue)).status).toBe(200)
    await api.ok('POST', configMaps, { body: configMap('template-15-late') })
    await api.clock.advance(61_000)
    const refused = await page(first.metadata.continue)
    expect([refused.status, refused.json.reason, refused.json.code]).toEqual([410, 'Expired', 410])
    expect(refused.json.message).toMatch(
      /^The provided continue parameter is too old to display a consistent list result\. You can start a new list/,
    )
    const second = (await page(refused.json.metadata.continue)).json
    expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion)
    expect(second.metadata.remainingItemCount).toBe(21)
    const found = second.items
    let last = second
    while (last.metadata.continue !== undefined) {
      last = (await page(last.metadata.continue)).json
      expect(last.metadata.resourceVersion).toBe(second.metadata.resourceVersion)
      found.push(...last.items)
    }
    const expected = [...names.slice(10), 'template-15-late'].sort()
    expect(found.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(expected)
  })

  test('by two names at once are empty', async () => {
    await api.ok('POST', configMaps, { body: configMap('foo') })
    await api.ok('POST', configMaps, { body: configMap('bar') })
    for (const selector of [
      'metadata.name=foo,metadata.name=bar',
      'metadata.name=foo,metadata.namespace=',
      'metadata.name=foo,metadata.namespace=x',
    ]) {
      const { json } = await api.ok('GET', `${configMaps}?fieldSelector=${encodeURIComponent(selector)}`)
      expect(json.items).toEqual([])
    }
  })
})

test('a large object is compressed for those who take that', async () => {
  const large = { 'accept-encoding': 'gzip' }
  const created = await api.ok('POST', configMaps, { body: configMap('large', { text: 'x'.repeat(200_000) }), headers: large })
  const got = await api.ok('GET', `${configMaps}/large`, { headers: large })
  for (const answer of [created, got]) {
    expect(answer.headers['content-encoding']).toBe('gzip')
    expect(JSON.parse(gunzipSync(answer.bytes).toString()).data.text).toHaveLength(200_000)
  }
  expect((await api.ok('GET', `${configMaps}/large`)).headers['content-encoding']).toBeUndefined()
  await api.ok('POST', configMaps, { body: configMap('small') })
  expect((await api.ok('GET', `${configMaps}/small`, { headers: large })).headers['content-encoding']).toBeUndefined()
})

test('no collection is deleted across namespaces', async () => {
  await api.ok('POST', configMaps, { body: configMap('one') })
  const { status, json } = await api.call('DELETE', '/api/v1/configmaps')
  expect([status, json.reason]).toEqual([405, 'MethodNotAllowed'])
  await api.ok('GET', `${configMaps}/one`)
})

describe('options of a delete', () => {
  test.each([
    [{ apiVersion: 'v1', kind: 'APIResourceList' }, 'decoded object cannot be converted to DeleteOptions'],
    [{ orphanDependents: 'yes' }, 'json: cannot unmarshal string into Go struct field DeleteOptions.orphanDependents of type bool'],
    [
      { apiVersion: false, kind: 'DeleteOptions' },
      'json: cannot unmarshal bool into Go struct field DeleteOptions.apiVersion of type string',
    ],
    [{ preconditions: [] }, 'json: cannot unmarshal array into Go struct field DeleteOptions.preconditions of type v1.Preconditions'],
  ])('%o are refused', async (body, message) => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    for (const path of [`${configMaps}/one`, configMaps]) {
      const { status, json } = await api.call('DELETE', path, { body })
      expect([status, json.reason, json.message]).toEqual([400, 'BadRequest', message])
    }
  })

  test('may be of any group’s version, and have more than is known', async () => {
    await api.ok('POST', configMaps, { body: configMap('one') })
    await api.ok('DELETE', `${configMaps}/one`, { body: { apiVersion: 'foo/v1', kind: 'DeleteOptions', gracePeriodSeconds: 1, more: 1 } })
  })
})

describe('bodies of more fields and items than anybody has use for', () => {
  const many = Array.from({ length: 60_000 }, (_, i) => `"k${i}":"v"`).join()
  const message = 'Request entity too large: limit is 50000 fields and items'

  test.each([
    ['POST', configMaps, 'json', `{"metadata":{"name":"one"},"data":{${many}}}`],
    ['POST', configMaps, 'json', `{"metadata":{"name":"one","finalizers":[${'"a",'.repeat(60_000)}"b"]}}`],
    ['PATCH', `${configMaps}/there`, 'merge-patch+json', `{"data":{${many}}}`],
    ['PATCH', `${configMaps}/there`, 'strategic-merge-patch+json', `{"data":{${many}}}`],
    ['PATCH', `${configMaps}/one?fieldManager=m`, 'apply-patch+yaml', `{"data":{${many}}}`],
    ['DELETE', `${configMaps}/one`, 'json', `{${many}}`],
  ])('%s %s as %s are refused at once', async (method, path, type, body) => {
    await api.ok('POST', configMaps, { body: configMap('there') })
    const { status, json } = await api.call(method, path, { body, headers: { 'content-type': `application/${type}` } })
    expect([status, json.reason, json.message]).toEqual([413, 'RequestEntityTooLarge', message])
  })

  test('are refused in protobuf as well', async () => {
    const data = JSON.parse(`{${many}}`) as unknown
    const body = Buffer.from(
      encodeObject(builtinSchema('v1', 'ConfigMap'), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one' }, data }),
    )
    const { status, json } = await api.call('POST', configMaps, {
      body,
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
    })
    expect([status, json.message]).toEqual([413, message])
  })

  test('may be white space', async () => {
    const body = `{"metadata":{"name":"one"}${' '.repeat(3_000_000)}}`
    expect((await api.call('POST', configMaps, { body })).status).toBe(201)
  })
})

test('an object that is too large with its managed fields goes without them', async () => {
  const data = Object.fromEntries(Array.from({ length: 45_000 }, (_, i) => [`k${10_000 + i}`, 'value-of-one']))
  const created = await api.ok('POST', configMaps, { body: configMap('large', data) })
  expect([Object.keys(created.json.data).length, created.json.metadata.managedFields]).toEqual([45_000, undefined])
  const patched = await api.ok('PATCH', `${configMaps}/large`, {
    body: { data: { more: 'x' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  })
  expect(patched.json.data.more).toBe('x')
})
