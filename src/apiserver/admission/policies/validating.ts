// ValidatingAdmissionPolicy: expressions that the cluster's administrator gives, in place of a webhook. Each binding of a policy
// that a write concerns is evaluated, for each of its parameters; what fails is denied, warned of, or written into the audit log.

import type { ApiError } from '#api/errors'
import type {
  ValidatingAdmissionPolicyBinding as Binding,
  ValidatingAdmissionPolicy as Policy,
  Validation,
} from '#api/generated/admissionregistration-v1'
import { ValidatingAdmissionPolicy } from '#api/kinds/admissionregistration/validating-admission-policy'
import { ValidatingAdmissionPolicyBinding } from '#api/kinds/admissionregistration/validating-admission-policy-binding'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import type { Budget, Program } from '../../cel/cel.ts'
import { whenDecided } from '../../cel/functions/authorizer.ts'
import { type Cel, loadCel } from '../../cel/load.ts'
import { bool, nullType, string } from '../../cel/types.ts'
import { type CompiledConditions, compileConditions, type MeasureDeps, measured, outOfBudget } from '../matching/conditions.ts'
import { admissionEnvironment, admissionVariables, type VariablesDeps } from '../matching/environment.ts'
import { prepareVersion } from '../matching/versions.ts'
import type { PolicyError } from '../metrics.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { compiledOnce } from './compiled-once.ts'
import { deniedByPolicy } from './denial.ts'
import { ParamsError, paramsFor } from './params.ts'
import { createPolicyIndex, type PolicyMatch } from './policy-index.ts'
import { type CompiledVariables, compileVariables } from './variables.ts'

/** Units that the validations of one binding may cost for one of its parameters (RuntimeCELCostBudget). */
export const policyCostMax = 10_000_000

export type PolicyDeps = VariablesDeps & MeasureDeps

interface CompiledValidation {
  readonly validation: Validation
  readonly program: Program
  readonly message: Program | undefined
}

interface CompiledPolicy {
  readonly cel: Cel
  readonly conditions: CompiledConditions
  readonly variables: CompiledVariables
  readonly validations: readonly CompiledValidation[]
  readonly annotations: readonly { readonly key: string; readonly program: Program }[]
}

/** Something that a policy holds against the write. */
interface Failure {
  readonly policy: string
  readonly binding: Binding
  readonly message: string
  readonly reason: string
  /** Of the validation. */
  readonly index: number
  /** Nothing that a validation found, but that it could not do its work: the write is denied, whatever the binding's actions are. */
  readonly broken?: 'policy' | 'binding'
  readonly error: PolicyError
  readonly seconds: number
}

/** Why something could not be evaluated. */
interface Trouble {
  readonly message: string
  readonly error: PolicyError
  readonly seconds: number
}

export function validatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  const index = createPolicyIndex(ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, deps)
  const ready = compiledOnce(compilePolicy)
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: () => true,
    validate(request) {
      const matches = index.matching(request)
      return matches.length === 0 ? undefined : validate(deps, matches, ready, request)
    },
  }
}

async function compilePolicy({ spec }: Policy): Promise<CompiledPolicy> {
  const cel = await loadCel()
  const options = { params: spec.paramKind !== undefined, authorizer: true, namespaceObject: true }
  const variables = await compileVariables(cel, spec.variables ?? [], options)
  const environment = admissionEnvironment({ ...options, variables: variables.types })
  const messages = admissionEnvironment({ ...options, authorizer: false, variables: variables.types })
  const validations: CompiledValidation[] = []
  for (const validation of spec.validations ?? []) {
    const program = await cel.compile(validation.expression, environment, [bool])
    const { messageExpression } = validation
    validations.push({
      validation,
      program,
      message: messageExpression ? await cel.compile(messageExpression, messages, [string]) : undefined,
    })
  }
  const annotations: { key: string; program: Program }[] = []
  for (const { key, valueExpression } of spec.auditAnnotations ?? []) {
    annotations.push({ key, program: await cel.compile(valueExpression, environment, [string, nullType]) })
  }
  const conditions = await compileConditions(spec.matchConditions ?? [], options.params)
  return { cel, conditions, variables, validations, annotations }
}

async function validate(
  deps: PolicyDeps,
  matches: readonly PolicyMatch<Policy, Binding>[],
  ready: (policy: Policy) => Promise<CompiledPolicy>,
  request: AdmissionRequest,
): Promise<void> {
  const failures: Failure[] = []
  const audit = new Map<string, Set<string>>()
  for (const match of matches) {
    const compiled = await ready(match.policy)
    await prepareVersion(request, match.kind)
    for (const binding of match.bindings) {
      failures.push(...(await whenDecided(() => evaluateBinding(deps, compiled, match, binding, request, audit))))
    }
  }
  for (const [key, values] of audit) request.annotate(key, [...values].join(', '))
  act(deps, failures, request)
}

function evaluateBinding(
  deps: PolicyDeps,
  compiled: CompiledPolicy,
  { policy, kind }: PolicyMatch<Policy, Binding>,
  binding: Binding,
  request: AdmissionRequest,
  audit: Map<string, Set<string>>,
): Failure[] {
  const about = { policy: policy.metadata.name, binding }
  const failsOpen = policy.spec.failurePolicy === 'Ignore'
  const unable: Evaluation['unable'] = (trouble, index = 0, broken) => {
    if (!failsOpen) return [{ ...about, ...trouble, reason: '', index, ...(broken === undefined ? {} : { broken }) }]
    deps.metrics.policyCheck(about.policy, binding.metadata.name, trouble.error, 'allow', trouble.seconds)
    return []
  }
  const values = admissionVariables(deps, request, kind)
  let params: readonly (KubeObject | undefined)[]
  try {
    params = paramsFor(deps, policy.spec.paramKind, binding.spec.paramRef, request)
  } catch (error) {
    if (!(error instanceof ParamsError)) throw error
    return unable({ message: error.message, error: 'invalid_error', seconds: 0 }, 0, error.ofPolicy ? 'policy' : 'binding')
  }
  return params.flatMap((param) => {
    const budget: Budget = { left: policyCostMax }
    const bound = compiled.variables.bind(withParams(values, param), budget)
    const of = { name: policy.metadata.name, kind: 'policy', type: 'validate', operation: request.operation } as const
    const conditions = measured(deps, of, compiled.conditions.evaluate, bound)
    if ('error' in conditions) return unable({ message: conditions.error, error: 'invalid_error', seconds: 0 })
    if (!conditions.holds) return []
    const evaluation = { compiled, bound, budget, unable, about, clock: deps.clock }
    const found = compiled.validations.flatMap((validation, index) => failureOf(evaluation, validation, index))
    const spent = found.find(({ error }) => error === 'out_of_budget')
    // Nothing that was found before counts then.
    if (spent !== undefined) return [spent]
    return [...found, ...annotate({ ...evaluation, budget: { left: policyCostMax } }, policy.metadata.name, audit)]
  })
}

function withParams(values: Record<string, unknown>, param: KubeObject | undefined): Record<string, unknown> {
  const bound = Object.create(values) as Record<string, unknown>
  bound['params'] = param ?? null
  return bound
}

interface Evaluation {
  readonly compiled: CompiledPolicy
  readonly bound: Readonly<Record<string, unknown>>
  readonly budget: Budget
  readonly about: { readonly policy: string; readonly binding: Binding }
  readonly clock: Clock
  unable(trouble: Trouble, index?: number, broken?: Failure['broken']): Failure[]
}

function failureOf(evaluation: Evaluation, { validation, program, message }: CompiledValidation, index: number): Failure[] {
  const { unable, about } = evaluation
  const outcome = attempt(evaluation, program)
  if ('error' in outcome) return unable(outcome, index)
  if (outcome.value === true) return []
  const { seconds } = outcome
  const said = message === undefined ? undefined : messageOf(evaluation, message)
  if (typeof said === 'object') return unable({ ...said, message: `failed messageExpression: ${said.message}` }, index)
  const text = said || validation.message?.trim() || `failed expression: ${validation.expression.trim()}`
  return [{ ...about, message: text, reason: validation.reason ?? '', index, error: 'no_error', seconds }]
}

function attempt(
  { compiled: { cel }, bound, budget, clock }: Evaluation,
  program: Program,
): { readonly value: unknown; readonly seconds: number } | Trouble {
  const startedMs = clock.monotonic()
  const seconds = (): number => (clock.monotonic() - startedMs) / 1_000
  try {
    return { value: program.evaluate(bound, budget), seconds: seconds() }
  } catch (error) {
    if (error instanceof cel.CelBudgetError && budget.left <= 0) {
      return { message: outOfBudget, error: 'out_of_budget', seconds: seconds() }
    }
    if (error instanceof cel.CelError || error instanceof cel.CelBudgetError) {
      const message = `expression '${program.source}' resulted in error: ${error.message}`
      return { message, error: 'invalid_error', seconds: seconds() }
    }
    throw error
  }
}

const messageBytesMax = 5 * 1024

// Undefined when the expression fails or says nothing: then the plain message is taken.
function messageOf(evaluation: Evaluation, program: Program): string | Trouble | undefined {
  const outcome = attempt(evaluation, program)
  if ('error' in outcome && outcome.error === 'out_of_budget') return outcome
  if ('error' in outcome || typeof outcome.value !== 'string') return undefined
  const text = outcome.value.trim()
  return text === '' || text.includes('\n') || Buffer.byteLength(text) > messageBytesMax ? undefined : text
}

const annotationBytesMax = 10 * 1024

// What could not be evaluated is a failure of the binding.
function annotate(evaluation: Evaluation, policy: string, audit: Map<string, Set<string>>): Failure[] {
  return evaluation.compiled.annotations.flatMap(({ key, program }) => {
    const outcome = attempt(evaluation, program)
    if ('error' in outcome) return evaluation.unable(outcome, 0, 'binding')
    if (typeof outcome.value !== 'string') return []
    const text = outcome.value.trim().slice(0, annotationBytesMax)
    const name = `${policy}/${key}`
    if (text !== '') audit.set(name, (audit.get(name) ?? new Set()).add(text))
    return []
  })
}

// Warns, notes, and refuses for the first failure that a binding wants denied.
function act({ metrics }: PolicyDeps, failures: readonly Failure[], request: AdmissionRequest): void {
  const noted: object[] = []
  let denied: Failure | undefined
  for (const failure of failures) {
    const { policy, binding, message, index, broken, error, seconds } = failure
    if (broken !== undefined) {
      denied ??= failure
      continue
    }
    const actions = binding.spec.validationActions ?? []
    for (const action of actions) {
      metrics.policyCheck(policy, binding.metadata.name, error, action.toLowerCase() as 'deny' | 'audit' | 'warn', seconds)
    }
    if (actions.includes('Deny')) denied ??= failure
    if (actions.includes('Audit')) {
      noted.push({ message, policy, binding: binding.metadata.name, expressionIndex: index, validationActions: actions })
    }
    if (actions.includes('Warn')) {
      request.warn(`Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding.metadata.name}': ${message}`)
    }
  }
  if (noted.length > 0) request.annotate('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(noted))
  if (denied !== undefined) throw deniedBy(request, denied)
}

function deniedBy(request: AdmissionRequest, { policy, binding, message, reason, broken }: Failure): ApiError {
  const by = broken === 'policy' ? '' : ` with binding '${binding.metadata.name}'`
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`
  return deniedByPolicy(request, text, reason)
}
