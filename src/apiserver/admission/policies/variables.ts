// A policy's `variables`: named expressions that the others may use, each evaluated when it is first asked for, and once.
import type { Variable } from '#api/generated/admissionregistration-v1'
import type { Budget, Program } from '../../cel/cel.ts'
import type { Cel } from '../../cel/load.ts'
import type { Type } from '../../cel/types.ts'
import { LazyMap, type Value } from '../../cel/values.ts'
import { admissionEnvironment, type EnvironmentOptions } from '../matching/environment.ts'

export interface CompiledVariables {
  /** By name: what `variables` has for the expressions behind them. */
  readonly types: Readonly<Record<string, Type>>
  /** Adds `variables` to the values of a write. */
  bind(values: Readonly<Record<string, unknown>>, budget: Budget): Record<string, unknown>
}

/** Each may use those before it. Throws CelCompileError. */
export async function compileVariables(
  cel: Cel,
  variables: readonly Variable[],
  options: Omit<EnvironmentOptions, 'variables'>,
): Promise<CompiledVariables> {
  const types: Record<string, Type> = {}
  const programs: (readonly [string, Program])[] = []
  for (const { name, expression } of variables) {
    const program = await cel.compile(expression, admissionEnvironment({ ...options, variables: { ...types } }))
    programs.push([name, program])
    types[name] = program.type
  }
  return {
    types,
    bind(values, budget) {
      const bound = Object.create(values) as Record<string, unknown>
      const compute = new Map<string, () => Value>()
      for (const [name, program] of programs) compute.set(name, () => program.evaluate(bound, budget))
      bound['variables'] = new LazyMap(compute)
      return bound
    },
  }
}
