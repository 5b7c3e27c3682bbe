import { describe, expect, test } from 'vitest'
import type { Kind } from '#api/kind'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { fromWire } from '#api/schema/wire'
import { parseStoredText, storedHead, storedText } from './stored-json.ts'

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
    expect(fromWire(kind.schema(), parseStoredText(kind, head, text))).toEqual(object)
    expect(storedText(kind, fromWire(kind.schema(), parseStoredText(kind, head, text)))).toBe(text)
  })

  test('has the sets of other texts that say the same', () => {
    const text = storedText(kind, pod({ managedFields: [{ ...entry, fieldsV1: set }] }))
    const read = (): unknown => (parseStoredText(kind, head, text) as KubeObject).metadata.managedFields?.[0]?.fieldsV1
    expect(read()).toBe(read())
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
      expect(read(() => parseStoredText(kind, head, text))).toEqual(read(() => JSON.parse(text)))
    },
  )
})
