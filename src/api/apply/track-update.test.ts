import { describe, expect, test } from 'vitest'
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { compileDecoder } from '../schema/decode.ts'
import { sameButForTimes, trackUpdate, usualResetFields } from './track-update.ts'

const pod = builtinSchema('v1', 'Pod')
const start = Date.parse('2026-01-01T00:00:00Z')

type Tracked = { metadata: { managedFields?: ManagedFieldsEntry[] }; spec: { nodeName?: string }; status: object }

function decode(object: object): Tracked {
  return compileDecoder<Tracked>(pod)(structuredClone(object), 'ignore').object
}

function write(old: Tracked | undefined, object: object, manager = 'bob', options: { at?: number; subresource?: string } = {}): Tracked {
  const current = decode(object)
  const { at = 0, subresource = '' } = options
  const managedFields = trackUpdate({ schema: pod, apiVersion: 'v1', old, current, manager, subresource, nowMs: start + at * 1000 })
  const { managedFields: _, ...metadata } = current.metadata
  return { ...current, metadata: { ...metadata, ...(managedFields !== undefined && { managedFields }) } }
}

const base = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    namespace: 'n',
    uid: 'u',
    labels: { app: 'x' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'A', name: 'a', uid: 'u1' }],
  },
  spec: { containers: [{ name: 'c', image: 'i' }] },
}

describe('a create', () => {
  test('gives everything to its manager but what is never owned', () => {
    expect(write(undefined, base).metadata.managedFields).toEqual([
      {
        manager: 'bob',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} }, 'f:ownerReferences': { '.': {}, 'k:{"uid":"u1"}': {} } },
          'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {}, 'f:resources': {} } } },
        },
      },
    ])
  })

  test('of an unnamed manager belongs to unknown', () => {
    expect(write(undefined, base, '').metadata.managedFields?.[0]?.manager).toBe('unknown')
  })
})

describe('an update', () => {
  const created = write(undefined, base)

  test('that changes nothing leaves the entries as they are', () => {
    const current = decode(base)
    expect(trackUpdate({ schema: pod, apiVersion: 'v1', old: created, current, manager: 'bob', subresource: '', nowMs: start })).toBe(
      created.metadata.managedFields,
    )
  })

  test('that changes what its manager has leaves it the set that it had, at another time', () => {
    const relabelled = (app: string): object => ({ ...base, metadata: { ...base.metadata, labels: { app } } })
    const first = write(created, relabelled('y'), 'bob', { at: 5 })
    const second = write(first, relabelled('z'), 'bob', { at: 10 })
    const [before] = first.metadata.managedFields!
    const [after] = second.metadata.managedFields!
    expect(after).toEqual({ ...before, time: '2026-01-01T00:00:10Z' })
    expect(after!.fieldsV1).toBe(before!.fieldsV1)
  })

  test('that takes something away and changes something leaves the rest to its manager', () => {
    const labels = (labels: object): object => ({ ...base, metadata: { ...base.metadata, labels } })
    const first = write(undefined, labels({ a: '1', b: '1', c: '1' }), 'bob')
    const second = write(first, labels({ a: '2', c: '1' }), 'bob', { at: 5 })
    expect(second.metadata.managedFields).toEqual(write(undefined, labels({ a: '2', c: '1' }), 'bob', { at: 5 }).metadata.managedFields)
  })

  test('moves what it changes from its owner to its manager', () => {
    const updated = write(created, { ...base, metadata: { ...base.metadata, labels: { app: 'y', tier: 'z' } } }, 'carol', { at: 5 })
    const [first, second] = updated.metadata.managedFields!
    expect(first).toMatchObject({ manager: 'bob', time: '2026-01-01T00:00:00Z' })
    expect(first!.fieldsV1).toMatchObject({ 'f:metadata': { 'f:labels': {} } })
    expect(second).toMatchObject({
      manager: 'carol',
      time: '2026-01-01T00:00:05Z',
      fieldsV1: { 'f:metadata': { 'f:labels': { 'f:app': {}, 'f:tier': {} } } },
    })
  })

  test('that takes away makes owners forget', () => {
    const { labels: _, ...metadata } = base.metadata
    const updated = write(created, { ...base, metadata }, 'carol')
    expect(updated.metadata.managedFields).toHaveLength(1)
    expect(JSON.stringify(updated.metadata.managedFields)).not.toContain('labels')
  })

  test('through a subresource is a manager of its own', () => {
    const conditions = [{ type: 'Ready', status: 'True' }]
    const updated = write(created, { ...base, status: { phase: 'Running', conditions } }, 'kubelet', { subresource: 'status' })
    expect(updated.metadata.managedFields?.[1]).toMatchObject({
      manager: 'kubelet',
      subresource: 'status',
      fieldsV1: {
        'f:status': {
          'f:conditions': {
            '.': {},
            // Times that are not set are null on the wire: they count.
            'k:{"type":"Ready"}': { '.': {}, 'f:lastProbeTime': {}, 'f:lastTransitionTime': {}, 'f:status': {}, 'f:type': {} },
          },
          'f:phase': {},
        },
      },
    })
  })

  test('of fields that the endpoint resets owns nothing', () => {
    const current = decode({ ...base, status: { phase: 'Running' } })
    const reset = usualResetFields('')!
    expect(
      trackUpdate({ schema: pod, apiVersion: 'v1', old: created, current, manager: 'carol', subresource: '', nowMs: start, reset }),
    ).toHaveLength(1)
  })

  test('may reset managedFields, or bring its own', () => {
    expect(write(created, { ...base, metadata: { ...base.metadata, managedFields: [{}] } }).metadata.managedFields).toBeUndefined()
    expect(write(created, { ...base, metadata: { ...base.metadata, managedFields: [] } }).metadata.managedFields).toBeUndefined()
    const own = [
      { manager: 'dave', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:spec': { 'f:nodeName': {} } } },
    ]
    const brought = write(created, { ...base, metadata: { ...base.metadata, managedFields: own } })
    expect(brought.metadata.managedFields?.map((entry) => entry.manager)).toEqual(['dave'])
  })

  test('that brings malformed managedFields keeps those that are stored', () => {
    const bad = [{ manager: 'dave', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'x:y': {} } }]
    const kept = write(created, { ...base, metadata: { ...base.metadata, managedFields: bad } })
    expect(kept.metadata.managedFields?.map((entry) => entry.manager)).toEqual(['bob'])
  })

  test('of an object that was never tracked stays untracked', () => {
    expect(write(decode(base), { ...base, spec: { ...base.spec, nodeName: 'n' } }).metadata.managedFields).toBeUndefined()
  })

  test('joins the oldest managers when there are more than ten', () => {
    let object = created
    for (let i = 0; i < 14; i++) {
      const labels = Object.fromEntries(Array.from({ length: i + 1 }, (_, n) => [`l${n}`, '1']))
      object = write(object, { ...base, metadata: { ...base.metadata, labels: { app: 'x', ...labels } } }, `m${i}`, { at: i + 1 })
    }
    const managers = object.metadata.managedFields!.map((entry) => entry.manager)
    expect(managers).toHaveLength(10)
    expect(managers[0]).toBe('ancient-changes')
    expect(managers.at(-1)).toBe('m13')
  })

  test('of a list whose items share a key owns the key', () => {
    const tolerations = { ...base, spec: { ...base.spec, containers: [{ name: 'c' }, { name: 'c' }] } }
    const updated = write(created, tolerations, 'carol')
    expect(JSON.stringify(updated.metadata.managedFields?.find((entry) => entry.manager === 'carol')?.fieldsV1)).toBe(
      '{"f:spec":{"f:containers":{"k:{\\"name\\":\\"c\\"}":{}}}}',
    )
  })
})

test('entries are compared without their times', () => {
  const entry = { manager: 'a', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:a': {} } }
  expect(sameButForTimes([{ ...entry, time: 'x' }], [{ ...entry, time: 'y' }])).toBe(true)
  expect(sameButForTimes([entry], [{ ...entry, manager: 'b' }])).toBe(false)
})
