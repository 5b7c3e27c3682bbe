// Kubernetes' list library, and cel-go's sets.
import { compare, equals } from '../compare.ts'
import { CelError, CelList, Duration, listFrom, Optional, optionalNone, Uint, type Value } from '../values.ts'
import { fn, type Overload } from './overload.ts'

const each = (size: number): number => size
const pairs = (a: number, b: number): number => a * b + 1

const orderedTypes = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']

function isSorted(list: CelList): boolean {
  for (let i = 1; i < list.size; i++) if (compare(list.at(i - 1), list.at(i)) > 0) return false
  return true
}

function extreme(list: CelList, sign: number, name: string): Value {
  if (list.size === 0) throw new CelError(`${name} called on empty list`)
  let best = list.at(0)
  for (const item of list) if (compare(item, best) * sign > 0) best = item
  return best
}

function sum(list: CelList, zero: Value): Value {
  let total = zero
  for (const item of list) total = add(total, item)
  return total
}

function add(a: Value, b: Value): Value {
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if (BigInt.asIntN(64, a + b) !== a + b) throw new CelError('integer overflow')
    return a + b
  }
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (a instanceof Uint && b instanceof Uint) return new Uint(a.value + b.value)
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ns + b.ns)
  throw new CelError('no such overload')
}

const zeros: readonly (readonly [string, Value])[] = [
  ['int', 0n],
  ['uint', new Uint(0n)],
  ['double', 0],
  ['duration', new Duration(0n)],
]

function indexOf(list: CelList, item: Value): bigint {
  return BigInt([...list].findIndex((one) => equals(one, item)))
}

function lastIndexOf(list: CelList, item: Value): bigint {
  return BigInt([...list].findLastIndex((one) => equals(one, item)))
}

function containsAll(list: CelList, part: CelList): boolean {
  const items = [...list]
  return [...part].every((item) => items.some((one) => equals(one, item)))
}

function intersects(a: CelList, b: CelList): boolean {
  const items = [...a]
  return [...b].some((item) => items.some((one) => equals(one, item)))
}

function reverse(list: CelList): CelList {
  return listFrom([...list].reverse())
}

function slice(list: CelList, start: bigint, end: bigint): CelList {
  const asked = `cannot slice(${start}, ${end})`
  if (start < 0n || end < 0n) throw new CelError(`${asked}, negative indexes not supported`)
  if (start > end) throw new CelError(`${asked}, start index must be less than or equal to end index`)
  if (end > BigInt(list.size)) throw new CelError(`${asked}, list is length ${list.size}`)
  return listFrom([...list].slice(Number(start), Number(end)))
}

function flatten(list: CelList, levels: bigint): CelList {
  if (levels < 0n) throw new CelError('level must be non-negative')
  return listFrom([...list].flatMap((item) => (item instanceof CelList && levels > 0n ? [...flatten(item, levels - 1n)] : [item])))
}

function range(size: bigint): CelList {
  // What is longer costs more than there is.
  if (size > rangeMax) throw new CelError(`range ${size} is too long`)
  return listFrom(Array.from({ length: Math.max(0, Number(size)) }, (_, i) => BigInt(i)))
}

const rangeMax = 1_000_000n

function distinct(list: CelList): CelList {
  const found: Value[] = []
  const plain = new Set<unknown>()
  for (const item of list) {
    // Texts and whole numbers are told apart at once.
    if (typeof item === 'string' || typeof item === 'bigint') {
      if (plain.has(item)) continue
      plain.add(item)
    }
    if (typeof item === 'string' || !found.some((one) => equals(one, item))) found.push(item)
  }
  return listFrom(found)
}

/** The items in the order of their keys. */
export function sortedBy(items: readonly Value[], keys: readonly Value[]): CelList {
  const order = keys.map((_, i) => i).sort((a, b) => compare(keys[a]!, keys[b]!) || a - b)
  return listFrom(order.map((i) => items[i]!))
}

function sort(list: CelList): CelList {
  const items = [...list]
  return sortedBy(items, items)
}

const perPair = (size: number): number => size * size

export const listFunctions: readonly Overload[] = [
  { ...fn('lists.range(int): list<int>', range), cost: ([size]) => Math.max(0, Number(size)) },
  fn('list<A>->reverse(): list<A>', reverse, each),
  fn('list<A>->slice(int, int): list<A>', slice, each),
  fn('list<A>->flatten(): list<dyn>', (list: CelList) => flatten(list, 1n), each),
  fn('list<A>->flatten(int): list<dyn>', flatten, each),
  ...orderedTypes.map((type) => fn(`list<${type}>->sort(): list<${type}>`, sort, perPair)),
  fn('list<A>->distinct(): list<A>', distinct, perPair),
  fn('list<A>->first(): optional<A>', (list: CelList) => (list.size === 0 ? optionalNone : new Optional(list.at(0)))),
  fn('list<A>->last(): optional<A>', (list: CelList) => (list.size === 0 ? optionalNone : new Optional(list.at(list.size - 1)))),
  ...orderedTypes.map((type) => fn(`list<${type}>->isSorted(): bool`, isSorted, each)),
  ...orderedTypes.map((type) => fn(`list<${type}>->min(): ${type}`, (list: CelList) => extreme(list, -1, 'min'), each)),
  ...orderedTypes.map((type) => fn(`list<${type}>->max(): ${type}`, (list: CelList) => extreme(list, 1, 'max'), each)),
  ...zeros.map(([type, zero]) => fn(`list<${type}>->sum(): ${type}`, (list: CelList) => sum(list, zeroOf(list) ?? zero), each)),
  fn('list<A>->indexOf(A): int', indexOf, each),
  fn('list<A>->lastIndexOf(A): int', lastIndexOf, each),
  fn('sets.contains(list<A>, list<A>): bool', containsAll, pairs),
  fn(
    'sets.equivalent(list<A>, list<A>): bool',
    (a: CelList, b: CelList) => containsAll(a, b) && containsAll(b, a),
    (a, b) => a * b * 2 + 1,
  ),
  fn('sets.intersects(list<A>, list<A>): bool', intersects, pairs),
]

// Of what the items are; of those of an empty list only a schema tells.
function zeroOf(list: CelList): Value | undefined {
  if (list.size > 0) return zeroLike(list.at(0))
  const kind = list.type?.element.kind
  return zeros.find(([type]) => type === kind)?.[1]
}

function zeroLike(value: Value): Value {
  if (typeof value === 'number') return 0
  if (value instanceof Uint) return new Uint(0n)
  return value instanceof Duration ? new Duration(0n) : 0n
}
