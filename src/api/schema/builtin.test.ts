import { describe, expect, test } from 'vitest'
import { resources } from '../generated/resources.ts'
import { builtinSchema, definitionNames, definitionSchema, findBuiltinSchema } from './builtin.ts'
import type { ListSchema, StructSchema } from './schema.ts'

function structField(struct: StructSchema, ...path: string[]): StructSchema {
  let at = struct
  for (const name of path) {
    const schema = at.fields.get(name)!.schema
    at = (schema.type === 'list' ? schema.items : schema) as StructSchema
  }
  return at
}

describe('built-in schemas', () => {
  test('every resource has a schema, and so has its list', () => {
    for (const facts of Object.values(resources)) {
      const apiVersion = facts.group === '' ? facts.version : `${facts.group}/${facts.version}`
      expect(findBuiltinSchema(apiVersion, facts.kind)?.fields.has('metadata'), `${apiVersion} ${facts.kind}`).toBe(true)
      if (facts.listKind !== undefined) expect(findBuiltinSchema(apiVersion, facts.listKind), facts.listKind).toBeDefined()
    }
  })

  test('every definition can be built', () => {
    for (const name of definitionNames()) expect(definitionSchema(name).name).toBe(name)
    expect(definitionNames().length).toBeGreaterThan(600)
  })

  test('kinds of meta.k8s.io are found under every apiVersion', () => {
    for (const kind of ['Status', 'DeleteOptions', 'Table', 'WatchEvent', 'PatchOptions', 'PartialObjectMetadata']) {
      expect(builtinSchema('v1', kind), kind).toBe(builtinSchema('apps/v1', kind))
    }
    expect(builtinSchema('meta.k8s.io/v1', 'Table').fields.has('rows')).toBe(true)
  })

  test('kinds of other groups are not', () => {
    expect(findBuiltinSchema('v1', 'Deployment')).toBeUndefined()
    expect(findBuiltinSchema('apps/v1', 'PodSpec')).toBeUndefined()
    expect(findBuiltinSchema('v1', 'PodSpec')).toBeUndefined()
    expect(() => builtinSchema('v2', 'Pod')).toThrow('no schema of v2 Pod')
  })

  test('fields stand in declaration order, kind and apiVersion first', () => {
    expect([...builtinSchema('v1', 'Pod').fields.keys()]).toEqual(['kind', 'apiVersion', 'metadata', 'spec', 'status'])
  })

  test('one definition is one node wherever it is used', () => {
    const viaDeployment = structField(builtinSchema('apps/v1', 'Deployment'), 'spec', 'template', 'spec')
    expect(viaDeployment).toBe(structField(builtinSchema('v1', 'Pod'), 'spec'))
  })

  test('list types, map keys, patch strategies and protobuf numbers are there', () => {
    const container = definitionSchema('io.k8s.api.core.v1.Container')
    const ports = container.fields.get('ports')!
    expect(ports.schema).toMatchObject({ type: 'list', listType: 'map', mapKeys: ['containerPort', 'protocol'] })
    expect(ports).toMatchObject({
      patchStrategy: ['merge'],
      patchMergeKey: 'containerPort',
      protobuf: { number: 6, within: [] },
      omitEmpty: true,
    })
    const volumes = definitionSchema('io.k8s.api.core.v1.PodSpec').fields.get('volumes')!
    expect(volumes.patchStrategy).toEqual(['merge', 'retainKeys'])
    expect(definitionSchema('io.k8s.api.core.v1.ContainerPort').fields.get('protocol')).toMatchObject({
      default: 'TCP',
      schema: { type: 'string', goType: 'v1.Protocol', enum: ['TCP', 'UDP', 'SCTP'] },
    })
  })

  test('inlined fields know the message that holds them in protobuf', () => {
    const volume = definitionSchema('io.k8s.api.core.v1.Volume')
    expect(volume.fields.get('hostPath')!.protobuf).toEqual({ number: 1, within: [2] })
    const rule = definitionSchema('io.k8s.api.admissionregistration.v1.NamedRuleWithOperations')
    expect(rule.fields.get('apiGroups')!.protobuf).toEqual({ number: 1, within: [2, 2] })
  })

  test('an atomic struct is merged field by field where the field says so', () => {
    const claimRef = definitionSchema('io.k8s.api.core.v1.PersistentVolumeSpec').fields.get('claimRef')!.schema as StructSchema
    expect(claimRef.atomic).toBe(false)
    expect(definitionSchema('io.k8s.api.core.v1.ObjectReference').atomic).toBe(true)
  })

  test('JSONSchemaProps refers to itself', () => {
    const props = definitionSchema('io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps')
    const not = props.fields.get('not')!.schema
    expect(not.type === 'ref' && not.resolve()).toBe(props)
    const items = props.fields.get('items')!.schema
    expect(items.type === 'union' && items.object.resolve()).toBe(props)
    expect((props.fields.get('allOf')!.schema as ListSchema).items.type).toBe('ref')
  })
})
