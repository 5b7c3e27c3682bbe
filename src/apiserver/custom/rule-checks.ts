// What is wrong with the rules of a definition's schema, before it is stored: that they compile, to what is asked for, and that
// their cost stays within bounds for the largest object that the schema allows.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps, ValidationRule } from '#api/generated/apiextensions-v1'
import { forbidden, internalFieldError, invalid } from '#api/validation/field-errors'
import { type Cel, loadCel } from '../cel/load.ts'
import type { Type } from '../cel/types.ts'
import { boundOf, ruleType, timesMax } from './rule-types.ts'
import { childrenOf, compileRule, hasRules } from './rules.ts'

/** Units that one rule may be estimated to cost, and all of a schema together (StaticEstimatedCostLimit, …CRDCostLimit). */
export const ruleCostMax = 10_000_000
export const schemaCostMax = 100_000_000
// Of the rules that make a schema too dear, the dearest are named.
const dearestTold = 4

const noType =
  'internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations'

interface Place {
  readonly path: string
  /** How often a rule here can be evaluated for one object; undefined: as often as a request has room for. */
  readonly times: number | undefined
  readonly isRoot: boolean
  /** Where an old value cannot be found any more: the list above whose items have no identity. */
  readonly uncorrelatable: string | undefined
}

interface Found {
  readonly cel: Cel
  readonly errors: FieldError[]
  total: number
  readonly dear: { readonly path: string; readonly cost: number }[]
}

/** `path`: of the schema. */
export async function checkRules(schema: JSONSchemaProps, path: string): Promise<FieldError[]> {
  if (!hasRules(schema)) return []
  const found: Found = { cel: await loadCel(), errors: [], total: 0, dear: [] }
  await visit(found, schema, { path, times: 1, isRoot: true, uncorrelatable: undefined })
  if (found.total > schemaCostMax) {
    const dear = found.dear.filter(({ cost }) => cost >= schemaCostMax / 100).sort((a, b) => b.cost - a.cost)
    for (const { path: at } of dear.slice(0, dearestTold)) {
      found.errors.push(forbidden(at, 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'))
    }
    const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema'
    found.errors.push(forbidden(path, exceeds(what, found.total, schemaCostMax)))
  }
  return found.errors
}

function exceeds(what: string, cost: number, limit: number): string {
  const factor = cost / limit
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}

async function visit(found: Found, props: JSONSchemaProps, place: Place): Promise<void> {
  const rules = props['x-kubernetes-validations'] ?? []
  const type = ruleType(props, place.isRoot || props['x-kubernetes-embedded-resource'] === true)
  if (type === undefined && rules.length > 0) {
    found.errors.push(internalFieldError(`${place.path}.x-kubernetes-validations`, noType))
  }
  const times = place.times ?? timesMax(props)
  for (const [i, rule] of rules.entries()) {
    if (rule.rule.trim() === '' || type === undefined) continue
    await checkRule(found, rule, type, { ...place, times, path: `${place.path}.x-kubernetes-validations[${i}]` })
  }
  const bound = boundOf(props)
  for (const [name, child, kind] of childrenOf(props)) {
    const path = kind === 'property' ? `${place.path}.properties[${name}]` : `${place.path}.${name}`
    const lost = kind === 'items' && props['x-kubernetes-list-type'] !== 'map' ? place.path : undefined
    await visit(found, child, {
      path,
      times: place.times === undefined || bound === undefined ? undefined : place.times * Math.max(bound, 0),
      isRoot: false,
      uncorrelatable: place.uncorrelatable ?? lost,
    })
  }
}

async function checkRule(
  found: Found,
  rule: ValidationRule,
  type: Type,
  { path, times, uncorrelatable }: Place & { readonly times: number },
): Promise<void> {
  const { cel, errors } = found
  const said = (error: unknown, what: string): string => {
    if (error instanceof cel.CelTypeError)
      return what === 'bool' ? 'cel expression must evaluate to a bool' : 'messageExpression must evaluate to a string'
    if (error instanceof cel.CelCompileError) {
      const subject = what === 'bool' ? (error.step === 'instantiation' ? 'program ' : '') : 'messageExpression '
      return `${subject}${error.step} failed: ${error.message}`
    }
    throw error
  }
  const { messageExpression: _, ...alone } = rule
  try {
    const { program, usesOldSelf } = await compileRule(cel, alone, type)
    charge(found, `${path}.rule`, 'estimated rule cost', program.costMax * times)
    if (usesOldSelf && uncorrelatable !== undefined) {
      errors.push(
        invalid(`${path}.rule`, rule.rule, `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`),
      )
    }
    if (!usesOldSelf && rule.optionalOldSelf !== undefined) {
      errors.push(invalid(`${path}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule'))
    }
  } catch (error) {
    errors.push(invalid(`${path}.rule`, rule, said(error, 'bool')))
    return
  }
  if (!rule.messageExpression) return
  try {
    const { message } = await compileRule(cel, rule, type)
    charge(found, `${path}.messageExpression`, 'estimated messageExpression cost', message?.costMax ?? 0)
  } catch (error) {
    errors.push(invalid(`${path}.messageExpression`, rule, said(error, 'string')))
  }
}

function charge(found: Found, path: string, what: string, cost: number): void {
  found.total += cost
  found.dear.push({ path, cost })
  if (cost > ruleCostMax) found.errors.push(forbidden(path, exceeds(what, cost, ruleCostMax)))
}
