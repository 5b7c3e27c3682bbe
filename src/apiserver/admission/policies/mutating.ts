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
import { type Cel, loadCel } from '../../cel/load.ts'
import { sameJson } from '../../registry/written.ts'
import { type CompiledConditions, compileConditions } from '../matching/conditions.ts'
import { admissionEnvironment, admissionVariables } from '../matching/environment.ts'
import { inVersion, prepareVersion, replaceObject } from '../matching/versions.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { deniedByPolicy } from './denial.ts'
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

// What is remembered of a write between its rounds.
interface Progress {
  round: number
  changed: boolean
  /** The object as the last policy left it. */
  left: unknown
}

export function mutatingPolicies(deps: PolicyDeps): AdmissionPlugin {
  const index = createPolicyIndex(MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, deps)
  const compiled = new WeakMap<Policy, Promise<CompiledPolicy>>()
  const ready = (policy: Policy): Promise<CompiledPolicy> => {
    let found = compiled.get(policy)
    if (found === undefined) {
      found = compilePolicy(policy)
      compiled.set(policy, found)
    }
    return found
  }
  const writes = new WeakMap<AdmissionRequest, Progress>()
  return {
    name: 'MutatingAdmissionPolicy',
    handles: (operation) => operation !== 'DELETE' && operation !== 'CONNECT',
    admit(request) {
      if (request.object === undefined) return
      const matches = index.matching(request)
      if (matches.length === 0) return
      let progress = writes.get(request)
      if (progress === undefined) {
        progress = { round: 0, changed: false, left: undefined }
        writes.set(request, progress)
      } else progress.round++
      return admit(deps, matches, ready, request, progress)
    },
    wantsAnotherRound: (request) => writes.get(request)?.changed ?? false,
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
  progress: Progress,
): Promise<void> {
  const again = progress.round > 0
  if (again && sameJson(progress.left, request.object)) return
  for (const match of matches) {
    if (again && match.policy.spec.reinvocationPolicy !== 'IfNeeded') continue
    const compiled = await ready(match.policy)
    for (const binding of match.bindings) {
      if (await mutate(deps, compiled, match, binding, request)) progress.changed = true
    }
  }
  progress.left = structuredClone(request.object)
}

/** Whether the object is another one now. */
async function mutate(
  deps: PolicyDeps,
  compiled: CompiledPolicy,
  { policy, kind }: PolicyMatch<Policy, Binding>,
  binding: Binding,
  request: AdmissionRequest,
): Promise<boolean> {
  const { cel } = compiled
  let changed = false
  try {
    for (const param of paramsFor(deps, policy.spec.paramKind, binding.spec.paramRef, request)) {
      if (await mutateWith(deps, compiled, kind, param, request)) changed = true
    }
  } catch (error) {
    const expected = error instanceof ParamsError || error instanceof MutationError
    if (!expected && !(error instanceof cel.CelError) && !(error instanceof cel.CelBudgetError)) throw error
    if (policy.spec.failurePolicy === 'Ignore') return changed
    const text = `policy '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${(error as Error).message}`
    throw deniedByPolicy(request, text, '')
  }
  return changed
}

async function mutateWith(
  deps: PolicyDeps,
  compiled: CompiledPolicy,
  kind: Kind,
  param: KubeObject | undefined,
  request: AdmissionRequest,
): Promise<boolean> {
  await prepareVersion(request, kind)
  const budget: Budget = { left: policyCostMax }
  // Each mutation sees what those before it did.
  const values = (): Record<string, unknown> => {
    const all = Object.create(admissionVariables(deps, request, kind)) as Record<string, unknown>
    all['params'] = param ?? null
    return compiled.variables.bind(all, budget)
  }
  const conditions = compiled.conditions.evaluate(values())
  if ('error' in conditions) throw new MutationError(conditions.error)
  if (!conditions.holds) return false
  let changed = false
  for (const { mutation, program } of compiled.mutations) {
    const { object, whole } = inVersion(request, kind)
    if (object === undefined || !whole) return changed
    const made = program.evaluate(values(), budget)
    const next = mutation.patchType === 'JSONPatch' ? patchObject(kind, object, made) : mergeConfiguration(kind, object, made)
    if (sameJson(object, next)) continue
    await replaceObject(request, kind, next)
    await prepareVersion(request, kind)
    changed = true
  }
  return changed
}
