// Optional values (cel-go's optional types): `optional.of(x)`, `x.orValue(y)`. The syntax that makes them is the evaluator's.
import { CelError, type CelList, Duration, listFrom, Optional, optionalNone, Timestamp, Uint, type Value } from '../values.ts'
import { fn, type Overload } from './overload.ts'

export const optionalFunctions: readonly Overload[] = [
  fn('optional.of(A): optional<A>', (value: Value) => new Optional(value)),
  fn('optional.none(): optional<A>', () => optionalNone),
  fn('optional.ofNonZeroValue(A): optional<A>', (value: Value) => (isZero(value) ? optionalNone : new Optional(value))),
  fn('optional<A>->hasValue(): bool', (optional: Optional) => optional.value !== undefined),
  fn('optional<A>->value(): A', ({ value }: Optional) => {
    if (value === undefined) throw new CelError('optional.none() dereference')
    return value
  }),
  fn('optional<A>->or(optional<A>): optional<A>', (optional: Optional, other: Optional) =>
    optional.value === undefined ? other : optional,
  ),
  fn('optional<A>->orValue(A): A', ({ value }: Optional, other: Value) => value ?? other),
  fn('optional.unwrap(list<optional<A>>): list<A>', unwrap, (size) => size),
  fn('list<optional<A>>->unwrapOpt(): list<A>', unwrap, (size) => size),
]

function unwrap(list: CelList): Value {
  return listFrom([...list].flatMap((item) => (item instanceof Optional ? (item.value === undefined ? [] : [item.value]) : [item])))
}

// Go's zero time.
const zeroTime = -62_135_596_800_000_000_000n

function isZero(value: Value): boolean {
  if (value instanceof Uint) return value.value === 0n
  if (value instanceof Duration) return value.ns === 0n
  if (value instanceof Timestamp) return value.ns === zeroTime
  if (value === null || value === false || value === 0n || value === 0 || value === '') return true
  if (value instanceof Uint8Array) return value.length === 0
  return typeof value === 'object' && 'size' in value && value.size === 0
}
