// Expressions, ready to be run within a budget. This file and all that it needs is loaded (`loadCel`) when the first expression is
// there, not before: most clusters have none.
import { type Checked, check, type Environment } from './check.ts'
import { constantFailure, constantIssues } from './constants.ts'
import { estimateCost } from './estimate.ts'
import { CelBudgetError, compileSteps, type Frame } from './evaluate.ts'
import { loadRegexEngine, regexFunctionNames } from './functions/regex.ts'
import { parse } from './parser.ts'
import { CelCompileError, CelProgramError, childrenOf, type Expr } from './syntax.ts'
import { assignable, dyn, formatType, type Type } from './types.ts'
import { adapt, CelError, type Value } from './values.ts'

export { CelBudgetError } from './evaluate.ts'
export { parse } from './parser.ts'
export { CelCompileError, CelProgramError, childrenOf } from './syntax.ts'
export { CelError, toJson } from './values.ts'

/** Units that one evaluation may cost (Kubernetes' PerCallLimit). */
export const callCostMax = 1_000_000

/** Units that all expressions may cost together; lives as long as one request, or one binding's part in it. */
export interface Budget {
  left: number
}

export interface Program {
  readonly source: string
  readonly type: Type
  /** The most that a run can cost, by the sizes that the types allow. */
  readonly costMax: number
  /**
   * Runs it. `variables` are JSON or values; those not given are unknown. Throws CelError for errors of the expression's own, and
   * CelBudgetError when it costs more than one call may, or than is left.
   */
  evaluate(variables: Readonly<Record<string, unknown>>, budget?: Budget): Value
  /** JSON as the value that a declared variable would have: for those that are wrapped. */
  read(variable: string, raw: unknown): Value
  /** Whether the expression speaks of the variable anywhere. */
  mentions(variable: string): boolean
}

/** Compiles an expression, which must be of one of the types. Throws CelCompileError. */
export async function compile(source: string, environment: Environment, results?: readonly Type[]): Promise<Program> {
  const expr = parse(source)
  const checked = check(expr, environment)
  if (checked.issues.length > 0) throw new CelCompileError(source, checked.issues)
  if (results !== undefined && !results.some((type) => assignable(checked.type, type, new Map()))) {
    throw new CelTypeError(results)
  }
  const names = namesIn(expr)
  for (const name of checked.dotted.values()) names.variables.add(name)
  if ([...names.functions].some((name) => regexFunctionNames.has(name))) await loadRegexEngine()
  const issues = constantIssues(expr, checked)
  if (issues.length > 0) throw new CelCompileError(source, issues)
  const failure = constantFailure(expr, checked)
  if (failure !== undefined) throw new CelProgramError(failure)
  return programOf(source, expr, checked, environment, names.variables)
}

/** An expression of the wrong type. */
export class CelTypeError extends Error {
  override readonly name = 'CelTypeError'
  constructor(wanted: readonly Type[]) {
    const names = wanted.map(formatType)
    super(names.length === 1 ? `must evaluate to ${names[0]}` : `must evaluate to one of [${names.join(' ')}]`)
  }
}

function programOf(source: string, expr: Expr, checked: Checked, environment: Environment, mentioned: ReadonlySet<string>): Program {
  const run = compileSteps(expr, checked)
  const declared = Object.entries(environment.variables).filter(([name]) => mentioned.has(name))
  let costMax: number | undefined
  return {
    source,
    type: checked.type,
    get costMax() {
      costMax ??= estimateCost(expr, checked)
      return costMax
    },
    evaluate(variables, budget) {
      const adapted: Record<string, Value> = {}
      for (const [name, type] of declared) {
        const raw = variables[name]
        if (raw !== undefined) adapted[name] = adapt(raw, type)
      }
      const limit = Math.min(callCostMax, budget?.left ?? callCostMax)
      const frame: Frame = { variables: adapted, slots: [], spent: 0, limit }
      try {
        return run(frame)
      } catch (error) {
        if (error instanceof RangeError) throw new CelError('evaluation is nested too deeply')
        throw error
      } finally {
        if (budget !== undefined) budget.left -= frame.spent
      }
    },
    read(variable, raw) {
      const type = environment.variables[variable]
      return adapt(raw, type?.kind === 'optional' ? type.value : (type ?? dyn))
    },
    mentions: (variable) => mentioned.has(variable),
  }
}

// Names of all identifiers and functions, wherever they stand.
function namesIn(expr: Expr): { variables: Set<string>; functions: Set<string> } {
  const found = { variables: new Set<string>(), functions: new Set<string>() }
  const waiting: Expr[] = [expr]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.kind === 'ident') found.variables.add(next.name)
    else if (next.kind === 'call') found.functions.add(next.name)
    waiting.push(...childrenOf(next))
  }
  return found
}

/** Whether a run failed because of its cost. */
export function isOverBudget(error: unknown): error is CelBudgetError {
  return error instanceof CelBudgetError
}
