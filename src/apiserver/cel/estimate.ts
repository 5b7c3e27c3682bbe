// How much an expression may cost at most, before it is ever run: from the bounds that a schema sets on sizes. Without bounds, from
// what fits into a request.
import type { Checked } from './check.ts'
import { functions } from './functions/all.ts'
import type { Call, Expr } from './syntax.ts'
import { requestBytesMax, type Type } from './types.ts'

interface Estimate {
  readonly cost: number
  /** Largest size of the value. */
  readonly size: number
}

const roundCost = 2
const listCost = 10
const mapCost = 30
const structCost = 40

/** Units of cost; Infinity when there is no bound that a number could say. */
export function estimateCost(expr: Expr, checked: Checked): number {
  return estimate(expr, checked).cost
}

function sizeOfType(type: Type | undefined): number {
  switch (type?.kind) {
    case 'string':
    case 'bytes':
    case 'list':
    case 'map':
      return type.max ?? requestBytesMax
    case 'dyn':
      return requestBytesMax
    case 'object':
      return type.fields.size
    default:
      return 1
  }
}

function estimate(expr: Expr, checked: Checked): Estimate {
  const typed = (cost: number): Estimate => ({ cost, size: sizeOfType(checked.types.get(expr)) })
  const of = (inner: Expr): Estimate => estimate(inner, checked)
  switch (expr.kind) {
    case 'literal':
      return { cost: 0, size: typeof expr.value === 'string' ? expr.value.length : 1 }
    case 'ident':
      return typed(1)
    case 'select':
      return typed(of(expr.operand).cost + 1)
    case 'list':
      return { cost: listCost + sum(expr.items.map(({ value }) => of(value).cost)), size: expr.items.length }
    case 'map':
      return { cost: mapCost + sum(expr.entries.map(({ key, value }) => of(key).cost + of(value).cost)), size: expr.entries.length }
    case 'struct':
      return { cost: structCost + sum(expr.fields.map(({ value }) => of(value).cost)), size: expr.fields.length }
    case 'call':
      return callEstimate(expr, checked)
    case 'macro': {
      const range = of(expr.range)
      const inner = of(expr.body).cost + (expr.filter === undefined ? 0 : of(expr.filter).cost)
      const rounds = expr.name.startsWith('opt') ? 1 : range.size
      return { cost: range.cost + rounds * (inner + roundCost), size: range.size }
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function callEstimate(expr: Call, checked: Checked): Estimate {
  const qualified = checked.qualified.get(expr)
  const given = expr.target === undefined || qualified !== undefined ? expr.args : [expr.target, ...expr.args]
  const args = given.map((arg) => estimate(arg, checked))
  const own = sum(args.map(({ cost }) => cost))
  const sizes = args.map(({ size }) => size)
  if (expr.name === '_?_:_') {
    const [condition, a, b] = args as [Estimate, Estimate, Estimate]
    return { cost: condition.cost + Math.max(a.cost, b.cost), size: Math.max(a.size, b.size) }
  }
  const overloads = functions.get(qualified ?? expr.name)?.filter(({ args: types }) => types.length === given.length) ?? []
  const extra = Math.max(1, ...overloads.map((overload) => overload.estimate?.(sizes) ?? 1))
  const size = expr.name === '_+_' ? sum(sizes) : sizeOfType(checked.types.get(expr))
  const bounded = checked.types.get(expr)?.kind === 'list' ? Math.min(size, Math.max(...sizes, 1)) : size
  return { cost: own + extra, size: expr.name === '_+_' ? size : bounded }
}
