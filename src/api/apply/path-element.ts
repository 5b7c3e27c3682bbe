// Elements of field paths: how items of lists are named, how elements compare, and how messages show them.

import { parseStored } from '../schema/json.ts'
import { zeroScalar } from '../schema/scalars.ts'
import { type ListSchema, resolved, type StructSchema } from '../schema/schema.ts'
import { goJson, goQuote } from '../validation/text.ts'

/** The element of a field or map key. */
export function fieldElement(name: string): string {
  return `f:${name}`
}

const plainText = /^[\w./:-]*$/

function jsonText(value: unknown): string {
  return typeof value === 'string' && plainText.test(value) ? `"${value}"` : goJson(value)
}

interface ListKeys {
  /** In the order in which elements name them. */
  readonly names: readonly string[]
  readonly defaults: readonly unknown[]
}

const keysOfLists = new WeakMap<ListSchema, ListKeys>()

function keysOf(schema: ListSchema): ListKeys {
  const known = keysOfLists.get(schema)
  if (known !== undefined) return known
  const names = [...schema.mapKeys].sort()
  const items = resolved(schema.items)
  const defaults = names.map((name) => (items.type === 'struct' ? keyDefault(items, name) : undefined))
  const keys = { names, defaults }
  keysOfLists.set(schema, keys)
  return keys
}

// A key that is not there counts with its default, which for plain required scalars is zero.
function keyDefault(items: StructSchema, name: string): unknown {
  const field = items.fields.get(name)
  if (field === undefined) return undefined
  if (field.default !== undefined) return field.default
  const { type } = field.schema
  const plain = type === 'string' || type === 'boolean' || type === 'int32' || type === 'int64'
  return plain && !field.pointer && !field.omitEmpty ? zeroScalar(type) : undefined
}

/** Why an item of a list of type set or map has no element, in Kubernetes' words. */
export class PathElementError extends Error {
  override readonly name = 'PathElementError'
}

/** The element of an item of a list of type set or map. Throws `PathElementError`. */
export function itemElement(schema: ListSchema, item: unknown): string {
  return schema.listType === 'set' ? setElement(item) : keyElement(schema, item)
}

function setElement(item: unknown): string {
  if (item === null) throw new PathElementError("associative list without keys has an element that's an explicit null")
  if (Array.isArray(item)) throw new PathElementError('not supported: associative list with lists as elements')
  if (typeof item === 'object') throw new PathElementError("associative list without keys has an element that's a map type")
  return `v:${jsonText(item)}`
}

function keyElement(schema: ListSchema, item: unknown): string {
  if (item === null) throw new PathElementError('associative list with keys may not have a null element')
  if (typeof item !== 'object' || Array.isArray(item))
    throw new PathElementError('associative list with keys may not have non-map elements')
  const { names, defaults } = keysOf(schema)
  let text = ''
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    const value = Object.hasOwn(item, name) ? (item as Record<string, unknown>)[name] : defaults[i]
    if (value !== undefined) text += `${text === '' ? '' : ','}"${name}":${jsonText(value)}`
  }
  if (text === '') {
    const list = schema.mapKeys.map((name) => goQuote(name)).join(' ')
    throw new PathElementError(
      `associative list with keys has an element that omits all key fields [${list}] (and doesn't have default values for any key fields)`,
    )
  }
  return `k:{${text}}`
}

const kinds = 'fkvi'

// All that a plain text may hold sorts after the quote that ends it.
const plainElement = /^(k:\{"\w+":"|v:")[\w./:-]*"\}?$/

/** Orders elements as Kubernetes does: fields by name, then keys, values and indexes; numbers by value. `.` comes first. */
export function comparePathElements(a: string, b: string): number {
  if (a === b) return 0
  if (a === '.') return -1
  if (b === '.') return 1
  if (a[0] !== b[0]) return kinds.indexOf(a[0]!) - kinds.indexOf(b[0]!)
  if (a[0] === 'f') return a < b ? -1 : 1
  // One plain text each under the same key: their values compare as the elements do.
  const before = plainElement.exec(a)?.[1]
  if (before !== undefined && before === plainElement.exec(b)?.[1]) return a < b ? -1 : 1
  const left = parsedValue(a)
  const right = parsedValue(b)
  return a[0] === 'k' ? compareKeys(left as Keys, right as Keys) : compareValues(left, right)
}

type Keys = Readonly<Record<string, unknown>>

function parsedValue(element: string): unknown {
  return parseStored(element.slice(2))
}

function compareKeys(a: Keys, b: Keys): number {
  const left = Object.keys(a).sort()
  const right = Object.keys(b).sort()
  for (let i = 0; i < left.length && i < right.length; i++) {
    if (left[i] !== right[i]) return left[i]! < right[i]! ? -1 : 1
    const order = compareValues(a[left[i]!], b[right[i]!])
    if (order !== 0) return order
  }
  return left.length - right.length
}

const typeOrder = ['number', 'string', 'boolean', 'object']

function typeIn(value: unknown): number {
  return typeOrder.indexOf(typeof value === 'bigint' ? 'number' : typeof value)
}

function compareValues(a: unknown, b: unknown): number {
  if (typeIn(a) !== typeIn(b)) return typeIn(a) - typeIn(b)
  if (typeof a === 'object') return 0
  return a === b ? 0 : (a as string) < (b as string) ? -1 : 1
}

/** An element as messages show it: `.name`, `[name="a",port=80]`, `[="x"]`, `[0]`. */
export function pathElementText(element: string): string {
  if (element.startsWith('f:')) return `.${element.slice(2)}`
  if (element.startsWith('i:')) return `[${element.slice(2)}]`
  const value = parsedValue(element)
  if (element.startsWith('v:')) return `[=${shown(value)}]`
  const keys = value as Keys
  const names = Object.keys(keys).sort()
  return `[${names.map((name) => `${name}=${shown(keys[name])}`).join(',')}]`
}

function shown(value: unknown): string {
  return typeof value === 'string' ? goQuote(value) : goJson(value)
}

/** Checks an element that a client wrote and gives its canonical form; undefined when it is none. */
export function canonicalElement(element: string): string | undefined {
  if (element === '.' || element.startsWith('f:')) return element
  if (/^i:-?\d{1,9}$/.test(element)) return `i:${Number(element.slice(2))}`
  if (!element.startsWith('k:') && !element.startsWith('v:')) return undefined
  let value: unknown
  try {
    value = parsedValue(element)
  } catch {
    return undefined
  }
  if (element.startsWith('v:')) return `v:${goJson(value)}`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const keys = value as Keys
  const names = Object.keys(keys).sort()
  return `k:{${names.map((name) => `${goJson(name)}:${goJson(keys[name])}`).join(',')}}`
}
