// MutatingAdmissionPolicy: expressions that change objects, in place of a webhook. Policies run one after another, by name; those
// that wish so run once more when something behind them has changed the object.
import type {
  MutatingAdmissionPolicyBinding as Binding,
  Mutation,
  MutatingAdmissionPolicy as Policy,
} from '#api/generated/admissionregistration-v1'
import type { Kind } from '#api/kind'
import { MutatingAdmissionPolicy } from '#api/kinds/admissionregistration/mutating-admission-policy'
import { MutatingAdmissionPolicyBinding } from '#api/kinds/admissionregistration/mutating-admission-policy-binding'
import type { KubeObject } from '#api/object'
import type { Budget, Program } from '../../cel/cel.ts'
import { whenDecided } from '../../cel/functions/authorizer.ts'
import { type Cel, loadCel } from '../../cel/load.ts'
import { sameJson } from '../../registry/written.ts'
import { type CompiledConditions, compileConditions, measured } from '../matching/conditions.ts'
import { admissionEnvironment, admissionVariables } from '../matching/environment.ts'
import { inVersion, kindOfBody, prepareVersion, replaceObject } from '../matching/versions.ts'
import type { PolicyError } from '../metrics.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { type Reinvocation, reinvocations } from '../reinvocation.ts'
import { compiledOnce } from './compiled-once.ts'
import { deniedByMutatingPolicies, type MutationFailure } from './denial.ts'
import { MutationError, mergeConfiguration, patchObject } from './mutations.ts'
import { ParamsError, paramsFor } from './params.ts'
import { createPolicyIndex, type PolicyMatch } from './policy-index.ts'
import { makesObject } from './structs.ts'
import { type PolicyDeps, policyCostMax } from './validating.ts'
import { type CompiledVariables, compileVariables } from './variables.ts'

interface CompiledPolicy {
  readonly cel: Cel
  readonly conditions: CompiledConditions
  readonly variables: CompiledVariables
  readonly mutations: readonly { readonly mutation: Mutation; readonly program: Program }[]
}

export function mutatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  const index = createPolicyIndex(MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, deps)
  const ready = compiledOnce(compilePolicy)
  const writes = reinvocations()
  return {
    name: 'MutatingAdmissionPolicy',
    handles: (operation) => operation !== 'DELETE',
    admit(request) {
      if (request.object === undefined) return
      const matches = index.matching(request)
      return matches.length === 0 ? undefined : admit(deps, matches, ready, request, writes.of(request))
    },
    wantsAnotherRound: writes.changed,
  }
}

async function compilePolicy({ spec }: Policy): Promise<CompiledPolicy> {
  const cel = await loadCel()
  const options = { params: spec.paramKind !== undefined, authorizer: true, namespaceObject: true }
  const variables = await compileVariables(cel, spec.variables ?? [], options)
  const environment = admissionEnvironment({ ...options, variables: variables.types, makesStruct: makesObject })
  const mutations: { mutation: Mutation; program: Program }[] = []
  for (const mutation of spec.mutations ?? []) {
    const expression = mutation.applyConfiguration?.expression ?? mutation.jsonPatch?.expression ?? ''
    mutations.push({ mutation, program: await cel.compile(expression, environment) })
  }
  return { cel, conditions: await compileConditions(spec.matchConditions ?? [], options.params), variables, mutations }
}

async function admit(
  deps: PolicyDeps,
  matches: readonly PolicyMatch<Policy, Binding>[],
  ready: (policy: Policy) => Promise<CompiledPolicy>,
  request: AdmissionRequest,
  progress: Reinvocation,
): Promise<void> {
  progress.begin(request)
  const failures: MutationFailure[] = []
  for (const { policy, bindings, kind } of matches) {
    const compiled = await ready(policy)
    await prepareVersion(request, kind)
    const fails = policy.spec.failurePolicy !== 'Ignore'
    const again = policy.spec.reinvocationPolicy === 'IfNeeded'
    for (const binding of bindings) {
      const about = { policy: policy.metadata.name, binding: binding.metadata.name }
      const failed = (message: string, reason: MutationFailure['reason'], ofPolicy = false): void => {
        if (fails) failures.push({ ...about, ...(ofPolicy ? { binding: undefined } : {}), message, reason })
      }
      for (const param of paramsOrFailure(deps, policy, binding, request, failed)) {
        const invocation = { deps, compiled, kind, param, request, about, failed }
        if (!(await whenDecided(() => conditionsHold(invocation)))) continue
        const { namespace = '', name } = param?.metadata ?? { name: '' }
        const id = [about.policy, about.binding, namespace, name].join('/')
        if (progress.skips(id)) continue
        progress.asked(id, { changed: await mutate(invocation), again })
      }
    }
  }
  progress.end(request)
  const [first, ...others] = failures
  if (first !== undefined) throw deniedByMutatingPolicies(request, [first, ...others])
}

function paramsOrFailure(
  deps: PolicyDeps,
  { spec }: Policy,
  binding: Binding,
  request: AdmissionRequest,
  failed: Invocation['failed'],
): readonly (KubeObject | undefined)[] {
  try {
    return paramsFor(deps, spec.paramKind, binding.spec.paramRef, request)
  } catch (error) {
    if (!(error instanceof ParamsError)) throw error
    failed(error.message, '', error.ofPolicy)
    return []
  }
}

/** One policy with one binding and one of its parameters, for one write. */
interface Invocation {
  readonly deps: PolicyDeps
  readonly compiled: CompiledPolicy
  readonly kind: Kind
  readonly param: KubeObject | undefined
  readonly request: AdmissionRequest
  readonly about: { readonly policy: string; readonly binding: string }
  failed(message: string, reason: MutationFailure['reason'], ofPolicy?: boolean): void
}

// Each mutation sees what those before it did, and has the whole budget.
function valuesOf({ deps, compiled, kind, param, request }: Invocation, budget: Budget): Record<string, unknown> {
  const all = Object.create(admissionVariables(deps, request, kind)) as Record<string, unknown>
  all['params'] = param ?? null
  return compiled.variables.bind(all, budget)
}

function conditionsHold(invocation: Invocation): boolean {
  const { deps, compiled, failed, about, request } = invocation
  const of = { name: about.policy, kind: 'policy', type: 'mutate', operation: request.operation } as const
  const conditions = measured(deps, of, compiled.conditions.evaluate, valuesOf(invocation, { left: policyCostMax }))
  if ('error' in conditions) failed(conditions.error, 'Invalid')
  return 'holds' in conditions && conditions.holds
}

/** Whether the object is another one now. A mutation that fails leaves it as it was; those behind it have their turn. */
async function mutate(invocation: Invocation): Promise<boolean> {
  const { deps, compiled, kind, request, failed, about } = invocation
  const { cel } = compiled
  let changed = false
  for (const { mutation, program } of compiled.mutations) {
    const write = inVersion(request, kind)
    const { object } = write
    if (object === undefined) return changed
    const startedMs = deps.clock.monotonic()
    const note = (error: PolicyError): void =>
      deps.metrics.mutationCheck(about.policy, about.binding, error, (deps.clock.monotonic() - startedMs) / 1_000)
    try {
      const made = await whenDecided(() => {
        const budget: Budget = { left: policyCostMax }
        return program.evaluate(valuesOf(invocation, budget), budget)
      })
      const body = kindOfBody(write, kind, deps.catalog)
      const next = mutation.patchType === 'JSONPatch' ? patchObject(body, object, made) : mergeConfiguration(body, object, made)
      note('no_error')
      if (sameJson(object, next)) continue
      await replaceObject(request, kind, next)
      await prepareVersion(request, kind)
      changed = true
    } catch (error) {
      if (error instanceof MutationError) {
        note('invalid_error')
        failed(error.message, 'Invalid')
      } else if (error instanceof cel.CelError || error instanceof cel.CelBudgetError) {
        note(error instanceof cel.CelBudgetError ? 'out_of_budget' : 'invalid_error')
        failed(`expression '${program.source}' resulted in error: ${error.message}`, 'Invalid')
      } else throw error
    }
  }
  return changed
}
