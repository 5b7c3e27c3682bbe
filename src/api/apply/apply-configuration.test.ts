import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { arbitraryObject } from '../schema/arbitrary.testing.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { compileDecoder } from '../schema/decode.ts'
import { applyConfiguration } from './apply-configuration.ts'
import { trackUpdate, usualResetFields } from './track-update.ts'

const deployment = builtinSchema('apps/v1', 'Deployment')
const start = Date.parse('2026-01-01T00:00:00Z')

interface Item {
  metadata: { managedFields?: ManagedFieldsEntry[]; labels?: Record<string, string>; annotations?: Record<string, string> }
  spec: {
    replicas?: number
    paused?: boolean
    template: { spec: { containers: { name: string; image?: string; ports?: object[]; env?: object[] }[] } }
  }
}

interface Options {
  manager?: string
  force?: boolean
  at?: number
  subresource?: string
}

function apply(live: Item | undefined, config: object, { manager = 'alice', force = false, at = 0, subresource = '' }: Options = {}): Item {
  const applied = { apiVersion: 'apps/v1', kind: 'Deployment', ...config }
  const request = {
    schema: deployment,
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    live,
    applied,
    manager,
    force,
    subresource,
    nowMs: start + at * 1000,
  }
  const before = JSON.stringify([live, applied])
  const { object } = applyConfiguration<Item>({ ...request, ...(subresource === '' && { reset: usualResetFields('')! }) })
  expect(JSON.stringify([live, applied])).toBe(before)
  return object
}

function update(old: Item | undefined, object: object, { manager = 'bob', at = 0, subresource = '' }: Options = {}): Item {
  const current = compileDecoder<Item>(deployment)(
    { apiVersion: 'apps/v1', kind: 'Deployment', ...structuredClone(object) },
    'ignore',
  ).object
  const reset = usualResetFields(subresource)
  const managedFields = trackUpdate({
    schema: deployment,
    apiVersion: 'apps/v1',
    old,
    current,
    manager,
    subresource,
    nowMs: start + at * 1000,
    ...(reset !== undefined && { reset }),
  })
  const { managedFields: _, ...metadata } = current.metadata
  return { ...current, metadata: { ...metadata, ...(managedFields !== undefined && { managedFields }) } }
}

function fieldsOf(object: Item, manager: string): unknown {
  return object.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1
}

function errorOf(run: () => unknown): ApiError {
  try {
    run()
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const containers = (...list: object[]): object => ({ template: { spec: { containers: list } } })

describe('the first apply', () => {
  test('makes the object, and the applier own what it said', () => {
    const object = apply(undefined, {
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: { replicas: 1, ...containers({ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }) },
    })
    expect(object.metadata.managedFields).toEqual([
      {
        manager: 'alice',
        operation: 'Apply',
        apiVersion: 'apps/v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { 'f:app': {} } },
          'f:spec': {
            'f:replicas': {},
            'f:template': {
              'f:spec': {
                'f:containers': {
                  'k:{"name":"c"}': {
                    '.': {},
                    'f:image': {},
                    'f:name': {},
                    'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
                  },
                },
              },
            },
          },
        },
      },
    ])
    expect(object.spec.replicas).toBe(1)
  })

  test('of an object that was never tracked leaves its fields to before-first-apply', () => {
    const live = compileDecoder<Item>(deployment)({ metadata: { name: 'web' }, spec: { replicas: 1, paused: true } }, 'ignore').object
    const object = apply(live, { spec: { paused: true } })
    expect(fieldsOf(object, 'before-first-apply')).toEqual({ 'f:spec': { 'f:paused': {}, 'f:replicas': {} } })
    expect(fieldsOf(object, 'alice')).toEqual({ 'f:spec': { 'f:paused': {} } })
  })

  test('does not own what the endpoint resets', () => {
    const object = apply(undefined, { spec: { replicas: 1 }, status: { replicas: 5 } })
    expect(fieldsOf(object, 'alice')).toEqual({ 'f:spec': { 'f:replicas': {} } })
  })
})

describe('applying again', () => {
  test('takes back what is not said any more', () => {
    const first = apply(undefined, {
      metadata: { labels: { a: '1', b: '2' } },
      spec: { paused: true, ...containers({ name: 'c' }, { name: 'd' }) },
    })
    const second = apply(first, { metadata: { labels: { a: '1' } }, spec: containers({ name: 'd' }) })
    expect(second.metadata.labels).toEqual({ a: '1' })
    expect(second.spec.paused).toBeUndefined()
    expect(second.spec.template.spec.containers.map((c) => c.name)).toEqual(['d'])
  })

  test('leaves what somebody else says too', () => {
    const first = apply(undefined, { metadata: { labels: { a: '1' } }, spec: { replicas: 3 } })
    const shared = apply(first, { spec: { replicas: 3 } }, { manager: 'carol' })
    const second = apply(shared, { metadata: { labels: { a: '1' } } })
    expect(second.spec.replicas).toBe(3)
    expect(fieldsOf(second, 'carol')).toEqual({ 'f:spec': { 'f:replicas': {} } })
  })

  test('leaves what nobody ever said', () => {
    const first = update(apply(undefined, { spec: { replicas: 3 } }), { spec: { replicas: 3, paused: true } })
    const second = apply(first, { metadata: { labels: { a: '1' } } })
    expect(second.spec).toMatchObject({ paused: true })
    expect(second.spec.replicas).toBeUndefined()
  })

  test('keeps an item that another manager added a field to, without what is taken back', () => {
    const first = apply(undefined, { spec: containers({ name: 'c', image: 'i' }) })
    const shared = apply(first, { spec: containers({ name: 'c', env: [{ name: 'X' }] }) }, { manager: 'carol' })
    const second = apply(shared, { metadata: { labels: { a: '1' } } })
    expect(second.spec.template.spec.containers).toEqual([{ name: 'c', env: [{ name: 'X' }], resources: {} }])
  })

  test('with nothing new changes no time', () => {
    const config = { metadata: { labels: { a: '1' } }, spec: { replicas: 3 } }
    const first = apply(undefined, config)
    expect(apply(first, config, { at: 60 })).toEqual(first)
    expect(apply(first, { ...config, spec: { replicas: 4 } }, { at: 60 }).metadata.managedFields?.[0]?.time).toBe('2026-01-01T00:01:00Z')
  })

  test('orders a list as the configuration does, others keep their places', () => {
    const first = update(apply(undefined, { spec: containers({ name: 'a' }, { name: 'b' }) }), {
      spec: containers({ name: 'a' }, { name: 'x' }, { name: 'b' }),
    })
    const second = apply(first, { spec: containers({ name: 'b' }, { name: 'n' }, { name: 'a' }) })
    expect(second.spec.template.spec.containers.map((c) => c.name)).toEqual(['x', 'b', 'n', 'a'])
  })

  test('gives up everything when nothing is said', () => {
    const second = apply(apply(undefined, { spec: { replicas: 3 } }), {})
    expect(second.metadata.managedFields).toBeUndefined()
    expect(second.spec.replicas).toBeUndefined()
  })
})

describe('conflicts', () => {
  const live = update(
    undefined,
    { metadata: { name: 'web' }, spec: { replicas: 1, ...containers({ name: 'c', image: 'i' }) } },
    { manager: 'kubectl' },
  )

  test('one is named in one line', () => {
    const error = errorOf(() => apply(live, { spec: { replicas: 2 } }))
    expect(error.status).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "kubectl" using apps/v1', field: '.spec.replicas' }] },
    })
  })

  test('several are listed by manager', () => {
    const two = apply(live, { spec: { paused: true } }, { manager: 'carol', subresource: 'status' })
    const error = errorOf(() => apply(two, { spec: { replicas: 2, paused: false, ...containers({ name: 'c', image: 'j' }) } }))
    expect(error.message).toBe(
      [
        'Apply failed with 3 conflicts: conflicts with "carol" with subresource "status":',
        '- .spec.paused',
        'conflicts with "kubectl" using apps/v1:',
        '- .spec.replicas',
        '- .spec.template.spec.containers[name="c"].image',
      ].join('\n'),
    )
  })

  test('the same value is none: it is shared', () => {
    const object = apply(live, { spec: { replicas: 1 } })
    expect(fieldsOf(object, 'alice')).toEqual({ 'f:spec': { 'f:replicas': {} } })
    expect(fieldsOf(object, 'kubectl')).toMatchObject({ 'f:spec': { 'f:replicas': {} } })
  })

  test('force takes the field away from its owner', () => {
    const object = apply(live, { spec: { replicas: 2 } }, { force: true })
    expect(object.spec.replicas).toBe(2)
    expect(fieldsOf(object, 'kubectl')).not.toMatchObject({ 'f:spec': { 'f:replicas': {} } })
  })

  test('kubectl may take over what its annotation says', () => {
    const said = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { replicas: 1 } }
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(said) }
    const csa = update(
      undefined,
      { metadata: { name: 'web', annotations }, spec: { replicas: 1, paused: true } },
      { manager: 'kubectl-client-side-apply' },
    )
    const object = apply(csa, { metadata: { name: 'web' }, spec: { replicas: 2 } }, { manager: 'kubectl' })
    expect(object.spec.replicas).toBe(2)
    expect(JSON.parse(object.metadata.annotations!['kubectl.kubernetes.io/last-applied-configuration']!).spec).toEqual({ replicas: 2 })
    expect(errorOf(() => apply(csa, { spec: { paused: false } }, { manager: 'kubectl' })).code).toBe(409)
  })
})

describe('configurations that cannot be applied', () => {
  test.each<[object, number, string]>([
    [{ apiVersion: 'v1' }, 400, 'invalid object type: /v1, Kind=Deployment'],
    [{ metadata: { managedFields: [] } }, 400, 'metadata.managedFields must be nil'],
    [
      { metadata: { name: 'x', namespace: 'n' }, spec: { foo: 1 } },
      500,
      'failed to create typed patch object (n/x; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema',
    ],
    [
      { spec: { replicas: 'a' } },
      500,
      'failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string',
    ],
    [
      { spec: containers({ name: 'a' }, { name: 'a' }) },
      500,
      'failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="a"]',
    ],
    [
      { spec: { replicas: true, ...containers({ name: 5 }) } },
      500,
      'failed to create typed patch object (/; apps/v1, Kind=Deployment): errors:\n  .spec.replicas: expected numeric (int or float), got bool\n  .spec.template.spec.containers[name=5].name: expected string, got &value.valueUnstructured{Value:5}',
    ],
    [{ kind: { toString: 1 } }, 400, 'invalid object type: apps/v1, Kind='],
    [
      { metadata: { name: { toString: 1 } } },
      500,
      'failed to create typed patch object (/; apps/v1, Kind=Deployment): .metadata.name: expected string, got &value.valueUnstructured{Value:map[string]interface {}{...}}',
    ],
    [
      { spec: containers({ name: { toString: 1 } }) },
      500,
      'failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers[name={"toString":1}].name: expected string, got &value.valueUnstructured{Value:map[string]interface {}{...}}',
    ],
    [
      { spec: containers({ name: 'a', resources: { limits: { cpu: 'x' } } }) },
      500,
      "failed to convert new typed object (/; apps/v1, Kind=Deployment) to object: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('%j', (config, code, message) => {
    const error = errorOf(() => apply(undefined, config))
    expect(error.message).toBe(message)
    expect(error.code).toBe(code)
  })

  test('what is no object', () => {
    const request = {
      schema: deployment,
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      live: undefined,
      manager: 'a',
      force: false,
      subresource: '',
      nowMs: 0,
    }
    expect(errorOf(() => applyConfiguration({ ...request, applied: [] })).code).toBe(400)
  })
})

describe('for pods of any shape', () => {
  const pod = builtinSchema('v1', 'Pod')

  test('applying an object twice changes nothing the second time, and applying nothing gives back an empty one', () => {
    fc.assert(
      fc.property(arbitraryObject(pod), (object) => {
        const applied = uniqueKeys(object)
        if (applied === undefined) return
        const request = { schema: pod, apiVersion: 'v1', kind: 'Pod', applied, manager: 'a', force: false, subresource: '', nowMs: start }
        const once = applyConfiguration<Item>({ ...request, live: undefined }).object
        expect(applyConfiguration({ ...request, live: once, nowMs: start + 5000 }).object).toEqual(once)
        const nothing = applyConfiguration<Item>({ ...request, applied: { apiVersion: 'v1', kind: 'Pod' }, live: once }).object
        expect(nothing).toEqual({
          ...compileDecoder<object>(pod)({}, 'ignore').object,
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: identity(once),
        })
      }),
      { numRuns: 60 },
    )
  })

  // What nobody owns stays.
  function identity({ metadata }: Item): object {
    const names = ['name', 'namespace', 'uid', 'creationTimestamp', 'selfLink', 'generation', 'resourceVersion']
    return Object.fromEntries(Object.entries(metadata).filter(([name]) => names.includes(name)))
  }

  // Two items with one key cannot be applied; such examples are passed over.
  function uniqueKeys(object: Record<string, unknown>): object | undefined {
    const { metadata, ...rest } = object
    const { managedFields: _, ...kept } = (metadata ?? {}) as Record<string, unknown>
    const applied = { apiVersion: 'v1', kind: 'Pod', ...rest, metadata: kept }
    try {
      applyConfiguration({
        schema: pod,
        apiVersion: 'v1',
        kind: 'Pod',
        live: undefined,
        applied,
        manager: 'a',
        force: false,
        subresource: '',
        nowMs: 0,
      })
      return applied
    } catch {
      return undefined
    }
  }
})
