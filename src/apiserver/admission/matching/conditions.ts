// Match conditions: expressions that say which writes a webhook or policy is about.
import { type ApiError, forbidden } from '#api/errors'
import type { MatchCondition } from '#api/generated/admissionregistration-v1'
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import type { Budget, Program } from '../../cel/cel.ts'
import { whenDecided } from '../../cel/functions/authorizer.ts'
import { loadCel } from '../../cel/load.ts'
import { bool } from '../../cel/types.ts'
import type { AdmissionMetrics, ConditionsOf } from '../metrics.ts'
import type { AdmissionRequest } from '../plugin.ts'
import { admissionEnvironment, admissionVariables, type VariablesDeps } from './environment.ts'

/** Units that all conditions of one webhook or policy may cost together (RuntimeCELCostBudgetMatchConditions). */
export const conditionsCostMax = 2_500_000

export const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run'

export type ConditionsResult =
  | { readonly holds: true }
  | { readonly holds: false /** Which of them does not. */; readonly name: string }
  | { readonly error: string }

export interface CompiledConditions {
  /** One that is false decides, whatever becomes of the others. */
  evaluate(variables: Readonly<Record<string, unknown>>): ConditionsResult
}

/** Throws CelCompileError, which those that are stored never do. */
export async function compileConditions(conditions: readonly MatchCondition[], params: boolean): Promise<CompiledConditions> {
  const cel = await loadCel()
  const environment = admissionEnvironment({ authorizer: true, params })
  const programs: (readonly [string, Program])[] = []
  for (const { name, expression } of conditions) programs.push([name, await cel.compile(expression, environment, [bool])])
  return {
    evaluate(variables) {
      const budget: Budget = { left: conditionsCostMax }
      const errors: string[] = []
      for (const [name, program] of programs) {
        try {
          if (program.evaluate(variables, budget) !== true) return { holds: false, name }
        } catch (error) {
          const spent = error instanceof cel.CelBudgetError
          if (spent && budget.left <= 0) return { error: outOfBudget }
          if (!spent && !(error instanceof cel.CelError)) throw error
          errors.push(`expression '${program.source}' resulted in error: ${(error as Error).message}`)
        }
      }
      if (errors.length === 0) return { holds: true }
      return { error: errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]` }
    },
  }
}

export interface MeasureDeps {
  readonly clock: Clock
  readonly metrics: AdmissionMetrics
}

/** Evaluates conditions, and counts what came of it. */
export function measured(
  { clock, metrics }: MeasureDeps,
  of: ConditionsOf,
  evaluate: CompiledConditions['evaluate'],
  variables: Readonly<Record<string, unknown>>,
): ConditionsResult {
  const startedMs = clock.monotonic()
  const result = evaluate(variables)
  const outcome = 'error' in result ? 'fails' : result.holds ? 'holds' : 'excludes'
  metrics.conditions(of, (clock.monotonic() - startedMs) / 1_000, outcome)
  return result
}

interface Conditional {
  readonly name: string
  readonly matchConditions?: readonly MatchCondition[]
  readonly failurePolicy?: string
}

/** For webhooks: whether the conditions hold for a write. Throws Forbidden when they fail and the failure policy is Fail. */
export function webhookConditions(deps: VariablesDeps & MeasureDeps) {
  const compiled = new WeakMap<object, Promise<CompiledConditions>>()
  return async ({ spec }: { readonly spec: Conditional }, request: AdmissionRequest, kind: Kind, mutating: boolean): Promise<boolean> => {
    const conditions = spec.matchConditions ?? []
    let ready = compiled.get(conditions)
    if (ready === undefined) {
      ready = compileConditions(conditions, false)
      compiled.set(conditions, ready)
    }
    const conditionsOf = { name: spec.name, kind: 'webhook', type: mutating ? 'admit' : 'validate', operation: request.operation } as const
    const { evaluate } = await ready
    const result = await whenDecided(() => measured(deps, conditionsOf, evaluate, admissionVariables(deps, request, kind)))
    if ('error' in result) {
      if (spec.failurePolicy === 'Ignore') return false
      throw conditionsFailed(request, result.error)
    }
    return result.holds
  }
}

function conditionsFailed({ kind, name, object }: AdmissionRequest, why: string): ApiError {
  return forbidden(kind, name || object?.metadata?.name || '', why)
}
