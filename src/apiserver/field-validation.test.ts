// What strict and warning field validation say of unknown and doubled fields (KEP-2885): by every verb and form of a body, for
// built-in kinds and for custom resources.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeAll(async () => {
  api = await openTestCore()
  await api.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition('gadgets', false) })
  await api.ok('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: definition('looses', true) })
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
})

afterAll(async () => {
  await api.close()
})

function definition(plural: string, loose: boolean): object {
  const item = { type: 'object', required: ['port'], properties: { port: { type: 'integer' }, hostPort: { type: 'integer' } } }
  const spec = {
    type: 'object',
    ...(loose ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    properties: {
      known: { type: 'string' },
      ports: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['port'], items: item },
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural, kind: plural === 'gadgets' ? 'Gadget' : 'Loose' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec } } } }],
    },
  }
}

const deployments = '/apis/apps/v1/namespaces/default/deployments'
const yaml = { 'content-type': 'application/yaml' }
const typeOf = (type: string): Record<string, string> => ({ 'content-type': `application/${type}` })
let count = 0

async function told(
  method: string,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<{ strict: Answer; warnings: readonly string[] }> {
  const joined = (validation: string): string => `${path}${path.includes('?') ? '&' : '?'}fieldValidation=${validation}`
  const strict = await api.call(method, joined('Strict'), { body, headers })
  const warned = await api.ok(method, path, { body, headers })
  expect((await api.call(method, joined('Ignore'), { body: body.replaceAll('NAME', 'other'), headers })).warnings).toEqual([])
  return { strict, warnings: warned.warnings }
}

describe('a built-in kind', () => {
  const name = (): string => `d${++count}`
  const jsonBody = (
    name: string,
  ): string => `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"${name}","labels":{"app":"x"}},
    "spec":{"unknown1":"a","unknownDupe":"a","unknownDupe":"b","paused":true,"paused":false,"selector":{"matchLabels":{"app":"x"}},
      "template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[
        {"name":"c","image":"i","unknownNested":"a","imagePullPolicy":"Always","imagePullPolicy":"Never"}]}}}}`
  const yamlBody = (name: string): string => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  unknown1: a
  unknownDupe: a
  unknownDupe: b
  paused: true
  paused: false
  selector:
    matchLabels: {app: x}
  template:
    metadata:
      labels: {app: x}
    spec:
      containers:
      - name: c
        image: i
        unknownNested: a
        imagePullPolicy: Always
        imagePullPolicy: Never
`
  const valid = (name: string): object => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  const inTextOrder = [
    'unknown field "spec.unknown1"',
    'unknown field "spec.unknownDupe"',
    'duplicate field "spec.paused"',
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
  ]
  const unknownSorted = [
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'unknown field "spec.unknown1"',
    'unknown field "spec.unknownDupe"',
  ]

  test('in JSON: all in the order of the text; what is unknown is not doubled as well', async () => {
    const { strict, warnings } = await told('POST', deployments, jsonBody(name()))
    expect([strict.status, strict.json.reason, strict.json.message]).toEqual([
      400,
      'BadRequest',
      `Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ${inTextOrder.join(', ')}`,
    ])
    expect(warnings).toEqual(inTextOrder)
  })

  test('in YAML: keys that stand twice by their lines, then unknown fields', async () => {
    const { strict, warnings } = await told('POST', deployments, yamlBody(name()), yaml)
    const lines = [
      'line 8: key "unknownDupe" already set in map',
      'line 10: key "paused" already set in map',
      'line 22: key "imagePullPolicy" already set in map',
    ]
    expect(strict.json.message).toBe(
      `Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: yaml: unmarshal errors:\n${lines.map((line) => `  ${line}`).join('\n')}, ${unknownSorted.join(', ')}`,
    )
    expect(warnings).toEqual([...lines, ...unknownSorted])
  })

  test('replaced: as created', async () => {
    const own = name()
    await api.ok('POST', deployments, { body: valid(own) })
    expect((await told('PUT', `${deployments}/${own}`, jsonBody(own))).warnings).toEqual(inTextOrder)
  })

  const doubled = [
    'duplicate field "spec.unknownDupe"',
    'duplicate field "spec.paused"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
  ]
  const patchBody = `{"spec":{"unknown1":"a","unknownDupe":"a","unknownDupe":"b","paused":true,"paused":false,"template":{"spec":{"containers":[
    {"name":"c","image":"i","unknownNested":"a","imagePullPolicy":"Always","imagePullPolicy":"Never"}]}}}}`

  test.each(['merge-patch+json', 'strategic-merge-patch+json'])(
    'by a %s: what the patch doubles, then what the result has too much',
    async (type) => {
      const own = name()
      await api.ok('POST', deployments, { body: valid(own) })
      const { strict, warnings } = await told('PATCH', `${deployments}/${own}`, patchBody, typeOf(type))
      expect(warnings).toEqual([...doubled, ...unknownSorted])
      expect([strict.status, strict.json.reason]).toEqual([422, 'Invalid'])
      expect(strict.json.message).toContain(`: strict decoding error: ${[...doubled, ...unknownSorted].join(', ')}`)
    },
  )

  test('by a JSON patch: what its operations have too much or double, then what the result has too much', async () => {
    const own = name()
    await api.ok('POST', deployments, { body: valid(own) })
    const body = `[{"op":"add","path":"/spec/unknown1","value":"a","foo":"bar"},
      {"op":"add","path":"/spec/unknown2","path":"/spec/unknown3","value":"a"},
      {"op":"add","path":"/spec/paused","value":true},{"op":"add","path":"/spec/paused","value":false},
      {"op":"add","path":"/spec/template/spec/containers/0/unknownNested","value":"a"}]`
    const { strict, warnings } = await told('PATCH', `${deployments}/${own}`, body, typeOf('json-patch+json'))
    const expected = [
      'json patch unknown field "[0].foo"',
      'json patch duplicate field "[1].path"',
      'unknown field "spec.template.spec.containers[0].unknownNested"',
      'unknown field "spec.unknown1"',
      'unknown field "spec.unknown3"',
    ]
    expect(warnings).toEqual(expected)
    expect(strict.json.message).toContain(`strict decoding error: ${expected.join(', ')}`)
  })

  test('applied: what stands twice, by lines; unknown fields are refused always', async () => {
    const own = name()
    const body = `apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: ${own}\nspec:\n  paused: true\n  paused: false\n  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x}}\n    spec:\n      containers: [{name: c, image: i}]\n`
    const path = `${deployments}/${own}?fieldManager=m`
    const { strict, warnings } = await told('PATCH', path, body, typeOf('apply-patch+yaml'))
    expect(strict.json.message).toBe(
      'error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key "paused" already set in map',
    )
    expect(warnings).toEqual(['line 7: key "paused" already set in map'])
    const asJson = `{"apiVersion":"apps/v1","kind":"Deployment",\n"metadata":{"name":"${own}"},\n"spec":{"paused":true,\n"paused":false}}`
    const again = await api.call('PATCH', `${path}&force=true`, { body: asJson, headers: typeOf('apply-patch+yaml') })
    expect(again.warnings).toEqual(['line 4: key "paused" already set in map'])
    const unknown = await api.call('PATCH', `${path}&fieldValidation=Ignore`, {
      body: asJson.replace('"paused":true', '"foo":1'),
      headers: typeOf('apply-patch+yaml'),
    })
    expect([unknown.status, unknown.json.message]).toEqual([
      400,
      `failed to create typed patch object (/${own}; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema`,
    ])
  })
})

// covers: [sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields
describe.each([
  ['Gadget', 'gadgets', true],
  ['Loose', 'looses', false],
] as const)('a custom resource (%s)', (kind, plural, prunes) => {
  const path = `/apis/example.com/v1/namespaces/default/${plural}`
  const name = (): string => `g${++count}`
  const spec = `"spec":{"unknown1":"a","unknownDupe":"a","unknownDupe":"b","known":"a","known":"b",
    "ports":[{"port":80,"hostPort":1,"hostPort":2,"unknownNested":"a"}]}`
  const jsonBody = (name: string): string => `{"apiVersion":"example.com/v1","kind":"${kind}","metadata":{"name":"${name}"},${spec}}`
  const doubled = ['duplicate field "spec.unknownDupe"', 'duplicate field "spec.known"', 'duplicate field "spec.ports[0].hostPort"']
  const unknown = [
    'unknown field "spec.ports[0].unknownNested"',
    ...(prunes ? ['unknown field "spec.unknown1"', 'unknown field "spec.unknownDupe"'] : []),
  ]

  test('in JSON: every field that stands twice, then the unknown ones', async () => {
    const { strict, warnings } = await told('POST', path, jsonBody(name()))
    expect(strict.json.message).toBe(
      `${kind} in version "v1" cannot be handled as a ${kind}: strict decoding error: ${[...doubled, ...unknown].join(', ')}`,
    )
    expect(warnings).toEqual([...doubled, ...unknown])
  })

  test('in YAML: by lines, then the unknown ones', async () => {
    const body = `apiVersion: example.com/v1\nkind: ${kind}\nmetadata:\n  name: ${name()}\nspec:\n  unknown1: a\n  unknownDupe: a\n  unknownDupe: b\n  ports:\n  - port: 80\n    hostPort: 1\n    hostPort: 2\n    unknownNested: a\n`
    const { warnings } = await told('POST', path, body, yaml)
    expect(warnings).toEqual(['line 8: key "unknownDupe" already set in map', 'line 12: key "hostPort" already set in map', ...unknown])
  })

  test('by a merge patch and by a JSON patch', async () => {
    const own = name()
    await api.ok('POST', path, { body: { apiVersion: 'example.com/v1', kind, metadata: { name: own }, spec: { ports: [{ port: 80 }] } } })
    const merged = await told('PATCH', `${path}/${own}`, `{${spec}}`, typeOf('merge-patch+json'))
    expect(merged.warnings).toEqual([...doubled, ...unknown])
    expect([merged.strict.status, merged.strict.json.reason]).toEqual([422, 'Invalid'])
    const body = `[{"op":"add","path":"/spec/unknown1","value":1,"foo":1},{"op":"add","path":"/spec/ports/0/unknownNested","value":1}]`
    const patched = await told('PATCH', `${path}/${own}`, body, typeOf('json-patch+json'))
    expect(patched.warnings).toEqual([
      'json patch unknown field "[0].foo"',
      ...(prunes ? ['unknown field "spec.ports[0].unknownNested"', 'unknown field "spec.unknown1"'] : unknown),
    ])
  })
})
