import { describe, expect, test } from 'vitest'
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { builtinSchema } from '../schema/builtin.ts'
import type { FieldSchema, Schema, StructSchema } from '../schema/schema.ts'
import { applyConfiguration } from './apply-configuration.ts'
import { trackUpdate } from './track-update.ts'
import type { ConvertObject } from './versions.ts'

// Two versions of a kind that call one field by two names.
function struct(fields: Record<string, Schema>): StructSchema {
  const list = Object.entries(fields).map(([name, schema]): [string, FieldSchema] => [
    name,
    { name, schema, required: false, omitEmpty: true, omitZero: false, pointer: true },
  ])
  return { type: 'struct', name: '', fields: new Map(list), atomic: false, preserveUnknown: false, embeddedResource: false }
}

const metadata = builtinSchema('v1', 'ConfigMap').fields.get('metadata')!.schema
const text: Schema = { type: 'string' }
const spec = (name: string): StructSchema => struct({ [name]: { type: 'int64' }, color: text })
const schemas = {
  'example.com/v1': struct({ apiVersion: text, kind: text, metadata, spec: spec('size') }),
  'example.com/v2': struct({ apiVersion: text, kind: text, metadata, spec: spec('replicas') }),
}

interface Widget {
  metadata: { managedFields?: ManagedFieldsEntry[] }
  spec?: { size?: number; replicas?: number; color?: string }
}

const convert: ConvertObject = (object, apiVersion) => {
  const schema = schemas[apiVersion as keyof typeof schemas]
  if (schema === undefined) return undefined
  const { spec: given = {}, ...rest } = object as Widget
  const { size, replicas, ...others } = given
  const count = size ?? replicas
  const name = apiVersion === 'example.com/v1' ? 'size' : 'replicas'
  return { schema, object: { ...rest, apiVersion, spec: { ...(count !== undefined && { [name]: count }), ...others } } }
}

function apply(version: keyof typeof schemas, live: Widget | undefined, config: Widget['spec'], manager: string, force = false): Widget {
  return applyConfiguration<Widget>({
    schema: schemas[version],
    apiVersion: version,
    kind: 'Widget',
    live: live === undefined ? undefined : convert(live, version)!.object,
    applied: { apiVersion: version, kind: 'Widget', metadata: { name: 'w' }, spec: config },
    manager,
    force,
    subresource: '',
    nowMs: 0,
    convert,
  }).object
}

function ownedBy(object: Widget, manager: string): unknown {
  return object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1
}

describe('managers of other versions', () => {
  const first = apply('example.com/v1', undefined, { size: 1, color: 'red' }, 'alice')

  test('keep their fields in the terms of their version', () => {
    const second = apply('example.com/v2', first, { replicas: 1 }, 'bob')
    expect(ownedBy(second, 'alice')).toEqual({ 'f:spec': { 'f:color': {}, 'f:size': {} } })
    expect(ownedBy(second, 'bob')).toEqual({ 'f:spec': { 'f:replicas': {} } })
  })

  test('conflict when their field changes under its other name', () => {
    expect(() => apply('example.com/v2', first, { replicas: 2 }, 'bob')).toThrow('conflict with "alice": .spec.size')
    const forced = apply('example.com/v2', first, { replicas: 2 }, 'bob', true)
    expect(ownedBy(forced, 'alice')).toEqual({ 'f:spec': { 'f:color': {} } })
  })

  test('may go on in another version, and take back what they said in the first', () => {
    const second = apply('example.com/v2', first, { replicas: 1 }, 'alice')
    expect(second.spec).toEqual({ replicas: 1 })
    expect(second.metadata.managedFields).toHaveLength(1)
    expect(second.metadata.managedFields![0]!.apiVersion).toBe('example.com/v2')
  })

  test('keep what another applier takes back', () => {
    const shared = apply('example.com/v2', first, { replicas: 1, color: 'red' }, 'bob')
    const without = apply('example.com/v2', shared, {}, 'bob')
    expect(without.spec).toEqual({ replicas: 1, color: 'red' })
  })

  test('lose what an update through another version changes', () => {
    const old = convert(first, 'example.com/v2')!.object
    const current = convert({ ...first, spec: { replicas: 5, color: 'red' } }, 'example.com/v2')!.object
    const entries = trackUpdate({
      schema: schemas['example.com/v2'],
      apiVersion: 'example.com/v2',
      old,
      current,
      manager: 'carol',
      subresource: '',
      nowMs: 0,
      convert,
    })
    expect(entries?.map(({ manager, fieldsV1 }) => [manager, fieldsV1])).toEqual([
      ['alice', { 'f:spec': { 'f:color': {} } }],
      ['carol', { 'f:spec': { 'f:replicas': {} } }],
    ])
  })

  test('are forgotten when their version is not served any more', () => {
    const gone = {
      ...first,
      metadata: {
        ...first.metadata,
        managedFields: first.metadata.managedFields!.map((entry) => ({ ...entry, apiVersion: 'example.com/v0' })),
      },
    }
    const second = apply('example.com/v2', gone, { color: 'blue' }, 'bob')
    expect(second.metadata.managedFields?.map((entry) => entry.manager)).toEqual(['bob'])
  })
})
