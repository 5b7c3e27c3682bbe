// HorizontalPodAutoscaler: reads metrics, decides on a count, sets it on the target's scale. It looks at each autoscaler when it
// changes and every fifteen seconds, and at nothing when there is none.
import { isApiError } from '#api/errors'
import type {
  HorizontalPodAutoscaler as AutoscalerObject,
  HorizontalPodAutoscalerCondition as Condition,
  MetricStatus,
} from '#api/generated/autoscaling-v2'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { HorizontalPodAutoscaler } from '#api/kinds/autoscaling/horizontal-pod-autoscaler'
import { Pod } from '#api/kinds/core/pod'
import type { KeyText, Manifest } from '#api/object'
import { type LabelSelectorText, labelsMatch, parseLabelSelector } from '#api/selectors'
import { timestamp } from '#base/clock'
import type { Client } from '#client/client'
import { type Controller, defineController, type ReconcileContext } from '#client/controller'
import { watchKind } from '../watches.ts'
import { type History, limitReplicas, noHistory, withScaleEvent } from './behavior.ts'
import { computeMetric, MetricFailure } from './compute-metric.ts'
import { createMetricsClient } from './metrics.ts'
import { createScaleTargets, type FoundScale, InvalidTarget, type ScaleTargets, setReplicas } from './scale-target.ts'

// Kubernetes' --horizontal-pod-autoscaler-sync-period.
const syncMs = 15_000

/** What is remembered between looks. */
interface Memory {
  history: History
  /** Of the target's pods; undefined: not known yet. */
  selector: LabelSelectorText | undefined
}

export function createHorizontalPodAutoscalerController(): Controller {
  const memories = new Map<KeyText, Memory>()
  let targets: ScaleTargets | undefined
  return defineController({
    name: 'horizontal-pod-autoscaler',
    watches: [watchKind(HorizontalPodAutoscaler, (now, old) => old === undefined || specOf(now) !== specOf(old))],
    reads: [Pod],
    concurrency: 5,
    async reconcile(key, context) {
      const autoscaler = context.cache.get(HorizontalPodAutoscaler, key)
      if (autoscaler === undefined) {
        memories.delete(key)
        return
      }
      targets ??= createScaleTargets(context.clock)
      const memory = memories.get(key) ?? { history: noHistory, selector: undefined }
      memories.set(key, memory)
      await new Look(autoscaler, memory, { ...context, targets, memories, key }).run()
      return syncMs
    },
  })
}

function specOf(autoscaler: object): string {
  return JSON.stringify((autoscaler as AutoscalerObject).spec)
}

interface LookContext extends ReconcileContext {
  readonly key: KeyText
  readonly targets: ScaleTargets
  readonly memories: ReadonlyMap<KeyText, Memory>
}

/** What the metrics ask for. */
interface Wanted {
  readonly replicas: number
  readonly name: string
  readonly statuses: MetricStatus[]
}

/** One look at one autoscaler. */
class Look {
  readonly #autoscaler: AutoscalerObject
  readonly #memory: Memory
  readonly #context: LookContext
  #conditions: Condition[]

  constructor(autoscaler: AutoscalerObject, memory: Memory, context: LookContext) {
    this.#autoscaler = autoscaler
    this.#memory = memory
    this.#context = context
    this.#conditions = [...(autoscaler.status.conditions ?? [])]
  }

  async run(): Promise<void> {
    const { client, targets, clock } = this.#context
    const { scaleTargetRef } = this.#autoscaler.spec
    let found: FoundScale
    try {
      found = await targets.get(client, this.#autoscaler.metadata.namespace ?? '', scaleTargetRef)
    } catch (error) {
      const { message } = error as Error
      this.#warn('FailedGetScale', message)
      const prefix = "the HPA controller was unable to get the target's current scale"
      this.#set('AbleToScale', 'False', 'FailedGetScale', `${prefix}: ${message}`)
      if (!(error instanceof InvalidTarget) && !isApiError(error) && !/^no matches for kind/.test(message)) throw error
      return await this.#write({})
    }
    this.#set('AbleToScale', 'True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale")
    const current = found.scale.spec?.replicas ?? 0
    if (this.#memory.history.recommendations.length === 0) {
      this.#memory.history = { ...this.#memory.history, recommendations: [{ replicas: current, atMs: clock.now() }] }
    }
    await this.#decide(found, current)
  }

  async #decide(found: FoundScale, current: number): Promise<void> {
    const { minReplicas: min = 1, maxReplicas: max } = this.#autoscaler.spec
    this.#conditions = this.#conditions.filter(({ type }) => current !== 0 || type !== 'ScaledToZero')
    if (current === 0) {
      this.#set('ScalingActive', 'False', 'ScalingDisabled', 'scaling is disabled since the replica count of the target is zero')
      return await this.#write({ currentReplicas: 0, desiredReplicas: 0 })
    }
    if (current > max) return await this.#rescale(found, current, max, 'Current number of replicas above Spec.MaxReplicas')
    if (current < min) return await this.#rescale(found, current, min, 'Current number of replicas below Spec.MinReplicas')
    const wanted = await this.#computeAll(found, current)
    if (wanted === undefined) return
    const reason = wanted.replicas > current ? `${wanted.name} above target` : wanted.replicas < current ? 'All metrics below target' : ''
    const desired = this.#limit(current, wanted.replicas)
    if (desired === current) {
      return await this.#write({ currentReplicas: current, desiredReplicas: current, currentMetrics: wanted.statuses })
    }
    await this.#rescale(found, current, desired, reason, wanted.statuses)
  }

  /** The wish within what behavior and limits allow. */
  #limit(current: number, desired: number): number {
    const { behavior, minReplicas: min = 1, maxReplicas: max } = this.#autoscaler.spec
    const limited = limitReplicas({ current, desired, min, max }, behavior, this.#memory.history, this.#context.clock.now())
    this.#memory.history = { ...this.#memory.history, recommendations: limited.recommendations }
    this.#set('AbleToScale', 'True', limited.ableToScale.reason, limited.ableToScale.message)
    const { status, reason, message } = limited.scalingLimited
    this.#set('ScalingLimited', status, reason, message)
    return limited.replicas
  }

  /** The most that any metric asks for; undefined: it is not known, and that has been told. */
  async #computeAll(found: FoundScale, current: number): Promise<Wanted | undefined> {
    const { metrics = [] } = this.#autoscaler.spec
    const selector = this.#selector(found)
    if (typeof selector !== 'string') return await this.#giveUp(current, selector.message)
    const computed = await this.#computeEach(found, current, selector)
    const failures = computed.filter((one) => one instanceof MetricFailure)
    let best: { replicas: number; name: string } = { replicas: 0, name: '' }
    for (const one of computed) {
      if (!(one instanceof MetricFailure) && (best.replicas === 0 || one.replicas > best.replicas)) best = one
    }
    const statuses = computed.map((one): MetricStatus => (one instanceof MetricFailure ? { type: '' } : one.status))
    const [first] = failures
    if (first !== undefined && (failures.length >= metrics.length || best.replicas < current)) {
      this.#set('ScalingActive', 'False', first.reason, `the HPA was unable to compute the replica count: ${first.detail}`)
      const message = `invalid metrics (${failures.length} invalid out of ${metrics.length}), first error is: ${first.message}`
      return await this.#giveUp(current, message, statuses)
    }
    const message = `the HPA was able to successfully calculate a replica count from ${best.name}`
    this.#set('ScalingActive', 'True', 'ValidMetricFound', message)
    return { ...best, statuses }
  }

  async #computeEach(found: FoundScale, current: number, selector: string) {
    const { client, clock, targets } = this.#context
    const input = {
      autoscaler: this.#autoscaler,
      metrics: createMetricsClient(client),
      pods: this.#pods(),
      selector,
      specReplicas: current,
      statusReplicas: found.scale.status?.replicas ?? 0,
      nowMs: clock.now(),
      describe: async (reference: AutoscalerObject['spec']['scaleTargetRef']) => ({
        reference,
        resource: await targets.resourceOf(client, reference),
      }),
    }
    const computed = []
    for (const metric of this.#autoscaler.spec.metrics ?? []) {
      try {
        computed.push(await computeMetric(input, metric))
      } catch (error) {
        if (!(error instanceof MetricFailure)) throw error
        this.#warn(error.reason, error.detail)
        computed.push(error)
      }
    }
    return computed
  }

  async #giveUp(current: number, message: string, currentMetrics?: MetricStatus[]): Promise<undefined> {
    const { desiredReplicas } = this.#autoscaler.status
    await this.#write({ currentReplicas: current, desiredReplicas, ...(currentMetrics === undefined ? {} : { currentMetrics }) })
    this.#warn('FailedComputeMetricsReplicas', message)
    return undefined
  }

  /** The selector of the target's pods, which no other autoscaler may share. */
  #selector({ scale }: FoundScale): string | Error {
    const text = scale.status?.selector ?? ''
    const refuse = (reason: string, message: string, told = message, condition = reason): Error => {
      this.#warn(reason, message)
      this.#set('ScalingActive', 'False', condition, told)
      return new Error(message)
    }
    if (text === '') {
      return refuse('SelectorRequired', 'selector is required', "the HPA target's scale is missing a selector", 'InvalidSelector')
    }
    try {
      this.#memory.selector = parseLabelSelector(text)
    } catch (error) {
      const why = (error as Error).message
      return refuse('InvalidSelector', `couldn't convert selector into a corresponding internal selector object: ${why}`)
    }
    const pods = this.#pods()
    const { key, memories } = this.#context
    const prefix = key.slice(0, key.indexOf('/') + 1)
    const sharing = [...memories].filter(([other, { selector }]) => {
      return other.startsWith(prefix) && selector !== undefined && pods.some(({ metadata }) => labelsMatch(selector, metadata.labels))
    })
    if (sharing.length <= 1) return text
    const names = sharing.map(([other]) => `${other.slice(prefix.length)} ${prefix.slice(0, -1)}`).sort()
    const list = `[${names.map((name) => `{${name}}`).join(' ')}]`
    return refuse('AmbiguousSelector', `pods by selector ${text} are controlled by multiple HPAs: ${list}`)
  }

  #pods(): PodObject[] {
    const { selector } = this.#memory
    if (selector === undefined) return []
    return this.#context.cache
      .list(Pod, this.#autoscaler.metadata.namespace)
      .filter(({ metadata }) => labelsMatch(selector, metadata.labels))
  }

  async #rescale(found: FoundScale, current: number, desired: number, reason: string, currentMetrics?: MetricStatus[]): Promise<void> {
    const { client, clock, events } = this.#context
    const metrics = currentMetrics === undefined ? {} : { currentMetrics }
    try {
      await setReplicas(client, found, desired)
    } catch (error) {
      const { message } = error as Error
      this.#warn('FailedRescale', `New size: ${desired}; reason: ${reason}; error: ${message}`)
      this.#set('AbleToScale', 'False', 'FailedUpdateScale', `the HPA controller was unable to update the target scale: ${message}`)
      const { desiredReplicas } = this.#autoscaler.status
      return await this.#write({ currentReplicas: current, desiredReplicas, ...metrics })
    }
    this.#set('AbleToScale', 'True', 'SucceededRescale', `the HPA controller was able to update the target scale to ${desired}`)
    events.record(this.#autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`)
    const change = { from: current, to: desired }
    this.#memory.history = withScaleEvent(this.#memory.history, this.#autoscaler.spec.behavior, change, clock.now())
    await this.#write({ currentReplicas: current, desiredReplicas: desired, lastScaleTime: timestamp(clock.now()), ...metrics })
  }

  #warn(reason: string, message: string): void {
    this.#context.events.record(this.#autoscaler, 'Warning', reason, message)
  }

  #set(type: string, status: 'True' | 'False', reason: string, message: string): void {
    const before = this.#conditions.find((condition) => condition.type === type)
    const lastTransitionTime =
      before?.status === status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : timestamp(this.#context.clock.now())
    const next: Condition = { type, status, lastTransitionTime, reason, message }
    this.#conditions = before === undefined ? [...this.#conditions, next] : this.#conditions.map((one) => (one === before ? next : one))
  }

  /** Writes the status if it differs. What is not told of the counts stays as it is. */
  async #write(counts: Partial<AutoscalerObject['status']>): Promise<void> {
    const before = this.#autoscaler.status
    const { currentMetrics: _, ...kept } = before
    const hasCounts = counts.currentReplicas !== undefined
    const status: AutoscalerObject['status'] = { ...(hasCounts ? kept : before), ...counts, conditions: this.#conditions }
    if (sameStatus(before, status)) return
    try {
      await updateStatus(this.#context.client, { ...this.#autoscaler, status })
    } catch (error) {
      if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) this.#warn('FailedUpdateStatus', (error as Error).message)
      throw error
    }
  }
}

function updateStatus(client: Client, autoscaler: AutoscalerObject): Promise<unknown> {
  return client.updateStatus(HorizontalPodAutoscaler, autoscaler as Manifest<AutoscalerObject>)
}

function sameStatus(a: AutoscalerObject['status'], b: AutoscalerObject['status']): boolean {
  const text = (status: AutoscalerObject['status']): string =>
    JSON.stringify([
      status.currentReplicas ?? 0,
      status.desiredReplicas,
      status.lastScaleTime,
      status.currentMetrics ?? [],
      status.conditions ?? [],
    ])
  return text(a) === text(b)
}
