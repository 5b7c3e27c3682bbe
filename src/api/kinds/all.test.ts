import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alwaysPresent } from '../../../codegen/always-present.ts'
import facts from '../../../codegen/facts/api-resources.json' with { type: 'json' }
import type { Kind } from '../kind.ts'
import type { KubeObject } from '../object.ts'
import { arbitraryInput } from '../schema/arbitrary.testing.ts'
import { compileDecoder } from '../schema/decode.ts'
import { resolved, type Schema } from '../schema/schema.ts'
import { allKinds, optionalKinds } from './all.ts'
import { testContext, testNowMs } from './testing.ts'

interface ColumnFacts {
  readonly name: string
  readonly type: string
  readonly format?: string
  readonly priority?: number
}

const served = facts.filter(({ enabledByDefault }) => enabledByDefault)
// Metrics are another server's.
const optional = facts.filter(({ group, enabledByDefault }) => !enabledByDefault && group !== 'metrics.k8s.io')
const everyKind = [...allKinds, ...optionalKinds]
const idOf = ({ group, version, resource }: (typeof served)[number]): string => `${group || 'core'}/${version}/${resource}`

/** `io.k8s.api.core.v1.PodSpec` as always-present.ts calls it: `core-v1/PodSpec`. */
function shortName(definition: string): string {
  const match = /^io\.k8s\.api\.([^.]+)\.([^.]+)\.(.+)$/.exec(definition)
  return match === null ? '' : `${match[1]}-${match[2]}/${match[3]}`
}

function absentFields(schema: Schema, value: unknown, path: string): string[] {
  const node = resolved(schema)
  if (typeof value !== 'object' || value === null) return []
  if (node.type === 'list') return (value as unknown[]).flatMap((item, i) => absentFields(node.items, item, `${path}[${i}]`))
  if (node.type === 'map') return Object.values(value).flatMap((item) => absentFields(node.values, item, `${path}[*]`))
  if (node.type !== 'struct') return []
  const object = value as Record<string, unknown>
  const name = shortName(node.name)
  const absent = (Object.hasOwn(alwaysPresent, name) ? alwaysPresent[name]! : [])
    .filter((field) => object[field] === undefined)
    // A name for something outside has no traffic of its own; an image is not filled in, but an object without is refused.
    .filter((field) => !(field === 'internalTrafficPolicy' && object['type'] === 'ExternalName') && field !== 'image')
    .map((field) => `${path}.${field}`)
  for (const [field, { schema: inner }] of node.fields) {
    if (Object.hasOwn(object, field)) absent.push(...absentFields(inner, object[field], `${path}.${field}`))
  }
  return absent
}

describe('the kinds', () => {
  test('are all that the API serves unless told otherwise', () => {
    expect(allKinds.map(({ id }) => id).sort()).toEqual(served.map(idOf).sort())
    expect(optionalKinds.map(({ id }) => id).sort()).toEqual(optional.map(idOf).sort())
  })

  test.each(everyKind.map((kind) => [kind.id, kind] as const))('%s shows the columns of its table', (id, kind) => {
    const expected = ([...served, ...optional].find((each) => idOf(each) === id) as { columns?: ColumnFacts[] }).columns ?? []
    const columns = kind.strategy.columns ?? []
    expect(columns.map(({ name, type, format = '', priority }) => ({ name, type, format, priority }))).toEqual(
      expected.map(({ name, type, format = '', priority = 0 }) => ({ name, type, format, priority })),
    )
  })

  test.each(everyKind.map((kind) => [kind.id, kind] as const))('%s takes any object that can be decoded', (_id, kind) => {
    fc.assert(
      fc.property(arbitraryInput(kind.schema()), (input) => {
        checkLife(kind, input)
      }),
      { numRuns: 40 },
    )
  })
})

// Defaults are stable and complete; nothing that follows throws, whatever the object says.
function checkLife(kind: Kind, input: Record<string, unknown>): void {
  const { strategy } = kind
  const copy = structuredClone(input)
  const named = { ...copy, metadata: { ...(copy['metadata'] as object | undefined), name: 'x', uid: 'f00' } }
  const { object } = compileDecoder<KubeObject>(kind.schema())(named, 'ignore')
  strategy.setDefaults?.(object)
  const once = structuredClone(object)
  strategy.setDefaults?.(object)
  expect(object).toEqual(once)
  expect(absentFields(kind.schema(), object, kind.kind)).toEqual([])

  strategy.prepareForCreate?.(object, testContext())
  const errors = [...(strategy.validate?.(object, testContext()) ?? []), ...(strategy.validateCreate?.(object, testContext()) ?? [])]
  for (const { field, detail } of errors) {
    expect(field).not.toContain('undefined')
    expect(detail).not.toMatch(/: undefined|\[object/)
  }
  strategy.warnings?.(object, undefined)
  for (const column of strategy.columns ?? []) expect(column.cell(object, testNowMs)).not.toBeUndefined()
  for (const read of Object.values(strategy.selectableFields ?? {})) expect(typeof read(object)).toBe('string')

  const next = structuredClone(object)
  strategy.prepareForUpdate?.(next, object, testContext())
  strategy.validate?.(next, testContext())
  const refusals = strategy.validateUpdate?.(next, object, testContext()) ?? []
  // A node's status comes with it unchecked.
  if (errors.length === 0 && strategy.keepsStatusOnCreate !== true) expect(refusals).toEqual([])
  const status = structuredClone(object)
  strategy.prepareForStatusUpdate?.(status, object, testContext('status'))
  strategy.validateStatusUpdate?.(status, object, testContext('status'))
}
