import { describe, expect, test } from 'vitest'
import { resources } from '../generated/resources.ts'
import { defineKind, type Kind } from '../kind.ts'
import { readFields } from '../protobuf/special.ts'
import { Reader } from '../protobuf/wire.ts'
import type { FieldSchema, StructSchema } from '../schema/schema.ts'
import type { Json } from './definitions.ts'
import { buildOpenApiV2, buildOpenApiV3, documentText } from './documents.ts'
import { encodeOpenApiV2 } from './gnostic.ts'
import { encodeOpenApiV3 } from './gnostic-v3.ts'

const kinds = Object.keys(resources).map((id) => defineKind(id))
const descriptions = { 'io.k8s.api.apps.v1.DeploymentSpec': { '': 'What is wanted.', replicas: 'How many.' } }
const about = { version: 'v1.36.0-test' }

const apps = buildOpenApiV3(kinds, 'apps/v1', descriptions, about) as unknown as Document
const core = buildOpenApiV3(kinds, 'v1', {}, about) as unknown as Document
const whole = buildOpenApiV2(kinds, descriptions, about) as unknown as Document

interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Definition> }
  definitions: Record<string, Definition>
  parameters: Record<string, Json>
}

interface Operation {
  operationId: string
  description: string
  parameters?: { name?: string; $ref?: string; in?: string; schema?: Json }[]
  responses: Record<string, { content?: Record<string, { schema: Json }>; schema?: Json }>
  requestBody?: { content: Record<string, { schema: Json }> }
  tags: string[]
  'x-kubernetes-action': string
  'x-kubernetes-group-version-kind': Json
}

interface Definition {
  description?: string
  type?: string
  required?: string[]
  properties: Record<string, Json>
  'x-kubernetes-group-version-kind'?: Json[]
}

/** Every reference in a document. */
function references(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref' && typeof inner === 'string') found.add(inner)
    else references(inner, found)
  }
  return found
}

describe('version 3', () => {
  test('holds the kinds of its group-version, with their names', () => {
    const deployment = apps.components.schemas['io.k8s.api.apps.v1.Deployment']!
    expect(deployment['x-kubernetes-group-version-kind']).toEqual([{ group: 'apps', version: 'v1', kind: 'Deployment' }])
    expect(apps.components.schemas['io.k8s.api.core.v1.Pod']).toBeUndefined()
    expect(Object.keys(apps.paths).every((path) => path.startsWith('/apis/apps/v1/'))).toBe(true)
  })

  test('says of fields what they are, their texts and how they are merged', () => {
    const spec = apps.components.schemas['io.k8s.api.apps.v1.DeploymentSpec']!
    expect(spec.description).toBe('What is wanted.')
    expect(spec.required).toEqual(['selector', 'template'])
    expect(spec.properties['replicas']).toEqual({ type: 'integer', format: 'int32', description: 'How many.' })
    expect(spec.properties['template']).toEqual({
      allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec' }],
      default: {},
    })
    expect(spec.properties['strategy']).toMatchObject({ default: {}, 'x-kubernetes-patch-strategy': 'retainKeys' })
    const container = apps.components.schemas['io.k8s.api.core.v1.Container']!
    expect(container.properties['ports']).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.ContainerPort' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'containerPort',
    })
    expect(container.properties['name']).toEqual({ type: 'string', default: '' })
    expect(apps.components.schemas['io.k8s.apimachinery.pkg.api.resource.Quantity']).toEqual({
      oneOf: [{ type: 'string' }, { type: 'number' }],
    })
  })

  test('has an operation for every verb, with the parameters that clients look for', () => {
    const item = apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']!
    expect(Object.keys(item)).toEqual(['get', 'put', 'patch', 'delete', 'parameters'])
    expect(item['patch']).toMatchObject({
      operationId: 'patchAppsV1NamespacedDeployment',
      tags: ['apps_v1'],
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': { group: 'apps', version: 'v1', kind: 'Deployment' },
    })
    expect(item['patch']!.parameters!.map((parameter) => parameter.name)).toEqual(['dryRun', 'fieldManager', 'fieldValidation', 'force'])
    expect(Object.keys(item['patch']!.requestBody!.content)).toContain('application/apply-patch+yaml')
    const collection = apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments']!
    expect(collection['get']!.operationId).toBe('listAppsV1NamespacedDeployment')
    expect(collection['delete']!.operationId).toBe('deleteAppsV1CollectionNamespacedDeployment')
    expect(apps.paths['/apis/apps/v1/deployments']!['get']!.operationId).toBe('listAppsV1DeploymentForAllNamespaces')
    expect(collection['get']!.responses['200']!.content!['application/json']!.schema).toEqual({
      $ref: '#/components/schemas/io.k8s.api.apps.v1.DeploymentList',
    })
  })

  test('has the subresources, those of other groups and those that connect too', () => {
    expect(apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale']!['put']).toMatchObject({
      operationId: 'replaceAppsV1NamespacedDeploymentScale',
      'x-kubernetes-group-version-kind': { group: 'autoscaling', version: 'v1', kind: 'Scale' },
    })
    expect(core.paths['/api/v1/namespaces/{namespace}/pods/{name}/exec']!['get']).toMatchObject({
      operationId: 'connectCoreV1GetNamespacedPodExec',
      'x-kubernetes-action': 'connect',
    })
    expect(core.components.schemas['io.k8s.api.authentication.v1.TokenRequest']).toBeDefined()
  })

  test('every reference of every group-version leads somewhere, and every operation has an id of its own', () => {
    for (const groupVersion of new Set(kinds.map((kind) => kind.apiVersion))) {
      const document = buildOpenApiV3(kinds, groupVersion, {}, about) as unknown as Document
      for (const ref of references(document))
        expect(document.components.schemas, ref).toHaveProperty([ref.replace('#/components/schemas/', '')])
      const ids = Object.values(document.paths).flatMap((item) => Object.values(item).flatMap((operation) => operation.operationId ?? []))
      expect(new Set(ids).size, groupVersion).toBe(ids.length)
    }
  })
})

describe('version 2', () => {
  test('holds everything, and every reference leads somewhere', () => {
    for (const ref of references(whole)) {
      const [, where, name] = /^#\/(definitions|parameters)\/(.*)$/.exec(ref)!
      expect(where === 'definitions' ? whole.definitions : whole.parameters, ref).toHaveProperty([name!])
    }
    expect(Object.keys(whole.definitions).length).toBeGreaterThan(500)
  })

  test('puts descriptions beside references', () => {
    expect(whole.definitions['io.k8s.api.core.v1.Pod']!.properties['spec']).toEqual({ $ref: '#/definitions/io.k8s.api.core.v1.PodSpec' })
    expect(whole.definitions['io.k8s.apimachinery.pkg.util.intstr.IntOrString']).toEqual({ type: 'string', format: 'int-or-string' })
    expect(
      whole.definitions['io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions']!['x-kubernetes-group-version-kind']!.length,
    ).toBeGreaterThan(20)
  })

  test('its text comes in pieces', () => {
    const pieces = [...documentText(whole as unknown as Json)]
    expect(pieces.join('')).toBe(JSON.stringify(whole))
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(100_000)
  })

  test('in protobuf holds the same paths and definitions', () => {
    const bytes = encodeOpenApiV2(whole as unknown as Json)
    expect(namesIn(bytes, [8], 2)).toEqual(Object.keys(whole.paths))
    expect(namesIn(bytes, [9], 1)).toEqual(Object.keys(whole.definitions))
  })
})

test('version 3 in protobuf holds the same paths and schemas', () => {
  const bytes = encodeOpenApiV3(apps as unknown as Json)
  expect(namesIn(bytes, [4], 1)).toEqual(Object.keys(apps.paths))
  expect(namesIn(bytes, [5, 1], 1)).toEqual(Object.keys(apps.components.schemas))
})

/** Names of the entries with number `entry` in the message at the end of `path`. */
function namesIn(bytes: Uint8Array, path: readonly number[], entry: number): string[] {
  const names: string[] = []
  const walk = (reader: Reader, rest: readonly number[]): void =>
    readFields(reader, (number) => {
      if (rest.length > 0 && number === rest[0]) walk(reader.message(), rest.slice(1))
      else if (rest.length === 0 && number === entry) {
        const named = reader.message()
        readFields(named, (field) => {
          if (field !== 1) return false
          names.push(named.text())
          return true
        })
      } else return false
      return true
    })
  walk(new Reader(bytes), path)
  return names
}

describe('custom kinds', () => {
  const field = (name: string, schema: FieldSchema['schema']): [string, FieldSchema] => [
    name,
    { name, schema, required: false, omitEmpty: true, omitZero: false, pointer: true, description: `The ${name}.` },
  ]
  const struct = (fields: [string, FieldSchema][]): StructSchema => ({
    type: 'struct',
    name: '',
    fields: new Map(fields),
    atomic: false,
    preserveUnknown: false,
    embeddedResource: false,
  })
  const schema = struct([field('spec', struct([field('size', { type: 'int64' })]))])
  const widget = {
    ...defineKind('apps/v1/deployments'),
    id: 'example.com/v1/widgets',
    group: 'example.com',
    version: 'v1',
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    listKind: 'WidgetList',
    resource: 'widgets',
    custom: true,
    subresources: [],
    schema: () => schema,
  } as unknown as Kind

  test('have definitions named after their group, anonymous types inline', () => {
    const document = buildOpenApiV3([widget], 'example.com/v1', {}, about) as unknown as Document
    const definition = document.components.schemas['com.example.v1.Widget']!
    expect(definition['x-kubernetes-group-version-kind']).toEqual([{ group: 'example.com', version: 'v1', kind: 'Widget' }])
    expect(definition.properties['spec']).toMatchObject({
      type: 'object',
      description: 'The spec.',
      properties: { size: { type: 'integer', format: 'int64', description: 'The size.' } },
    })
    expect(document.components.schemas['com.example.v1.WidgetList']).toBeDefined()
    expect(document.paths['/apis/example.com/v1/namespaces/{namespace}/widgets']!['get']!.operationId).toBe(
      'listExampleComV1NamespacedWidget',
    )
  })

  test('take no strategic merge patches, and say so', () => {
    const { paths } = buildOpenApiV3([{ ...widget, verbs: ['patch'] }], 'example.com/v1', {}, about) as unknown as Document
    const { patch } = paths['/apis/example.com/v1/namespaces/{namespace}/widgets/{name}'] ?? paths['/apis/example.com/v1/widgets/{name}']!
    expect(Object.keys((patch as unknown as { requestBody: { content: object } }).requestBody.content)).toEqual([
      'application/apply-patch+yaml',
      'application/json-patch+json',
      'application/merge-patch+json',
    ])
  })
})
