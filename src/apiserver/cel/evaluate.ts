// Runs checked expressions. The tree becomes functions once; each step they take is paid from a budget, so that no expression
// runs for long whatever it is given.
import type { Checked } from './check.ts'
import { equals } from './compare.ts'
import { functions } from './functions/all.ts'
import { fits, type Overload, perChar } from './functions/overload.ts'
import { macroStep } from './macros.ts'
import type { Call, Expr, ListExpr, MapExpr, Select, StructExpr } from './syntax.ts'
import { CelError, CelList, EntryMap, isMap, listFrom, Optional, optionalNone, StructValue, TypeValue, Uint, type Value } from './values.ts'

/** The budget is used up. Not to be absorbed by any operator. */
export class CelBudgetError extends Error {
  override readonly name = 'CelBudgetError'
  constructor() {
    super('operation cancelled: actual cost limit exceeded')
  }
}

/** One evaluation. */
export interface Frame {
  readonly variables: Readonly<Record<string, Value>>
  /** Variables of the macros around, innermost last. */
  readonly slots: Value[]
  spent: number
  readonly limit: number
}

export type Step = (frame: Frame) => Value

export function spend(frame: Frame, units: number): void {
  frame.spent += units
  if (frame.spent > frame.limit) throw new CelBudgetError()
}

const listCost = 10
const mapCost = 30
const structCost = 40

/** Names of macro variables, by slot. */
export type Names = readonly string[]

export interface Compiler {
  readonly checked: Checked
  step(expr: Expr, names: Names): Step
}

export function compileSteps(expr: Expr, checked: Checked): Step {
  const compiler: Compiler = { checked, step: (inner, names) => compileStep(compiler, inner, names) }
  return compiler.step(expr, [])
}

function compileStep(compiler: Compiler, expr: Expr, names: Names): Step {
  switch (expr.kind) {
    case 'literal': {
      const value: Value = expr.unsigned === true ? new Uint(expr.value as bigint) : expr.value
      return () => value
    }
    case 'ident':
      return variable(compiler, expr, names)
    case 'select': {
      const dotted = compiler.checked.dotted.get(expr)
      if (dotted !== undefined) return global(dotted)
      const named = compiler.checked.typeNames.get(expr)
      return named === undefined ? selection(compiler, expr, names) : () => new TypeValue(named)
    }
    case 'call':
      return call(compiler, expr, names)
    case 'list':
      return list(compiler, expr, names)
    case 'map':
      return map(compiler, expr, names)
    case 'struct':
      return struct(compiler, expr, names)
    case 'macro':
      return macroStep<Frame>({ step: compiler.step, spend }, expr, names)
  }
}

const typeAliases: Readonly<Record<string, string>> = { timestamp: 'google.protobuf.Timestamp', duration: 'google.protobuf.Duration' }

function variable({ checked }: Compiler, expr: Expr & { kind: 'ident' }, names: Names): Step {
  const { name } = expr
  const slot = names.lastIndexOf(name)
  if (slot >= 0) {
    return (frame) => {
      spend(frame, 1)
      return frame.slots[slot]!
    }
  }
  if (checked.typeNames.has(expr)) {
    const type = new TypeValue(typeAliases[name] ?? name)
    return () => type
  }
  return global(name)
}

function global(name: string): Step {
  return (frame) => {
    spend(frame, 1)
    const value = frame.variables[name]
    if (value === undefined) throw new CelError(`no such attribute(s): ${name}`)
    return value
  }
}

function selection(compiler: Compiler, { operand, field, test, optional }: Select, names: Names): Step {
  const of = compiler.step(operand, names)
  return (frame) => {
    const whole = of(frame)
    spend(frame, 1)
    const value = whole instanceof Optional ? whole.value : whole
    if (value === undefined) return test === true ? false : optionalNone
    if (value === null || typeof value !== 'object' || !isMap(value)) {
      if (optional === true && value === null) return optionalNone
      throw new CelError(test === true || value === null ? `no such key: ${field}` : 'no such overload')
    }
    if (test === true) return value.has(field)
    const found = value.get(field)
    if (optional === true || whole instanceof Optional) return found === undefined ? optionalNone : new Optional(found)
    if (found === undefined) throw new CelError(`no such key: ${field}`)
    return found
  }
}

function call(compiler: Compiler, expr: Call, names: Names): Step {
  const qualified = compiler.checked.qualified.get(expr)
  const given = expr.target === undefined || qualified !== undefined ? expr.args : [expr.target, ...expr.args]
  const args = given.map((arg) => compiler.step(arg, names))
  const [a, b, c] = args as [Step, Step, Step]
  switch (expr.name) {
    case '_&&_':
      return (frame) => logical(frame, a, b, false)
    case '_||_':
      return (frame) => logical(frame, a, b, true)
    case '_?_:_':
      return (frame) => {
        const condition = a(frame)
        if (typeof condition !== 'boolean') throw new CelError('no such overload')
        return condition ? b(frame) : c(frame)
      }
    case '_[?_]':
      return (frame) => optionalIndex(frame, a, b)
    case '_==_':
    case '_!=_': {
      const wanted = expr.name === '_==_'
      return (frame) => {
        const left = a(frame)
        const right = b(frame)
        spend(frame, comparisonCost(left, right))
        return equals(left, right) === wanted
      }
    }
  }
  const method = expr.target !== undefined && qualified === undefined
  const name = qualified ?? expr.name
  const overloads = functions.get(name)!.filter((one) => one.method === method && one.args.length === args.length)
  return applying(overloads, args)
}

function applying(overloads: readonly Overload[], args: readonly Step[]): Step {
  // Most calls meet values of the same types again and again.
  let last = overloads[0]
  return (frame) => {
    const values: Value[] = []
    for (const arg of args) values.push(arg(frame))
    // An index into an optional list or map.
    if (values[0] instanceof Optional && overloads[0]?.name === '_[_]') return throughOptional(frame, values[0], values[1]!)
    if (last === undefined || !allFit(values, last)) {
      const found = overloads.find((overload) => allFit(values, overload))
      if (found === undefined) throw new CelError('no such overload')
      last = found
    }
    spend(frame, last.cost === undefined ? 1 : Math.max(1, last.cost(values)))
    return paidResult(frame, last, last.run(values))
  }
}

function allFit(values: readonly Value[], { args }: Overload): boolean {
  for (let i = 0; i < args.length; i++) if (!fits(values[i]!, args[i]!)) return false
  return true
}

// Functions that make long texts out of short ones are paid for by what they make.
function paidResult(frame: Frame, { name }: Overload, result: Value): Value {
  if (typeof result === 'string' && result.length > longText && name !== '_+_') spend(frame, perChar(result.length))
  return result
}

const longText = 1_000

function comparisonCost(a: Value, b: Value): number {
  return Math.max(1, perChar(Math.min(deepSize(a, 0), deepSize(b, 0))))
}

const depthMax = 64

/** What there is to compare of a value: characters and elements, all the way down. */
function deepSize(value: Value, depth: number): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null || depth > depthMax) return 1
  if (value instanceof Uint8Array) return value.length
  if (value instanceof CelList) {
    let size = value.size
    for (const item of value) size += deepSize(item, depth + 1)
    return size
  }
  if (!isMap(value)) return 1
  let size = value.size
  for (const key of value.keys()) size += deepSize(key, depth) + deepSize(value.get(key)!, depth + 1)
  return size
}

/** `absorbing`: the value that decides alone, whatever becomes of the other side. */
function logical(frame: Frame, left: Step, right: Step, absorbing: boolean): Value {
  const first = attempt(frame, left)
  if (first === absorbing) return absorbing
  const second = attempt(frame, right)
  if (second === absorbing) return absorbing
  for (const value of [first, second]) if (value instanceof CelError) throw value
  if (typeof first !== 'boolean' || typeof second !== 'boolean') throw new CelError('no such overload')
  return !absorbing
}

export function attempt(frame: Frame, step: Step): Value | CelError {
  try {
    return step(frame)
  } catch (error) {
    if (error instanceof CelError) return error
    throw error
  }
}

function optionalIndex(frame: Frame, container: Step, index: Step): Value {
  const whole = container(frame)
  const key = index(frame)
  return throughOptional(frame, whole, key)
}

function throughOptional(frame: Frame, whole: Value, key: Value): Value {
  spend(frame, 1)
  const value = whole instanceof Optional ? whole.value : whole
  if (value === undefined) return optionalNone
  if (value instanceof CelList) {
    const at = typeof key === 'bigint' ? Number(key) : -1
    return at >= 0 && at < value.size ? new Optional(value.at(at)) : optionalNone
  }
  if (typeof value !== 'object' || value === null || !isMap(value)) throw new CelError('no such overload')
  const found = value.get(key)
  return found === undefined ? optionalNone : new Optional(found)
}

// Texts, numbers, and lists and maps of such: made once, and free ever after.
function isConstant(expr: Expr): boolean {
  if (expr.kind === 'list') return expr.items.every(({ value, optional }) => !optional && isConstant(value))
  if (expr.kind === 'map') return expr.entries.every(({ key, value, optional }) => !optional && isConstant(key) && isConstant(value))
  return expr.kind === 'literal'
}

// A map with one key twice is told when it is run.
function folded(expr: Expr, made: Step): Step {
  if (!isConstant(expr)) return made
  try {
    const value = made({ variables: {}, slots: [], spent: 0, limit: Number.POSITIVE_INFINITY })
    return () => value
  } catch {
    return made
  }
}

function list(compiler: Compiler, expr: ListExpr, names: Names): Step {
  const { items } = expr
  const steps = items.map(({ value, optional }) => ({ step: compiler.step(value, names), optional }))
  return folded(expr, (frame) => {
    spend(frame, listCost)
    const values: Value[] = []
    for (const { step, optional } of steps) {
      const value = present(step(frame), optional)
      if (value !== undefined) values.push(value)
    }
    return listFrom(values)
  })
}

// Undefined: an optional element that is not there.
function present(value: Value, optional: boolean): Value | undefined {
  if (!optional) return value
  if (value instanceof Optional) return value.value
  throw new CelError('no such overload')
}

function map(compiler: Compiler, expr: MapExpr, names: Names): Step {
  const { entries } = expr
  const steps = entries.map(({ key, value, optional }) => ({
    key: compiler.step(key, names),
    value: compiler.step(value, names),
    optional,
  }))
  return folded(expr, (frame) => {
    spend(frame, mapCost)
    const made = new EntryMap()
    for (const { key, value, optional } of steps) {
      const at = key(frame)
      const found = present(value(frame), optional)
      if (found !== undefined && !made.add(at, found)) throw new CelError(`Failed with repeated key: ${String(at)}`)
    }
    return made
  })
}

function struct(compiler: Compiler, { name, fields }: StructExpr, names: Names): Step {
  const steps = fields.map((field) => ({ name: field.name, optional: field.optional, step: compiler.step(field.value, names) }))
  return (frame) => {
    spend(frame, structCost)
    const made = new Map<string, Value>()
    for (const { name: field, optional, step } of steps) {
      const value = present(step(frame), optional)
      if (value !== undefined) made.set(field, value)
    }
    return new StructValue(name, made)
  }
}
