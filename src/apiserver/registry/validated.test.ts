import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Kind, WriteContext } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { arbitraryObject } from '#api/schema/arbitrary.testing'
import { Validated } from './validated.ts'

const about: WriteContext = { nowMs: 0, user: { name: 'admin', groups: [] }, subresource: '' }
const meta = { name: 'a', namespace: 'default', labels: { app: 'web' }, annotations: { note: 'one' } }

function pod(spec: object, metadata: object = {}): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...meta, ...metadata }, spec, status: {} } as unknown as Pod
}

// What checking says of an object. Some arbitrary objects are none that defaulting makes: then what it throws.
function verdict(kind: Kind, object: KubeObject): unknown {
  try {
    return kind.strategy.validate?.(object, about)
  } catch (error) {
    return String(error)
  }
}

describe('what was valid', () => {
  const spec = { containers: [{ name: 'a' }] }
  const validated = new Validated(Pod.strategy)
  validated.add(pod(spec))

  test.each<[string, Pod, boolean]>([
    ['the same spec', pod(spec), true],
    ['the same spec, and a label and an annotation that nobody checks', pod(spec, { labels: {}, annotations: { note: 'two' } }), true],
    ['a spec that is equal but another', pod(structuredClone(spec)), false],
    ['an annotation that is checked', pod(spec, { annotations: { 'controller.kubernetes.io/pod-deletion-cost': 'x' } }), false],
    ['a field more', { ...pod(spec), more: {} } as Pod, false],
    ['no content', { metadata: meta } as unknown as Pod, false],
  ])('is known, or not: %s', (_, object, known) => {
    expect(validated.has(object)).toBe(known)
  })

  test('of kinds that say nothing of metadata is known with the same metadata and status only', () => {
    const content = { a: 'b' }
    const object = (metadata: object, status?: object): KubeObject => ({ metadata, data: content, status }) as unknown as KubeObject
    const status = {}
    const known = new Validated<KubeObject>({})
    known.add(object(meta, status))
    expect(known.has(object({ ...meta, resourceVersion: '7', managedFields: [] }, status))).toBe(true)
    expect(known.has(object({ ...meta, labels: { app: 'web' } }, status))).toBe(true)
    expect(known.has(object({ ...meta, labels: {} }, status))).toBe(false)
    expect(known.has(object({ ...meta, finalizers: ['a/b'] }, status))).toBe(false)
    const { labels: _, ...unlabelled } = meta
    expect(known.has(object(unlabelled, status))).toBe(false)
    expect(known.has(object(meta, {}))).toBe(false)
  })
})

// Whatever validation comes to look at must be compared as well.
describe('what is known to be valid is what validation says is valid', () => {
  const kinds = allKinds.filter(({ strategy }) => strategy.validate !== undefined).map((kind) => [kind.id, kind] as const)

  test.each(kinds)('%s, with any metadata and status', (_, kind) => {
    const arbitrary = arbitraryObject(kind.schema()) as unknown as fc.Arbitrary<KubeObject & { status?: unknown }>
    fc.assert(
      fc.property(
        arbitrary,
        arbitrary,
        fc.constantFrom('name', 'labels', 'annotations', 'ownerReferences', 'status'),
        (one, other, place) => {
          one.metadata = { ...meta, ...one.metadata }
          const changed = { ...one, metadata: { ...one.metadata } }
          if (place === 'status') changed.status = other.status
          else Object.assign(changed.metadata, { [place]: other.metadata[place] })
          const validated = new Validated<KubeObject>(kind.strategy)
          validated.add(one)
          if (validated.has(changed)) expect(verdict(kind, changed)).toEqual(verdict(kind, one))
        },
      ),
      { seed: 7, numRuns: 40 },
    )
  })

  test.each(kinds)('%s, whoever writes it and when', (_, kind) => {
    const asked: (string | symbol)[] = []
    const watched = new Proxy(about, { get: (target, name) => [asked.push(name), Reflect.get(target, name)][1] })
    fc.assert(
      fc.property(arbitraryObject(kind.schema()), (object) => {
        try {
          kind.strategy.validate?.(object as unknown as KubeObject, watched)
        } catch {}
      }),
      { seed: 7, numRuns: 20 },
    )
    expect(asked).toEqual([])
  })
})
