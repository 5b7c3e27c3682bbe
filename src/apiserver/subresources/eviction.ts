// Eviction: a deletion that asks the pod's disruption budget first (KEP-85; policy/v1).
import { ApiError, badRequest, forbidden, type StatusBody, tooManyRequests, unknownError } from '#api/errors'
import type { PodDisruptionBudget as BudgetV1, Eviction } from '#api/generated/policy-v1'
import { Pod } from '#api/kinds/core/pod'
import { PodDisruptionBudget } from '#api/kinds/policy/pod-disruption-budget'
import { matchesLabels } from '#api/label-selectors'
import type { KubeObject } from '#api/object'
import { isPodReady, setPodCondition } from '#api/pods'
import { type Clock, timestamp } from '#base/clock'
import type { Call } from '../registry/call.ts'
import type { DeleteOptions } from '../registry/delete.ts'
import type { Registries } from '../registry/registries.ts'
import { cloneJson } from '../registry/written.ts'
import type { LocalReader } from '../request.ts'
import type { CreateHandler, SubresourceTarget } from './subresource.ts'

export interface EvictionDeps {
  readonly registries: Registries
  readonly reader: LocalReader
  readonly clock: Clock
}

const success: StatusBody = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }
const disruptedPodsMax = 2_000

export function evictionHandler(deps: EvictionDeps): CreateHandler {
  return {
    type: 'create',
    group: '',
    resource: 'pods',
    subresource: 'eviction',
    bodyKinds: [
      { apiVersion: 'policy/v1', kind: 'Eviction' },
      // Compat: the drain of kubectl before 1.22.
      { apiVersion: 'policy/v1beta1', kind: 'Eviction', sameAs: 'policy/v1' },
    ],
    async create(body: KubeObject, target: SubresourceTarget, call: Call) {
      const eviction = body as Eviction
      if (eviction.metadata.name && eviction.metadata.name !== target.name) {
        throw badRequest('name in URL does not match name in Eviction object')
      }
      await evict(deps, target, eviction.deleteOptions as (DeleteOptions & { dryRun?: string[] }) | undefined, call)
      return success
    },
  }
}

async function evict(
  deps: EvictionDeps,
  target: SubresourceTarget,
  options: (DeleteOptions & { dryRun?: string[] }) | undefined,
  outer: Call,
): Promise<void> {
  // Webhooks and policies were shown the eviction; what it does to budget and pod is the server's own doing.
  const { origin: _, ...own } = outer
  const call = (options?.dryRun?.length ?? 0) > 0 ? { ...own, dryRun: true } : own
  const pods = deps.registries.of(Pod)
  const pod = (await pods.read(target)).object()
  if (needsBudget(pod)) await askBudget(deps, pod, call)
  const preconditions = { uid: pod.metadata.uid, ...options?.preconditions }
  if (pod.metadata.deletionTimestamp === undefined) await markDisrupted(deps, target, pod, call)
  await pods.delete(target, { ...options, preconditions }, call)
}

function needsBudget({ metadata, status }: Pod): boolean {
  const { phase } = status
  return phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending' && metadata.deletionTimestamp === undefined
}

async function askBudget(deps: EvictionDeps, pod: Pod, call: Call): Promise<void> {
  const namespace = pod.metadata.namespace ?? ''
  const budgets = deps.reader.list(PodDisruptionBudget, namespace).filter((b) => matchesLabels(b.spec.selector, pod.metadata.labels))
  if (budgets.length > 1) {
    throw unknownError('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.')
  }
  const [budget] = budgets
  if (budget === undefined || isUnhealthyAndFree(budget, pod)) return
  await deps.registries.of(PodDisruptionBudget).update(
    { namespace, name: budget.metadata.name },
    {
      subresource: 'status',
      createIfMissing: false,
      make(old) {
        const next = cloneJson(old!)
        spend(next, pod, deps.clock.now())
        return next
      },
    },
    call,
  )
}

// A pod that is not ready guards nothing: it may go while the application is healthy without it.
function isUnhealthyAndFree({ spec, status }: BudgetV1, pod: Pod): boolean {
  if (isPodReady(pod)) return false
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  return (status?.currentHealthy ?? 0) >= (status?.desiredHealthy ?? 0) && (status?.desiredHealthy ?? 0) > 0
}

/** Takes one disruption from the budget. Throws TooManyRequests when there is none. */
function spend(budget: BudgetV1, pod: Pod, nowMs: number): void {
  const { name } = budget.metadata
  const { status } = budget
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    throw violation(name, `The disruption budget ${name} is still being processed by the server.`, 10)
  }
  const allowed = status.disruptionsAllowed ?? 0
  if (allowed < 0) throw forbidden(PodDisruptionBudget, name, 'pdb disruptions allowed is negative')
  if (Object.keys(status.disruptedPods ?? {}).length > disruptedPodsMax) {
    throw forbidden(PodDisruptionBudget, name, 'DisruptedPods map too big - too many evictions not confirmed by PDB controller')
  }
  if (allowed === 0) {
    const why = `The disruption budget ${name} needs ${status.desiredHealthy} healthy pods and has ${status.currentHealthy} currently`
    throw violation(name, why, 0)
  }
  status.disruptionsAllowed = allowed - 1
  if (status.disruptionsAllowed === 0) {
    const condition = status.conditions?.find(({ type }) => type === 'DisruptionAllowed')
    if (condition !== undefined && condition.status !== 'False') {
      Object.assign(condition, { status: 'False', reason: 'InsufficientPods', lastTransitionTime: timestamp(nowMs) })
    }
  }
  status.disruptedPods = { ...status.disruptedPods, [pod.metadata.name]: timestamp(nowMs) }
}

function violation(_name: string, why: string, retryAfterSeconds: number): ApiError {
  const { status } = tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retryAfterSeconds)
  const details = retryAfterSeconds > 0 ? { retryAfterSeconds } : {}
  return new ApiError({ ...status, details: { ...details, causes: [{ reason: 'DisruptionBudget', message: why }] } })
}

async function markDisrupted({ registries, clock }: EvictionDeps, target: SubresourceTarget, pod: Pod, call: Call): Promise<void> {
  await registries.of(Pod).update(
    target,
    {
      subresource: 'eviction',
      createIfMissing: false,
      unchecked: true,
      make(old) {
        const next = cloneJson(old!)
        if (next.metadata.uid !== pod.metadata.uid) return next
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'EvictionByEvictionAPI',
          message: 'Eviction API: evicting',
        } as const
        setPodCondition(next.status, condition, clock.now())
        return next
      },
    },
    call,
  )
}
