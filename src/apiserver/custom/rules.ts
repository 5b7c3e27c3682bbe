// x-kubernetes-validations: the rules of a custom resource's schema, compiled with its definition and evaluated with each write.
// Rules about the past (oldSelf) apply where there is one; others are not held against values that a write leaves as they were.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps, ValidationRule } from '#api/generated/apiextensions-v1'
import { findField } from '#api/kinds/apiextensions/field-path'
import { duplicate, forbidden, invalid, required } from '#api/validation/field-errors'
import { goQuote } from '#api/validation/text'
import type { Budget, Program } from '../cel/cel.ts'
import { type Cel, loadCel } from '../cel/load.ts'
import { bool, dyn, optionalOf, string, type Type } from '../cel/types.ts'
import { Optional, optionalNone } from '../cel/values.ts'
import { correlated, isObject, isUnchanged, own } from './correlate.ts'
import { ruleType } from './rule-types.ts'

/** Units that the rules of one object may cost together (RuntimeCELCostBudget). */
export const rulesCostMax = 10_000_000

export interface CompiledRule {
  readonly rule: ValidationRule
  readonly program: Program
  readonly message: Program | undefined
  readonly usesOldSelf: boolean
}

export interface CompiledRules {
  /** What the rules hold against a value. `old`: what it replaces. */
  validate(value: unknown, old: unknown, options?: EvaluationOptions): FieldError[]
}

export interface EvaluationOptions {
  /** Told what the rules hold against what a write left as it was. */
  readonly warn?: (text: string) => void
  /** What is as it was is held against the write as well. */
  readonly withoutRatcheting?: boolean
  /** Of the value; empty for an object. */
  readonly path?: string
}

// A rule that does not compile any more, or not here: it holds nothing back but what it should have judged.
interface BrokenRule {
  readonly rule: ValidationRule
  readonly broken: string
}

// A place of the schema under which there are rules.
interface RuleNode {
  readonly props: JSONSchemaProps
  readonly rules: readonly (CompiledRule | BrokenRule)[]
  readonly properties: readonly (readonly [string, RuleNode])[]
  readonly items: RuleNode | undefined
  readonly values: RuleNode | undefined
}

/** Whether there is any rule; looked at before anything is loaded for them. */
export function hasRules(props: JSONSchemaProps): boolean {
  if ((props['x-kubernetes-validations'] ?? []).length > 0) return true
  return childrenOf(props).some(([, child]) => hasRules(child))
}

type ChildKind = 'property' | 'items' | 'values'

/** The schemas right within one that rules can stand in. */
export function childrenOf(props: JSONSchemaProps): readonly (readonly [string, JSONSchemaProps, ChildKind])[] {
  const { items, additionalProperties } = props
  return [
    ...Object.entries(props.properties ?? {}).map(([name, child]) => [name, child, 'property'] as const),
    ...(items === undefined || Array.isArray(items) ? [] : [['items', items, 'items'] as const]),
    ...(typeof additionalProperties === 'object' ? [['additionalProperties', additionalProperties, 'values'] as const] : []),
  ]
}

/** Undefined: there are none. */
export async function compileRules(props: JSONSchemaProps, isRoot = true): Promise<CompiledRules | undefined> {
  if (!hasRules(props)) return undefined
  const cel = await loadCel()
  const root = await compileNode(cel, props, isRoot)
  return {
    validate(value, old, { warn, withoutRatcheting = false, path = '' } = {}) {
      const state: State = { cel, errors: [], budget: { left: rulesCostMax }, over: false, warn, ratchets: !withoutRatcheting }
      if (root !== undefined) evaluate(state, root, value, old, { path, unchanged: old !== undefined && isUnchanged(value, old, props) })
      return state.errors
    },
  }
}

async function compileNode(cel: Cel, props: JSONSchemaProps, isRoot: boolean): Promise<RuleNode | undefined> {
  if (!hasRules(props)) return undefined
  const rules: (CompiledRule | BrokenRule)[] = []
  // What expressions cannot see has no rules: they are refused with the definition.
  const type = ruleType(props, isRoot || props['x-kubernetes-embedded-resource'] === true) ?? dyn
  for (const rule of props['x-kubernetes-validations'] ?? []) {
    rules.push(
      await compileRule(cel, rule, type).catch((error: unknown) => {
        if (error instanceof cel.CelCompileError || error instanceof cel.CelTypeError) return { rule, broken: error.message }
        throw error
      }),
    )
  }
  const properties: (readonly [string, RuleNode])[] = []
  let items: RuleNode | undefined
  let values: RuleNode | undefined
  for (const [name, child, kind] of childrenOf(props)) {
    const node = await compileNode(cel, child, false)
    if (node === undefined) continue
    if (kind === 'property') properties.push([name, node])
    else if (kind === 'items') items = node
    else values = node
  }
  return { props, rules, properties, items, values }
}

/** Throws CelCompileError or CelTypeError. */
export async function compileRule(cel: Cel, rule: ValidationRule, type: Type): Promise<CompiledRule> {
  const environment = { variables: { self: type, oldSelf: rule.optionalOldSelf === true ? optionalOf(type) : type } }
  const program = await cel.compile(rule.rule, environment, [bool])
  const { messageExpression } = rule
  const message = messageExpression ? await cel.compile(messageExpression, environment, [string]) : undefined
  return { rule, program, message, usesOldSelf: program.mentions('oldSelf') }
}

interface State {
  readonly cel: Cel
  readonly errors: FieldError[]
  readonly budget: Budget
  /** The budget is used up: no rule is looked at any more. */
  over: boolean
  readonly warn: ((text: string) => void) | undefined
  readonly ratchets: boolean
}

interface Place {
  readonly path: string
  /** This value, or one around it, is as it was. */
  readonly unchanged: boolean
}

function evaluate(state: State, node: RuleNode, value: unknown, old: unknown, place: Place): void {
  if (value === null || value === undefined || state.over) return
  for (const compiled of node.rules) {
    if (state.over) return
    if ('broken' in compiled) {
      state.errors.push(invalid(place.path === '' ? '<nil>' : place.path, node.props.type ?? '', `rule compile error: ${compiled.broken}`))
      continue
    }
    evaluateRule(state, node, compiled, value, old ?? undefined, place)
  }
  const within = (child: RuleNode, inner: unknown, innerOld: unknown, path: string): void => {
    const unchanged = innerOld === undefined ? place.unchanged : isUnchanged(inner, innerOld, child.props)
    // The type of the whole is seen in the version of the request, old or new.
    evaluate(state, child, inner, innerOld, { path, unchanged: unchanged && path !== 'apiVersion' && path !== 'kind' })
  }
  if (Array.isArray(value)) {
    if (node.items === undefined) return
    const before = correlated(node.props, old)
    for (const [i, item] of value.entries()) within(node.items, item, before(item), `${place.path}[${i}]`)
    return
  }
  if (typeof value !== 'object') return
  const object = value as Record<string, unknown>
  const oldObject = isObject(old) ? old : undefined
  for (const [name, child] of node.properties) {
    if (Object.hasOwn(object, name)) within(child, object[name], own(oldObject, name), place.path === '' ? name : `${place.path}.${name}`)
  }
  if (node.values === undefined) return
  for (const [name, inner] of Object.entries(object)) within(node.values, inner, own(oldObject, name), `${place.path}[${name}]`)
}

function evaluateRule(
  state: State,
  { props }: RuleNode,
  compiled: CompiledRule,
  value: unknown,
  old: unknown,
  { path, unchanged }: Place,
): void {
  const { rule, program, usesOldSelf } = compiled
  const optional = rule.optionalOldSelf === true
  if (usesOldSelf && old === undefined && !optional) return
  const type = props.type ?? ''
  const here = path === '' ? '<nil>' : path
  const spent = 'validation failed due to running out of cost budget, no further validation rules will be run'
  const variables = { self: value, oldSelf: optional ? oldOptional(program, old) : old }
  let result: unknown
  try {
    result = program.evaluate(variables, state.budget)
  } catch (error) {
    const { CelBudgetError, CelError } = state.cel
    if (error instanceof CelBudgetError) {
      state.over = true
      const why = `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${ruleText(rule)}`
      state.errors.push(invalid(here, type, state.budget.left <= 0 ? spent : why))
    } else if (error instanceof CelError) state.errors.push(invalid(here, type, errorText(error.message, rule)))
    else throw error
    return
  }
  if (result === true) return
  const at = rulePath(path, rule.fieldPath, props)
  const add = (error: FieldError): void => {
    if (usesOldSelf || !unchanged || !state.ratchets) state.errors.push(error)
    else state.warn?.(`${error.field}: ${error.detail}`)
  }
  const message = messageOf(state, compiled, variables)
  if ('spent' in message) {
    state.over = true
    add(invalid(at, type, message.spent))
  } else add(failure(rule, props, value, at, message.text))
}

function oldOptional(program: Program, old: unknown): Optional {
  return old === undefined ? optionalNone : new Optional(program.read('oldSelf', old))
}

function ruleText({ rule, message }: ValidationRule): string {
  return message?.trim() || rule.trim()
}

function errorText(message: string, rule: ValidationRule): string {
  if (message.startsWith('no such overload')) {
    return `'${message}': call arguments did not match a supported operator, function or macro signature for rule: ${ruleText(rule)}`
  }
  return `${message} evaluating rule: ${ruleText(rule)}`
}

const messageBytesMax = 5 * 1024

// `spent`: what is said instead when the message costs more than there is.
function messageOf(
  { cel, budget }: State,
  { rule, message }: CompiledRule,
  variables: Record<string, unknown>,
): { text: string } | { spent: string } {
  const plain = { text: rule.message?.trim() || `failed rule: ${rule.rule.trim()}` }
  if (message === undefined) return plain
  try {
    const text = message.evaluate(variables, budget)
    if (typeof text !== 'string') return plain
    const trimmed = text.trim()
    return trimmed === '' || trimmed.includes('\n') || Buffer.byteLength(trimmed) > messageBytesMax ? plain : { text: trimmed }
  } catch (error) {
    if (error instanceof cel.CelError) return plain
    if (!(error instanceof cel.CelBudgetError)) throw error
    const nothingMore = 'no further validation rules will be run'
    if (budget.left <= 0) return { spent: `messageExpression evaluation failed due to running out of cost budget, ${nothingMore}` }
    return { spent: `${nothingMore} due to call cost exceeds limit for messageExpression: ${goQuote(rule.messageExpression ?? '')}` }
  }
}

// `.spec.name` and `['odd.name']`, behind the path of the rule.
function rulePath(path: string, fieldPath: string | undefined, props: JSONSchemaProps): string {
  const found = fieldPath ? findField(fieldPath, props, true) : undefined
  if (found === undefined || 'error' in found || found.path === '') return path === '' ? '<nil>' : path
  return path === '' ? found.path : `${path}.${found.path}`
}

function failure({ reason }: ValidationRule, { type }: JSONSchemaProps, value: unknown, path: string, detail: string): FieldError {
  switch (reason) {
    case 'FieldValueRequired':
      return required(path, detail)
    case 'FieldValueForbidden':
      return forbidden(path, detail)
    case 'FieldValueDuplicate':
      // The message is lost, in Kubernetes too.
      return type === 'object' || type === 'array'
        ? { type: 'FieldValueDuplicate', field: path, detail: 'Duplicate value' }
        : duplicate(path, value)
    default:
      // Whole objects and lists are not shown.
      if (type === 'object' || type === 'array') return { type: 'FieldValueInvalid', field: path, detail: `Invalid value: ${detail}` }
      return invalid(path, value, detail)
  }
}
