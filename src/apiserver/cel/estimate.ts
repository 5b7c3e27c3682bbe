// How much an expression may cost at most, before it is ever run: from the bounds that a schema sets on sizes. Without bounds, from
// what fits into a request.
//
// Compat: what an author may write into a definition hangs on these figures, so they follow the cost model of the language's reference
// implementation and of Kubernetes' libraries: macros cost what the folds cost that they stand for, comparing what has no size of its
// own costs nothing, and keys of maps count as empty.
import type { Checked } from './check.ts'
import { functions } from './functions/all.ts'
import { perChar } from './functions/overload.ts'
import type { Call, Expr, Macro } from './syntax.ts'
import { requestBytesMax, type Type } from './types.ts'

interface Estimate {
  readonly cost: number
  /** Largest size of the value. */
  readonly size: number
  /** Smallest size, where it is known. */
  readonly least?: number
}

const listCost = 10
const mapCost = 30
const structCost = 40
// As long as JSON may write a time or a duration.
const timeSize = 32
// A named format is a regular expression of at most so many characters.
const formatCost = 128 * 0.25
// Of what nobody knows the size of: all that 64 bits can count.
const unboundedSize = 2 ** 64

/** Units of cost; Infinity when there is no bound that a number could say. */
export function estimateCost(expr: Expr, checked: Checked): number {
  return estimate(expr, checked).cost
}

function isText(type: Type | undefined): boolean {
  return type?.kind === 'string' || type?.kind === 'bytes'
}

/** Whether the value stands in the object: then its size is what the schema says, and numbers and objects have none. */
function isPath(expr: Expr): boolean {
  return expr.kind === 'select' || expr.kind === 'ident' || (expr.kind === 'call' && expr.name === '_[_]')
}

function sizeOf(expr: Expr, checked: Checked): number {
  const type = checked.types.get(expr)
  switch (type?.kind) {
    case 'string':
    case 'bytes':
    case 'list':
    case 'map':
    case 'dyn':
      return type.max ?? requestBytesMax
    case 'timestamp':
    case 'duration':
      return isPath(expr) ? timeSize : 1
    default:
      return isPath(expr) ? 0 : 1
  }
}

function estimate(expr: Expr, checked: Checked): Estimate {
  const of = (inner: Expr): Estimate => estimate(inner, checked)
  switch (expr.kind) {
    case 'literal': {
      const size = typeof expr.value === 'string' || expr.value instanceof Uint8Array ? expr.value.length : 1
      return { cost: 0, size, least: size }
    }
    case 'ident':
      return { cost: 1, size: sizeOf(expr, checked) }
    case 'select': {
      const operand = checked.dotted.has(expr) ? 0 : of(expr.operand).cost
      // Asking whether something is there is free, as far as it is a plain path.
      if (expr.test === true) return { cost: isPath(expr.operand) ? 0 : operand, size: 1 }
      const kind = checked.types.get(expr.operand)?.kind
      const step = kind === 'map' || kind === 'object' || kind === undefined ? 1 : 0
      return { cost: operand + step, size: sizeOf(expr, checked) }
    }
    case 'list':
      return { cost: listCost + sum(expr.items.map(({ value }) => of(value).cost)), size: expr.items.length, least: expr.items.length }
    case 'map':
      return { cost: mapCost + sum(expr.entries.map(({ key, value }) => of(key).cost + of(value).cost)), size: expr.entries.length }
    case 'struct':
      return { cost: structCost + sum(expr.fields.map(({ value }) => of(value).cost)), size: expr.fields.length }
    case 'call':
      return callEstimate(expr, checked)
    case 'macro':
      return macroEstimate(expr, checked)
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** A round of the fold that a macro stands for: its condition and its step; and what is paid once, before and after. */
function macroEstimate(expr: Macro, checked: Checked): Estimate {
  const ranged = checked.types.get(expr.range)
  const found = estimate(expr.range, checked)
  const range = ranged?.kind === 'object' ? { ...found, size: ranged.fields.size } : found
  const body = estimate(expr.body, checked).cost
  const filter = expr.filter === undefined ? 0 : estimate(expr.filter, checked).cost
  const folded = (round: number, once: number, size: number): Estimate => ({ cost: range.cost + once + range.size * round, size })
  switch (expr.name) {
    case 'all':
      return folded(body + 3, 1, 1)
    case 'exists':
      return folded(body + 4, 1, 1)
    case 'exists_one':
      return folded(body + 2, 2, 1)
    case 'filter':
      return folded(body + listCost + 2, listCost + 1, range.size)
    case 'sortBy':
      return folded(body + listCost + 2 + range.size, listCost + 1, range.size)
    case 'map':
    case 'transformList':
      return folded(filter + body + listCost + 2, listCost + 1, range.size)
    case 'transformMap':
      return folded(filter + body + 3, mapCost + 1, range.size)
    case 'transformMapEntry':
      return folded(filter + body + 2, mapCost + 1, range.size)
    case 'bind':
      return { cost: range.cost + body, size: estimate(expr.body, checked).size }
    case 'optMap':
    case 'optFlatMap':
      return { cost: range.cost + body + 2, size: sizeOf(expr, checked) }
  }
}

interface CallCost {
  readonly cost: number
  readonly size?: number
}

type CallModel = (args: readonly Estimate[], types: readonly (Type | undefined)[]) => CallCost

const free: CallModel = () => ({ cost: 0 })
const step: CallModel = () => ({ cost: 1 })
const comparing: CallModel = ([a, b]) => ({ cost: perChar(Math.min(a!.size, b!.size)) })
const ordering: CallModel = (args, types) => (isText(types[0]) ? comparing(args, types) : { cost: 1 })
/** Goes through the text, whose size the result has. */
const scanning: CallModel = ([text]) => ({ cost: perChar(text!.size), size: text!.size })
const matching: CallModel = ([text, pattern]) => ({ cost: perChar(text!.size + 1) * Math.ceil(pattern!.size * 0.25) })
const finding: CallModel = (args, types) => ({ ...matching(args, types), size: args[0]!.size })

/** Of lists each element is looked at, texts character by character; texts themselves are gone through once. */
const searching: CallModel = ([within], [type]) => {
  if (type?.kind !== 'list') return { cost: type?.kind === 'dyn' ? within!.size : perChar(within!.size) }
  const { element } = type
  const text = element.kind === 'string' || element.kind === 'bytes' ? perChar(element.max ?? requestBytesMax) : 0
  return { cost: within!.size * (1 + text) }
}

const models: Readonly<Record<string, CallModel>> = {
  '_&&_': free,
  '_||_': free,
  '_==_': comparing,
  '_!=_': comparing,
  '_<_': ordering,
  '_<=_': ordering,
  '_>_': ordering,
  '_>=_': ordering,
  '_+_': ([a, b], [type]) => ({ cost: isText(type) ? perChar(a!.size + b!.size) : 1, size: a!.size + b!.size }),
  '@in': ([, within], [, type]) => ({ cost: type?.kind === 'list' ? within!.size : 1 }),
  size: step,
  dyn: ([value]) => ({ cost: 1, size: value!.size }),
  int: step,
  uint: step,
  double: step,
  bool: step,
  timestamp: step,
  duration: step,
  bytes: ([text]) => ({ cost: perChar(text!.size), size: text!.size * 4 }),
  // Compat: how long the text of a number, or of a text, may be is not asked for.
  string: (args, [type]) => (type?.kind === 'bytes' ? scanning(args, [type]) : { cost: 1, size: unboundedSize }),
  startsWith: ([, part]) => ({ cost: perChar(part!.size) }),
  endsWith: ([, part]) => ({ cost: perChar(part!.size) }),
  contains: ([text, part]) => ({ cost: perChar(text!.size) * perChar(part!.size) }),
  matches: matching,
  find: finding,
  findAll: finding,
  url: scanning,
  'jsonpatch.escapeKey': scanning,
  lowerAscii: scanning,
  upperAscii: scanning,
  substring: scanning,
  trim: scanning,
  replace: ([text, part, by]) => ({ cost: Math.ceil(text!.size * 0.2), size: replacedSize(text!, part!, by!) }),
  split: ([text]) => ({ cost: Math.ceil(text!.size * 0.2), size: text!.size }),
  join: ([list, between], [type]) => {
    const element =
      type?.kind === 'list' && isText(type.element) ? ((type.element as { max?: number }).max ?? requestBytesMax) : requestBytesMax
    const size = list!.size * element + (between === undefined ? 0 : Math.max(0, list!.size - 1) * between.size)
    return { cost: perChar(size), size }
  },
  isSorted: searching,
  sum: searching,
  max: searching,
  min: searching,
  indexOf: searching,
  lastIndexOf: searching,
  includes: searching,
  validate: ([, text]) => ({ cost: Math.ceil(perChar(text!.size) * formatCost) }),
}

// The longest that replacing can make a text: an empty part is found around every character.
function replacedSize(text: Estimate, part: Estimate, by: Estimate): number {
  const least = part.least ?? 0
  if (least === 0) return (text.size + 1) * by.size + text.size
  return by.size <= least ? text.size : Math.ceil(text.size / least) * by.size
}

function callEstimate(expr: Call, checked: Checked): Estimate {
  const qualified = checked.qualified.get(expr)
  const given = expr.target === undefined || qualified !== undefined ? expr.args : [expr.target, ...expr.args]
  const args = given.map((arg) => estimate(arg, checked))
  if (expr.name === '_?_:_') {
    const [condition, a, b] = args as [Estimate, Estimate, Estimate]
    return { cost: condition.cost + Math.max(a.cost, b.cost), size: Math.max(a.size, b.size) }
  }
  const own = sum(args.map(({ cost }) => cost))
  const model = models[qualified ?? expr.name]
  if (model !== undefined) {
    const types = given.map((arg) => checked.types.get(arg))
    const { cost, size = sizeOf(expr, checked) } = model(args, types)
    return { cost: own + cost, size }
  }
  const sizes = args.map(({ size }) => size)
  const overloads = functions.get(qualified ?? expr.name)?.filter(({ args: types }) => types.length === given.length) ?? []
  const extra = Math.max(1, ...overloads.map((overload) => overload.estimate?.(sizes) ?? 1))
  const size = sizeOf(expr, checked)
  return { cost: own + extra, size: checked.types.get(expr)?.kind === 'list' ? Math.min(size, Math.max(...sizes, 1)) : size }
}
