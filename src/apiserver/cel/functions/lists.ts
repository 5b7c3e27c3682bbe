// Kubernetes' list library, and cel-go's sets.
import { compare, equals } from '../compare.ts'
import { CelError, type CelList, Duration, Uint, type Value } from '../values.ts'
import { fn, type Overload } from './overload.ts'

const each = (size: number): number => size
const pairs = (a: number, b: number): number => a * b

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

export const listFunctions: readonly Overload[] = [
  ...orderedTypes.map((type) => fn(`list<${type}>->isSorted(): bool`, isSorted, each)),
  ...orderedTypes.map((type) => fn(`list<${type}>->min(): ${type}`, (list: CelList) => extreme(list, -1, 'min'), each)),
  ...orderedTypes.map((type) => fn(`list<${type}>->max(): ${type}`, (list: CelList) => extreme(list, 1, 'max'), each)),
  ...zeros.map(([type, zero]) =>
    fn(
      `list<${type}>->sum(): ${type}`,
      (list: CelList) => sum(list, list.size > 0 && typeof list.at(0) !== typeof zero ? zeroLike(list.at(0)) : zero),
      each,
    ),
  ),
  fn('list<A>->indexOf(A): int', indexOf, each),
  fn('list<A>->lastIndexOf(A): int', lastIndexOf, each),
  fn('sets.contains(list<A>, list<A>): bool', containsAll, pairs),
  fn(
    'sets.equivalent(list<A>, list<A>): bool',
    (a: CelList, b: CelList) => containsAll(a, b) && containsAll(b, a),
    (a, b) => a * b * 2,
  ),
  fn('sets.intersects(list<A>, list<A>): bool', intersects, pairs),
]

function zeroLike(value: Value): Value {
  if (typeof value === 'number') return 0
  if (value instanceof Uint) return new Uint(0n)
  return value instanceof Duration ? new Duration(0n) : 0n
}
