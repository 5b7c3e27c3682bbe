// Bodies and patches that say they are something else than their path, or nothing, or of nowhere.
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
const widgets = '/apis/example.com/v1/namespaces/default/widgets'
const mergePatch = { 'content-type': 'application/merge-patch+json' }
const strategic = { 'content-type': 'application/strategic-merge-patch+json' }
const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' }
const scheme = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'

async function said(method: string, path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<unknown[]> {
  const { status, json } = await api.call(method, path, { body, headers })
  return [status, json.message]
}

describe('a built-in kind', () => {
  beforeEach(async () => {
    await api.ok('POST', configMaps, { body: { metadata: { name: 'one' }, data: { a: 'b' } } })
  })

  const patched = (type: string): string => expect.stringMatching(new RegExp(`^ "" is invalid: patch: Invalid value: "\\{.*\\}": ${type}`))

  test.each<[string, string, unknown]>([
    ['an unknown kind', '{"kind":"Foo"}', patched('no kind "Foo" is registered for version "v1"')],
    ['another kind', '{"kind":"Secret"}', patched(String.raw`converting \(v1.Secret\) to \(core.ConfigMap\): unknown conversion`)],
  ])('is not made %s by a merge patch', async (_what, patch, message) => {
    expect(await said('PATCH', `${configMaps}/one`, patch, mergePatch)).toEqual([422, message])
  })

  test('stays what it is, whatever a strategic merge patch says, or when a merge patch takes that away', async () => {
    for (const headers of [strategic, mergePatch]) {
      const { json } = await api.ok('PATCH', `${configMaps}/one`, {
        body: headers === strategic ? '{"kind":"Foo"}' : '{"kind":null}',
        headers,
      })
      expect([json.kind, json.apiVersion, json.data]).toEqual(['ConfigMap', 'v1', { a: 'b' }])
    }
  })

  test('has a name and a namespace, and keeps them', async () => {
    const path = `${configMaps}/one`
    const nameless = 'the name of the object (one based on URL) was undeterminable: name must be provided'
    const other = 'the name of the object (two) does not match the name on the URL (one)'
    const away = 'the namespace of the provided object does not match the namespace sent on the request'
    expect(await said('PUT', path, '{}')).toEqual([400, nameless])
    expect(await said('PATCH', path, '{"metadata":{"name":null}}', mergePatch)).toEqual([400, nameless])
    expect(await said('PUT', path, '{"metadata":{"name":"two"}}')).toEqual([400, other])
    expect(await said('PATCH', path, '{"metadata":{"name":"two"}}', strategic)).toEqual([400, other])
    expect(await said('PUT', path, '{"metadata":{"name":"two","namespace":"kube-system"}}')).toEqual([400, away])
  })

  test('in protobuf: no envelope, an unknown kind, a message that breaks off', async () => {
    const none = 'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]'
    const start = 'the object provided is unrecognized (must be of type ConfigMap)'
    expect(await said('POST', configMaps, Buffer.from('{}'), protobuf)).toEqual([400, `${start}: ${none} ({})`])
    const whole = Buffer.from(encodeObject(builtinSchema('v1', 'ConfigMap'), { apiVersion: 'v1', kind: 'Foo', metadata: { name: 'a' } }))
    const unknown = `Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version "v1" ${scheme}`
    expect(await said('POST', configMaps, whole, protobuf)).toEqual([400, unknown])
    const broken = expect.stringContaining(`${start}: `)
    expect(await said('POST', configMaps, whole.subarray(0, 12), protobuf)).toEqual([400, broken])
  })
})

test.each([
  ['', 'invalid object type: /, Kind='],
  ['null', 'invalid object type: /, Kind='],
  ['{"kind":"ConfigMap"}', 'invalid object type: /, Kind=ConfigMap'],
  [
    '[]',
    'error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
  ],
])('%j is nothing to apply', async (body, message) => {
  expect(await said('PATCH', `${configMaps}/one?fieldManager=f`, body, { 'content-type': 'application/apply-patch+yaml' })).toEqual([
    400,
    message,
  ])
})

test('an object that is meant by its uid and is gone is a conflict, not another one', async () => {
  const why =
    'Operation cannot be fulfilled on configmaps "gone": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/gone, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: '
  expect(await said('PUT', `${configMaps}/gone`, '{"metadata":{"name":"gone","uid":"x"}}')).toEqual([409, why])
  const absent = 'configmaps "gone" not found'
  expect(await said('PUT', `${configMaps}/gone`, '{"metadata":{"name":"gone","resourceVersion":"5"}}')).toEqual([404, absent])
  expect(await said('PATCH', `${configMaps}/gone`, '{"metadata":{"uid":"x"}}', mergePatch)).toEqual([404, absent])
})

test('a scale of another namespace is refused', async () => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const controllers = '/api/v1/namespaces/default/replicationcontrollers'
  await api.ok('POST', controllers, { body: { metadata: { name: 'one' }, spec: { replicas: 1, selector: { a: 'b' }, template } } })
  const scale = '{"metadata":{"name":"one","namespace":"other"},"spec":{"replicas":3}}'
  const away = 'the namespace of the provided object does not match the namespace sent on the request'
  expect(await said('PUT', `${controllers}/one/scale`, scale)).toEqual([400, away])
})

describe('a custom resource', () => {
  beforeEach(async () => {
    const spec = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } }
    await api.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      body: {
        metadata: { name: 'widgets.example.com' },
        spec: {
          group: 'example.com',
          scope: 'Namespaced',
          names: { plural: 'widgets', kind: 'Widget' },
          versions: [
            { name: 'v1', served: true, storage: true, schema },
            { name: 'v2', served: true, storage: false, schema },
          ],
        },
      },
    })
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    await api.ok('POST', widgets, { body: widget('one') })
  })

  const widget = (name: string, apiVersion = 'example.com/v1', kind = 'Widget'): string =>
    JSON.stringify({ apiVersion, kind, metadata: { name }, spec: {} })
  const as = (why: string): string => `Widget in version "v1" cannot be handled as a Widget: ${why}`
  const ofVersion = (version: string): string =>
    `the API version in the data (${version}) does not match the expected API version (example.com/v1)`

  test.each<[string, string, number, string]>([
    ['no kind', '{"metadata":{"name":"a"}}', 400, as(`Object 'Kind' is missing in '{"metadata":{"name":"a"}}'`)],
    ['no version', '{"kind":"Widget","metadata":{"name":"a"}}', 400, ofVersion('')],
    ['another version', widget('a', 'example.com/v2'), 400, ofVersion('example.com/v2')],
    [
      'another kind',
      widget('a', 'example.com/v1', 'Foo'),
      422,
      'Widget.example.com "a" is invalid: kind: Invalid value: "Foo": must be Widget',
    ],
    [
      'no metadata',
      '{"apiVersion":"example.com/v1","kind":"Widget"}',
      422,
      'Widget.example.com "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    [
      'no object for metadata',
      '{"apiVersion":"example.com/v1","kind":"Widget","metadata":[]}',
      400,
      as('json: cannot unmarshal array into Go value of type v1.ObjectMeta'),
    ],
    [
      'no text for a name',
      '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":1}}',
      400,
      as('json: cannot unmarshal number into Go struct field ObjectMeta.name of type string'),
    ],
  ])('of %s is not created', async (_what, body, status, message) => {
    expect(await said('POST', widgets, body)).toEqual([status, message])
  })

  test('is not created from protobuf', async () => {
    const body = Buffer.from(encodeObject(builtinSchema('v1', 'ConfigMap'), { apiVersion: 'example.com/v1', kind: 'Widget', metadata: {} }))
    const why =
      'object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message'
    expect(await said('POST', widgets, body, protobuf)).toEqual([400, as(why)])
  })

  test.each<[string, number, unknown]>([
    ['{"kind":"Foo"}', 422, 'Widget.example.com "one" is invalid: kind: Invalid value: "Foo": must be Widget'],
    ['{"kind":null}', 422, expect.stringMatching(/^ "" is invalid: patch: Invalid value: "\{.*\}": Object 'Kind' is missing in '\{.*\}'$/)],
    [
      '{"apiVersion":"example.com/v2"}',
      422,
      'Widget.example.com "one" is invalid: apiVersion: Invalid value: "example.com/v2": must be example.com/v1',
    ],
    ['{"metadata":null}', 400, 'the name of the object (one based on URL) was undeterminable: name must be provided'],
  ])('is not patched with %s', async (patch, status, message) => {
    expect(await said('PATCH', `${widgets}/one`, patch, mergePatch)).toEqual([status, message])
  })
})
