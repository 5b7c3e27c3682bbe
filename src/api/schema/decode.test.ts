import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resources } from '../generated/resources.ts'
import { arbitraryInput } from './arbitrary.testing.ts'
import { builtinSchema } from './builtin.ts'
import { compileDecoder, type FieldValidation, strictDecodingText } from './decode.ts'
import type { FieldSchema, StructSchema } from './schema.ts'
import { encodeJson, fromWire, toWire } from './wire.ts'

function decode(apiVersion: string, kind: string, value: unknown, validation: FieldValidation = 'strict') {
  return compileDecoder<Record<string, never>>(builtinSchema(apiVersion, kind))(structuredClone(value), validation)
}

function decodeSpec(spec: unknown): unknown {
  return decode('v1', 'Pod', { spec }).object['spec']
}

describe('what is filled and what is left out', () => {
  test('structs that are no pointers are there, pointers are not', () => {
    expect(decode('v1', 'Pod', {}).object).toEqual({ metadata: {}, spec: { containers: [] }, status: {} })
    expect(decode('apps/v1', 'Deployment', { spec: {} }).object).toEqual({
      metadata: {},
      spec: { template: { metadata: {}, spec: { containers: [] } }, strategy: {} },
      status: {},
    })
  })

  test('an object that is null is an empty one', () => {
    expect(decode('v1', 'Namespace', null).object).toEqual({ metadata: {}, spec: {}, status: {} })
  })

  test('required fields get their zero value', () => {
    expect(decodeSpec({ containers: [{}] })).toEqual({ containers: [{ name: '', resources: {} }] })
    expect(decode('v1', 'Event', {}).object).toEqual({
      metadata: {},
      involvedObject: {},
      source: {},
      reportingComponent: '',
      reportingInstance: '',
    })
  })

  test('empty values of fields with omitempty go, those of pointers stay', () => {
    const spec = {
      containers: [],
      nodeName: '',
      tolerations: [],
      nodeSelector: {},
      hostNetwork: false,
      priority: 0,
      enableServiceLinks: false,
    }
    expect(decodeSpec(spec)).toEqual({ containers: [], enableServiceLinks: false, priority: 0 })
  })

  test('nulls go, in lists they become zero values', () => {
    expect(decodeSpec({ containers: null, volumes: null, securityContext: null, nodeName: null })).toEqual({ containers: [] })
    expect(decodeSpec({ containers: [{ name: 'a', command: [null, 'x'], resources: null }, null] })).toEqual({
      containers: [
        { name: 'a', command: ['', 'x'], resources: {} },
        { name: '', resources: {} },
      ],
    })
    expect(decode('v1', 'ConfigMap', { data: { a: null } }).object).toMatchObject({ data: { a: '' } })
  })

  test('numbers, texts and times get their canonical form', () => {
    const resources = { limits: { cpu: 2, memory: '1024Mi', 'x/y': '1000m' } }
    expect(decodeSpec({ containers: [{ resources }] })).toMatchObject({
      containers: [{ resources: { limits: { cpu: '2', memory: '1Gi', 'x/y': '1' } } }],
    })
    expect(decode('v1', 'Pod', { metadata: { creationTimestamp: '2024-01-01T01:00:00.5+01:00' } }).object['metadata']).toEqual({
      creationTimestamp: '2024-01-01T00:00:00Z',
    })
    expect(decode('v1', 'Secret', { data: { a: 'aR==' } }).object['data']).toEqual({ a: 'aQ==' })
    expect(decode('v1', 'Service', { spec: { ports: [{ port: 80, targetPort: 'http' }, { port: 81 }] } }).object['spec']).toMatchObject({
      ports: [
        { port: 80, targetPort: 'http' },
        { port: 81, targetPort: 0 },
      ],
    })
  })

  test('fields stand in canonical order, map keys are sorted', () => {
    const given = {
      status: {},
      spec: { containers: [], nodeName: 'n' },
      metadata: { name: 'p', labels: { b: '1', a: '2' } },
      kind: 'Pod',
      apiVersion: 'v1',
    }
    expect(JSON.stringify(decode('v1', 'Pod', given).object)).toBe(
      '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"2","b":"1"}},"spec":{"containers":[],"nodeName":"n"},"status":{}}',
    )
  })

  test('keys such as __proto__ and constructor are plain data', () => {
    const text = '{"metadata":{"labels":{"b":"1","__proto__":"x","constructor":"y"}},"data":{"__proto__":"z"}}'
    const { object } = compileDecoder(builtinSchema('v1', 'ConfigMap'))(JSON.parse(text), 'strict')
    expect(JSON.stringify(object)).toBe('{"metadata":{"labels":{"__proto__":"x","b":"1","constructor":"y"}},"data":{"__proto__":"z"}}')
    expect(Object.getPrototypeOf((object as { data: object }).data)).toBe(Object.prototype)
  })

  test('raw values are kept as they are', () => {
    const data = { z: null, a: { b: [null, {}] } }
    expect(decode('apps/v1', 'ControllerRevision', { data }).object['data']).toEqual(data)
  })

  test('schemas in CustomResourceDefinitions are decoded to any depth', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'string', bogus: 1 } }, b: { additionalProperties: false } },
    }
    const crd = { spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema: schema } }] } }
    const { object, problems } = decode('apiextensions.k8s.io/v1', 'CustomResourceDefinition', crd)
    expect(problems).toEqual(['unknown field "spec.versions[0].schema.openAPIV3Schema.properties.a.items.bogus"'])
    expect(JSON.stringify(object)).toContain(
      '"properties":{"a":{"type":"array","items":{"type":"string"}},"b":{"additionalProperties":false}}',
    )
  })
})

describe('unknown fields', () => {
  const deployment = {
    spec: { foo: 1, template: { spec: { containers: [{ name: 'a', image: 'b', imgePullPolicy: 'x' }], Volumes: [] } } },
    metadata: { labels: { any: 'thing' }, lables: {} },
  }

  test('are named in document order and pruned', () => {
    const { object, problems } = decode('apps/v1', 'Deployment', deployment)
    expect(problems).toEqual([
      'unknown field "spec.foo"',
      'unknown field "spec.template.spec.containers[0].imgePullPolicy"',
      'unknown field "spec.template.spec.Volumes"',
      'unknown field "metadata.lables"',
    ])
    expect(strictDecodingText(problems.slice(0, 2))).toBe(
      'strict decoding error: unknown field "spec.foo", unknown field "spec.template.spec.containers[0].imgePullPolicy"',
    )
    expect(JSON.stringify(object)).not.toMatch(/foo|imge|Volumes|lables/)
  })

  test('are pruned silently when they are to be ignored', () => {
    const { object, problems } = decode('apps/v1', 'Deployment', deployment, 'ignore')
    expect(problems).toEqual([])
    expect(object['spec']).not.toHaveProperty('foo')
  })

  test('are named at most a hundred times', () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x${i}`, 1]))
    expect(decode('v1', 'Pod', many).problems).toHaveLength(100)
  })
})

describe('types that do not fit', () => {
  test.each<[string, string, unknown, string]>([
    [
      'apps/v1',
      'Deployment',
      { spec: { replicas: '3' } },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'apps/v1',
      'Deployment',
      { spec: { replicas: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'apps/v1',
      'Deployment',
      { spec: { replicas: 3e9 } },
      'json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    ['v1', 'Pod', [], 'json: cannot unmarshal array into Go value of type v1.Pod'],
    ['v1', 'Pod', { metadata: 'x' }, 'json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta'],
    [
      'v1',
      'Pod',
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      'v1',
      'Pod',
      { spec: { containers: [{ name: 5 }] } },
      'json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string',
    ],
    [
      'v1',
      'Pod',
      { spec: { containers: [{ command: ['a', 5] }] } },
      'json: cannot unmarshal number into Go struct field Container.spec.containers.command of type string',
    ],
    [
      'v1',
      'Pod',
      { spec: { restartPolicy: true } },
      'json: cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy',
    ],
    [
      'v1',
      'Pod',
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      'v1',
      'Pod',
      { metadata: { labels: 'a=b' } },
      'json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string',
    ],
    [
      'v1',
      'Pod',
      { metadata: { creationTimestamp: 5 } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string',
    ],
    [
      'v1',
      'Service',
      { spec: { ports: [{ targetPort: true }] } },
      'json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32',
    ],
    ['v1', 'Pod', { metadata: { creationTimestamp: 'x' } }, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'],
    ['v1', 'Secret', { data: { a: '***' } }, 'illegal base64 data at input byte 0'],
    [
      'v1',
      'Pod',
      { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('%s %s %j', (apiVersion, kind, value, message) => {
    expect(() => decode(apiVersion, kind, value, 'ignore')).toThrow(message)
  })

  test('depth is bounded', () => {
    let deep: unknown = 1
    for (let i = 0; i < 600; i++) deep = { not: deep }
    expect(() => decode('apps/v1', 'ControllerRevision', { data: deep })).toThrow('exceeded max depth')
    let schema: unknown = {}
    for (let i = 0; i < 600; i++) schema = { not: schema }
    const crd = { spec: { versions: [{ schema: { openAPIV3Schema: schema } }] } }
    expect(() => decode('apiextensions.k8s.io/v1', 'CustomResourceDefinition', crd)).toThrow('exceeded max depth')
  })
})

describe('custom resources', () => {
  const field = (name: string, schema: FieldSchema['schema']): [string, FieldSchema] => [
    name,
    { name, schema, required: false, omitEmpty: true, omitZero: false, pointer: true },
  ]
  const struct = (fields: [string, FieldSchema][], more: Partial<StructSchema> = {}): StructSchema => ({
    type: 'struct',
    name: '',
    fields: new Map(fields),
    atomic: false,
    preserveUnknown: false,
    embeddedResource: false,
    ...more,
  })

  test('keep empty values and nulls where null is allowed, and nothing is filled', () => {
    const schema = struct([
      field(
        'spec',
        struct([
          field('size', { type: 'int64' }),
          field('names', { type: 'list', items: { type: 'string', nullable: true }, listType: 'atomic', mapKeys: [] }),
          field('note', { type: 'string', nullable: true }),
          field('gone', { type: 'string' }),
        ]),
      ),
      field('extra', { type: 'map', values: struct([], { nullable: true }), atomic: false }),
    ])
    const given = { extra: { a: null, b: {} }, spec: { note: null, size: 0, names: [null, ''], gone: null, bogus: 1 } }
    const { object, problems } = compileDecoder(schema)(given, 'strict')
    expect(object).toEqual({ extra: { a: null, b: {} }, spec: { size: 0, names: [null, ''], note: null } })
    expect(problems).toEqual(['unknown field "spec.bogus"'])
  })

  test('keep unknown fields where the schema says so', () => {
    const schema = struct([field('a', { type: 'string' })], { preserveUnknown: true })
    expect(compileDecoder(schema)({ z: [null], a: 'x', __proto: 1 }, 'strict')).toEqual({
      object: { a: 'x', z: [null], __proto: 1 },
      problems: [],
    })
  })
})

describe('the nulls of the wire', () => {
  test('times that are not set are null, except where they are left out', () => {
    const { object } = decode('v1', 'Pod', {
      status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2024-01-01T00:00:00Z' }] },
    })
    const text = encodeJson(builtinSchema('v1', 'Pod'), object)
    expect(text).toContain('{"type":"Ready","status":"True","lastTransitionTime":"2024-01-01T00:00:00Z","lastProbeTime":null}')
    expect(text).not.toContain('creationTimestamp')
    expect(JSON.stringify(object)).not.toContain('null')
  })

  test('empty lists and pointers without omitempty are null', () => {
    const role = decode('rbac.authorization.k8s.io/v1', 'ClusterRole', { rules: [] }).object
    expect(role).toEqual({ metadata: {}, rules: [] })
    expect(encodeJson(builtinSchema('rbac.authorization.k8s.io/v1', 'ClusterRole'), role)).toBe('{"metadata":{},"rules":null}')
    const claim = decode('v1', 'PersistentVolumeClaim', { spec: { dataSource: { kind: 'A', name: 'b' } } }).object
    expect(toWire(builtinSchema('v1', 'PersistentVolumeClaim'), claim)).toMatchObject({ spec: { dataSource: { apiGroup: null } } })
  })

  test('what is not affected is shared', () => {
    const { object } = decode('v1', 'Pod', { spec: { containers: [{ name: 'a' }] } })
    expect(toWire(builtinSchema('v1', 'Pod'), object)).toBe(object)
  })
})

describe('for every kind', () => {
  const kinds = Object.values(resources).map(
    (facts) => [facts.group === '' ? facts.version : `${facts.group}/${facts.version}`, facts.kind] as const,
  )

  test.each(kinds)('%s %s: decoding again changes nothing, and the wire gives back the object', (apiVersion, kind) => {
    const schema = builtinSchema(apiVersion, kind)
    const decodeKind = compileDecoder(schema)
    fc.assert(
      fc.property(arbitraryInput(schema), (input) => {
        const text = JSON.stringify(decodeKind(structuredClone(input), 'strict').object)
        expect(JSON.stringify(decodeKind(JSON.parse(text), 'strict').object)).toBe(text)
        const wire = encodeJson(schema, JSON.parse(text))
        expect(JSON.stringify(fromWire(schema, JSON.parse(wire)))).toBe(text)
        expect(JSON.stringify(decodeKind(JSON.parse(wire), 'strict').object)).toBe(text)
      }),
      { numRuns: 20 },
    )
  })
})
