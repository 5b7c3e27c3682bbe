// Whole numbers that JavaScript has no exact value for, through every way in and out.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeObject, encodeObject } from '#api/protobuf/envelope'
import { builtinSchema } from '#api/schema/builtin'
import { openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  })
})

afterEach(async () => {
  await api.close()
})

const pods = '/api/v1/namespaces/default/pods'
const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf', accept: 'application/vnd.kubernetes.protobuf' }
const pod = (seconds: string): string =>
  `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one"},"spec":{"containers":[{"name":"c","image":"i"}],
    "tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":${seconds}}]}}`
const text = ({ bytes }: { bytes: Buffer }): string => bytes.toString()

const configMaps = '/api/v1/namespaces/default/configmaps'

async function withWidgets(): Promise<string> {
  const properties = {
    spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { size: { type: 'integer', format: 'int64' } } },
  }
  await api.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'widgets', kind: 'Widget' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties } } }],
      },
    },
  })
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  return '/apis/example.com/v1/namespaces/default/widgets'
}

const widget = (spec: string): string => `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"one"},"spec":${spec}}`

describe('whole numbers of 64 bits', () => {
  test.each(['9007199254740993', '9223372036854775807'])('%s of a built-in kind comes back from every verb', async (seconds) => {
    const expected = `"tolerationSeconds":${seconds}`
    const created = await api.call('POST', pods, { body: pod(seconds) })
    expect([created.status, text(created)]).toEqual([201, expect.stringContaining(expected)])
    expect(text(await api.ok('GET', `${pods}/one`))).toContain(expected)
    expect(text(await api.ok('GET', `${pods}/one?pretty=true`))).toContain(`"tolerationSeconds": ${seconds}`)
    expect(text(await api.ok('GET', `${pods}/one`, { headers: { accept: 'application/yaml' } }))).toContain(`tolerationSeconds: ${seconds}`)
    expect(text(await api.ok('GET', pods))).toContain(expected)
    const stored = await api.ok('GET', `${pods}/one`, { headers: { accept: protobuf.accept } })
    const decoded = decodeObject(stored.bytes).object as { spec: { tolerations: { tolerationSeconds: unknown }[] } }
    expect(decoded.spec.tolerations[0]!.tolerationSeconds).toBe(BigInt(seconds))
    const patched = await api.ok('PATCH', `${pods}/one`, {
      body: '{"metadata":{"labels":{"a":"b"}}}',
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
    expect(text(patched)).toContain(expected)
    const replaced = await api.ok('PUT', `${pods}/one`, { body: patched.bytes })
    expect(text(replaced)).toContain(expected)
    await api.ok('DELETE', `${pods}/one?gracePeriodSeconds=0`)
    const again = encodeObject(builtinSchema('v1', 'Pod'), { ...decoded, metadata: { name: 'two' } })
    await api.ok('POST', pods, { body: Buffer.from(again), headers: { 'content-type': protobuf['content-type'] } })
    expect(text(await api.ok('GET', `${pods}/two`))).toContain(expected)
  })

  test('of a built-in kind can be applied, in JSON and in YAML', async () => {
    const apply = { 'content-type': 'application/apply-patch+yaml' }
    const first = await api.ok('PATCH', `${pods}/one?fieldManager=m`, { body: pod('9007199254740993'), headers: apply })
    expect(text(first)).toContain('"tolerationSeconds":9007199254740993')
    const body = `apiVersion: v1\nkind: Pod\nmetadata:\n  name: two\nspec:\n  containers: [{name: c, image: i}]\n  tolerations:\n  - key: k\n    operator: Exists\n    effect: NoExecute\n    tolerationSeconds: 9223372036854775807\n`
    const second = await api.ok('PATCH', `${pods}/two?fieldManager=m`, { body, headers: apply })
    expect(text(second)).toContain('"tolerationSeconds":9223372036854775807')
  })

  test('of a custom resource come back, where its schema names the field and where it does not', async () => {
    const widgets = await withWidgets()
    const spec = '{"deep":{"list":[9223372036854775807,-9007199254740993]},"size":9007199254740993}'
    const created = await api.ok('POST', widgets, { body: widget(spec) })
    const parts = ['"list":[9223372036854775807,-9007199254740993]', '"size":9007199254740993']
    for (const part of parts) expect(text(created)).toContain(part)
    const watch = await api.watch(`${widgets}?watch=true`)
    watch.stop()
    const merged = await api.ok('PATCH', `${widgets}/one`, {
      body: '{"spec":{"more":9007199254740995}}',
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    for (const part of [...parts, '"more":9007199254740995']) expect(text(merged)).toContain(part)
    const patched = await api.ok('PATCH', `${widgets}/one`, {
      body: '[{"op":"test","path":"/spec/more","value":9007199254740995},{"op":"copy","from":"/spec/more","path":"/spec/copied"}]',
      headers: { 'content-type': 'application/json-patch+json' },
    })
    expect(text(patched)).toContain('"copied":9007199254740995')
    const applied = await api.ok('PATCH', `${widgets}/one?fieldManager=m&force=true`, {
      body: widget('{"size":9007199254740997}'),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
    for (const part of [parts[0]!, '"size":9007199254740997']) expect(text(applied)).toContain(part)
    expect(text(await api.ok('GET', widgets))).toContain('"size":9007199254740997')
    expect(
      text(await api.ok('PATCH', `${widgets}/one`, { body: '{}', headers: { 'content-type': 'application/merge-patch+json' } })),
    ).toContain(parts[0])
  })

  test('written as floats are whole numbers to untyped data alone', async () => {
    const widgets = await withWidgets()
    const created = await api.ok('POST', widgets, { body: widget('{"size":1.0,"deep":1e3}') })
    expect(created.json.spec).toEqual({ size: 1, deep: 1000 })
    const typed = await api.call('POST', pods, { body: pod('1.0') })
    expect([typed.status, typed.json.message]).toEqual([
      400,
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number 1.0 into Go struct field Toleration.spec.tolerations.tolerationSeconds of type int64',
    ])
    const large = await api.call('POST', pods, { body: pod('9223372036854775808') })
    expect(large.json.message).toContain('cannot unmarshal number 9223372036854775808 into Go struct field')
    const merged = await api.call('PATCH', `${configMaps}/none`, {
      body: '{}',
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect(merged.status).toBe(404)
  })

  test('in YAML may be written as floats', async () => {
    const body = pod('1.0').replaceAll('"', '').replace(/\n\s*/g, '')
    expect(body).toContain('1.0')
    const created = await api.ok('POST', pods, { body: body.replace(/([:,{])/g, '$1 '), headers: { 'content-type': 'application/yaml' } })
    expect(text(created)).toContain('"tolerationSeconds":1')
  })
})
