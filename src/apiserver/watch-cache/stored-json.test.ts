import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Kind } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { arbitraryObject } from '#api/schema/arbitrary.testing'
import { fromWire } from '#api/schema/wire'
import { readStoredText, storedHead, storedText } from './stored-json.ts'

const kind = Pod as unknown as Kind
const head = storedHead(kind.apiVersion, kind.kind, false)
const set = { 'f:spec': { 'f:containers': { 'k:{"name":"a}"}': { '.': {}, 'f:image': {} } } } }
const entry = { manager: 'a "quoted" {name}', operation: 'Update', apiVersion: 'v1', time: '2026-01-02T03:04:05Z', fieldsType: 'FieldsV1' }

function pod(metadata: object, rest: object = { spec: { containers: [{ name: 'a', resources: {} }] }, status: {} }): KubeObject {
  return { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'a', namespace: 'b', ...metadata }, ...rest } as unknown as KubeObject
}

const cases: [string, KubeObject][] = [
  ['no managed fields', pod({})],
  ['one manager', pod({ managedFields: [{ ...entry, fieldsV1: set }] })],
  [
    'several, one of a subresource',
    pod({
      managedFields: [
        { ...entry, fieldsV1: set },
        { ...entry, fieldsV1: { 'f:status': {} }, subresource: 'status' },
      ],
    }),
  ],
  ['a manager without a set', pod({ managedFields: [entry, { ...entry, fieldsV1: set }] })],
  ['an annotation that looks like managed fields', pod({ annotations: { a: '{"metadata":{},"managedFields":[{"fieldsV1":{}}]}' } })],
  [
    "managed fields that are not metadata's",
    pod({}, { spec: { containers: [{ name: 'a', resources: {} }], managedFields: [{ ...entry, fieldsV1: set }] }, status: {} }),
  ],
  ['nothing after metadata', pod({ managedFields: [{ ...entry, fieldsV1: set }] }, {})],
  [
    'a number that is not exact in JavaScript',
    pod(
      { managedFields: [{ ...entry, fieldsV1: set }] },
      { spec: { containers: [{ name: 'a', resources: {} }], a: 9_007_199_254_740_993n } },
    ),
  ],
]

describe('stored text', () => {
  test.each(cases)('is read as it was written: %s', (_, object) => {
    const text = storedText(kind, object)
    // The second time, of what is known from the first.
    for (const _ of [1, 2]) {
      expect(readStoredText(kind, head, text)).toEqual(object)
      expect(storedText(kind, readStoredText(kind, head, text))).toBe(text)
    }
  })

  test.each(allKinds.map((kind) => [kind.id, kind] as const))('is read as the engine reads it, whatever is in it: %s', (_, kind) => {
    const head = storedHead(kind.apiVersion, kind.kind, false)
    fc.assert(
      fc.property(arbitraryObject(kind.schema()), (arbitrary) => {
        const object = arbitrary as unknown as KubeObject
        object.metadata.managedFields = [{ ...entry, fieldsV1: set }]
        const text = storedText(kind, object)
        const expected = fromWire(kind.schema(), JSON.parse(text))
        for (const _ of [1, 2]) {
          expect(readStoredText(kind, head, text)).toEqual(expected)
          expect(storedText(kind, readStoredText(kind, head, text))).toBe(text)
        }
      }),
      { seed: 7, numRuns: 15 },
    )
  })

  test('has the sets of other texts that say the same', () => {
    const text = storedText(kind, pod({ managedFields: [{ ...entry, fieldsV1: set }] }))
    const read = (): unknown => readStoredText(kind, head, text).metadata.managedFields?.[0]?.fieldsV1
    expect(read()).toBe(read())
  })

  test('has spec and status of other texts with the same', () => {
    const managedFields = [{ ...entry, fieldsV1: set }]
    const read = (name: string, image: string): Record<string, unknown> => {
      const spec = { containers: [{ name: 'a', image, resources: {} }] }
      const object = pod({ name, managedFields }, { spec, status: { phase: 'Pending', message: ',"status":{}' } })
      return readStoredText(kind, head, storedText(kind, object)) as KubeObject & Record<string, unknown>
    }
    const [one, other, another] = [read('one', 'v1'), read('other', 'v1'), read('another', 'v2')]
    expect(one['spec']).toBe(other['spec'])
    expect([one['status'] === other['status'], one['status'] === another['status']]).toEqual([true, true])
    expect(another['spec']).not.toEqual(other['spec'])
  })

  test('of one kind is not that of another with the same words', () => {
    const managedFields = [{ ...entry, fieldsV1: set }]
    const claim = PersistentVolumeClaim as unknown as Kind
    const spec = { volumeName: 'a' }
    const ofPod = readStoredText(kind, head, storedText(kind, pod({ managedFields }, { spec }))) as unknown as { spec: object }
    const claimHead = storedHead(claim.apiVersion, claim.kind, false)
    const text = storedText(claim, { ...pod({ managedFields }, { spec }), kind: claim.kind })
    const ofClaim = readStoredText(claim, claimHead, text) as unknown as { spec: object }
    expect(ofPod.spec).not.toBe(ofClaim.spec)
  })

  test.each(['"managedFields":[{"fieldsV1":{}}', '"managedFields":[{"fieldsV1":{"f:a":{}}}]', '"managedFields":[]}'])(
    'that we did not write is read all the same, or refused: %s',
    (part) => {
      const text = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a",${part}}`
      const read = (run: () => unknown): unknown => {
        try {
          return run()
        } catch {
          return 'refused'
        }
      }
      expect(read(() => readStoredText(kind, head, text))).toEqual(read(() => fromWire(kind.schema(), JSON.parse(text))))
    },
  )
})
