// Random objects of any schema, for property tests: every field may or may not be there, values are canonical.
import fc from 'fast-check'
import { formatQuantity, newQuantity } from '../quantity.ts'
import { compileDecoder } from './decode.ts'
import { formatGoDuration } from './go-time.ts'
import { resolved, type Schema, type StructSchema } from './schema.ts'

const texts = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 4 }),
  fc.constantFrom('', 'a', 'nginx', '__proto__', 'constructor'),
)
const keys = fc.oneof(fc.stringMatching(/^[a-z][a-z0-9./-]{0,10}$/), fc.constantFrom('__proto__', 'constructor', 'toString'))
const dates = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })

const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  string: texts,
  boolean: fc.boolean(),
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
  bytes: fc.base64String({ maxLength: 12 }),
  time: dates.map((date) => `${date.toISOString().slice(0, 19)}Z`),
  microTime: dates.map((date) => `${date.toISOString().slice(0, 23)}000Z`),
  duration: fc.maxSafeNat().map((n) => formatGoDuration(BigInt(n))),
  quantity: fc
    .tuple(fc.maxSafeInteger(), fc.integer({ min: -3, max: 3 }))
    .map(([n, e]) => formatQuantity(newQuantity(n, 'DecimalSI', e * 3))),
  intOrString: fc.oneof(fc.integer(), fc.string({ maxLength: 5 })),
}

const rawObjects = fc.dictionary(keys, fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 2 })), {
  maxKeys: 3,
})

function arbitraryOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const node = resolved(schema)
  switch (node.type) {
    case 'struct':
      return arbitraryStruct(node, depth)
    case 'list':
      return fc.array(arbitraryOf(node.items, depth - 1), { maxLength: depth > 0 ? 2 : 0 })
    case 'map':
      return fc
        .dictionary(keys, arbitraryOf(node.values, depth - 1), { maxKeys: depth > 0 ? 2 : 0, noNullPrototype: true })
        .map(withKeysSorted)
    case 'any':
      return rawObjects
    case 'union':
      return node.name === 'JSONSchemaPropsOrBool' ? fc.boolean() : arbitraryOf(node.object, depth - 1)
    default:
      return scalars[node.type]!
  }
}

function withKeysSorted(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function arbitraryStruct(schema: StructSchema, depth: number): fc.Arbitrary<Record<string, unknown>> {
  if (depth <= 0) return fc.constant({})
  const fields = [...schema.fields.values()].filter((field) => field.name !== 'apiVersion' && field.name !== 'kind')
  return (
    fc
      .shuffledSubarray(fields, { maxLength: Math.min(fields.length, 6) })
      .chain((chosen) =>
        fc.tuple(...chosen.map((field) => arbitraryOf(field.schema, depth - 1).map((value) => [field.name, value] as const))),
      )
      // An empty list of managed fields is an order to forget them, not a value.
      .map((entries) => Object.fromEntries(entries.filter(([name, value]) => name !== 'managedFields' || (value as unknown[]).length > 0)))
  )
}

/** Objects as they come from a client: fields in any order. */
export function arbitraryInput(schema: StructSchema, depth = 6): fc.Arbitrary<Record<string, unknown>> {
  return arbitraryStruct(schema, depth)
}

/** Objects as they are in memory after decoding. */
export function arbitraryObject(schema: StructSchema, depth = 6): fc.Arbitrary<Record<string, unknown>> {
  const decode = compileDecoder<Record<string, unknown>>(schema)
  return arbitraryInput(schema, depth).map((input) => decode(structuredClone(input), 'ignore').object)
}
