// What can be seen to be wrong with constants before an expression is ever run: durations, times and patterns that are none,
// conversions that cannot succeed, and lists whose elements are not of one type.
import type { Checked } from './check.ts'
import { compileSteps } from './evaluate.ts'
import { compileRegex } from './functions/regex.ts'
import { type Call, childrenOf, type Expr, type Issue, type Literal } from './syntax.ts'
import { formatType, type Type } from './types.ts'
import { CelError } from './values.ts'

/** Issues of an expression that has no others. Regular expressions must be loaded if it has any. */
export function constantIssues(expr: Expr, checked: Checked): Issue[] {
  const issues: Issue[] = []
  const complain = (at: Expr, message: string): void => void issues.push({ at: at.at, message })
  for (const call of callsIn(expr)) {
    const [literal] = call.args
    if (literal?.kind !== 'literal') continue
    const isConversion = call.name === 'duration' || call.name === 'timestamp'
    if (isConversion && call.target === undefined && failureOf(call, checked) !== undefined) {
      complain(literal, `invalid ${call.name} argument`)
    }
    if (call.name === 'matches' && patternProblem(literal) !== undefined) complain(literal, 'invalid matches argument')
  }
  const formatted = formattedIn(expr)
  for (const inner of allOf(expr)) {
    if (formatted.has(inner)) continue
    if (inner.kind === 'list') for (const issue of unlike(inner.items, checked).slice(0, 1)) issues.push(issue)
    else if (inner.kind === 'map') {
      const keys = inner.entries.map(({ key }) => ({ value: key, optional: false }))
      issues.push(...unlike(keys, checked), ...unlike(inner.entries, checked))
    }
  }
  return issues
}

// What stands in a call of `format`, whose arguments are of the types that the text asks for.
function formattedIn(expr: Expr): ReadonlySet<Expr> {
  const found = new Set<Expr>()
  for (const call of callsIn(expr)) {
    if (call.name !== 'format' || found.has(call)) continue
    for (const inner of allOf(call)) found.add(inner)
  }
  return found
}

/** Why the expression cannot be made ready to run: an error of one of its constants. Undefined: it can. */
export function constantFailure(expr: Expr, checked: Checked): string | undefined {
  for (const call of callsIn(expr)) {
    const failure = isFolded(call) ? failureOf(call, checked) : undefined
    if (failure !== undefined) return failure
    const [first, second] = call.args
    const pattern = call.name === 'matches' && call.target === undefined ? second : patternFunctions.has(call.name) ? first : undefined
    const problem = pattern?.kind === 'literal' ? patternProblem(pattern) : undefined
    if (problem !== undefined) return problem
  }
  return undefined
}

const patternFunctions = new Set(['find', 'findAll'])
const conversions = new Set(['bool', 'bytes', 'double', 'dyn', 'duration', 'int', 'string', 'timestamp', 'type', 'uint'])

function isFolded({ name, target, args }: Call): boolean {
  return target === undefined && conversions.has(name) && args.length === 1 && args[0]!.kind === 'literal'
}

function failureOf(call: Call, checked: Checked): string | undefined {
  try {
    compileSteps(call, checked)({ variables: {}, slots: [], spent: 0, limit: Number.POSITIVE_INFINITY })
    return undefined
  } catch (error) {
    if (error instanceof CelError) return error.message
    throw error
  }
}

function patternProblem({ value }: Literal): string | undefined {
  if (typeof value !== 'string') return undefined
  try {
    compileRegex(value)
    return undefined
  } catch (error) {
    if (error instanceof CelError) return error.message
    throw error
  }
}

function* allOf(expr: Expr): Generator<Expr> {
  const waiting = [expr]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield next
    waiting.push(...childrenOf(next).toReversed())
  }
}

function* callsIn(expr: Expr): Generator<Call> {
  for (const inner of allOf(expr)) if (inner.kind === 'call') yield inner
}

// The values whose type is not that of the first. Empty lists and maps are of any.
function unlike(items: readonly { readonly value: Expr; readonly optional: boolean }[], checked: Checked): Issue[] {
  const issues: Issue[] = []
  let expected: string | undefined
  for (const { value, optional } of items) {
    if (isEmpty(value, checked)) continue
    const found = nameOf(checked.types.get(value), optional)
    expected ??= found
    if (found !== expected) issues.push({ at: value.at, message: `expected type '${expected}' but found '${found}'` })
  }
  return issues
}

function isEmpty(expr: Expr, checked: Checked): boolean {
  if (expr.kind === 'list') return expr.items.every(({ value }) => isEmpty(value, checked))
  if (expr.kind === 'call') return checked.qualified.get(expr) === 'optional.none'
  return expr.kind === 'map' && expr.entries.length === 0
}

function nameOf(type: Type | undefined, optional: boolean): string {
  if (type === undefined) return 'dyn'
  return formatType(optional && type.kind === 'optional' ? type.value : type)
}
