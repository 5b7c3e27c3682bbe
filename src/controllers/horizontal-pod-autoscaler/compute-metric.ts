// One metric of an autoscaler: the count that it asks for, what it is called in reasons, and how it stands in the status.
import type {
  HorizontalPodAutoscaler as AutoscalerObject,
  MetricIdentifier,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from '#api/generated/autoscaling-v2'
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { LabelSelector } from '#api/generated/meta-v1'
import { formatLabelSelector } from '#api/label-selectors'
import { formatQuantity, newQuantity, quantityAsNumber, quantityMilliValue } from '#api/quantity'
import { countByAverage, countByShare, countByUtilization, countByValue, type Proposal, type Tolerances } from './count-replicas.ts'
import type { DescribedObject, MetricsClient } from './metrics.ts'

export interface MetricInput {
  readonly autoscaler: AutoscalerObject
  readonly metrics: MetricsClient
  readonly pods: readonly PodObject[]
  /** Of the target's pods. */
  readonly selector: string
  readonly specReplicas: number
  readonly statusReplicas: number
  readonly nowMs: number
  readonly describe: (reference: DescribedObject['reference']) => Promise<DescribedObject>
}

export interface Computed {
  readonly replicas: number
  /** e.g. `cpu resource utilization (percentage of request)`. */
  readonly name: string
  readonly status: MetricStatus
}

/** Why a metric gives no count: for the event and condition, and for the error that FailedComputeMetricsReplicas tells. */
export class MetricFailure extends Error {
  override readonly name = 'MetricFailure'
  readonly reason: string
  readonly detail: string

  constructor(reason: string, detail: string, message: string) {
    super(message)
    this.reason = reason
    this.detail = detail
  }
}

const defaultTolerance = 0.1

function tolerancesOf({ spec: { behavior } }: AutoscalerObject): Tolerances {
  const own = (text: string | undefined): number => (text === undefined ? defaultTolerance : quantityAsNumber(text))
  return { down: own(behavior?.scaleDown?.tolerance), up: own(behavior?.scaleUp?.tolerance) }
}

/** Throws MetricFailure. */
export async function computeMetric(input: MetricInput, metric: MetricSpec): Promise<Computed> {
  const { resource, containerResource, pods, object, external } = metric
  switch (metric.type) {
    case 'Resource':
      return await explained('FailedGetResourceMetric', `failed to get ${resource!.name} resource metric value`, async () => {
        const found = await computeResource(input, resource!.name, '', resource!.target)
        return { ...found, status: { type: 'Resource', resource: { name: resource!.name, current: found.current } } }
      })
    case 'ContainerResource': {
      const { name, container, target } = containerResource!
      return await explained('FailedGetContainerResourceMetric', `failed to get ${container} container metric value`, async () => {
        const found = await computeResource(input, name, container, target)
        return { ...found, status: { type: 'ContainerResource', containerResource: { name, container, current: found.current } } }
      })
    }
    case 'Pods':
      return await explained('FailedGetPodsMetric', 'failed to get pods metric value', () => computePods(input, pods!))
    case 'Object':
      return await explained('FailedGetObjectMetric', 'failed to get object metric value', () => computeObject(input, object!))
    case 'External': {
      const prefix = `failed to get ${external!.metric.name} external metric value`
      return await explained('FailedGetExternalMetric', prefix, () => computeExternal(input, external!))
    }
    default: {
      const message = `unknown metric source type ${JSON.stringify(metric.type)}`
      throw new MetricFailure('InvalidMetricSourceType', message, message)
    }
  }
}

/** An error whose event and condition tell less than what is passed on. */
class Narrowed extends Error {
  readonly inner: string
  constructor(inner: Error, prefix: string) {
    super(`${prefix}: ${inner.message}`)
    this.inner = inner.message
  }
}

async function explained(reason: string, prefix: string, compute: () => Promise<Computed>): Promise<Computed> {
  try {
    return await compute()
  } catch (error) {
    const { message } = error as Error
    throw new MetricFailure(reason, error instanceof Narrowed ? error.inner : message, `${prefix}: ${message}`)
  }
}

async function orElse<T>(prefix: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${prefix}: ${(error as Error).message}`, { cause: error })
  }
}

async function computeResource(
  input: MetricInput,
  name: string,
  container: string,
  target: MetricTarget,
): Promise<{ replicas: number; name: string; current: MetricValueStatus }> {
  const { autoscaler, metrics, pods, selector, specReplicas, nowMs } = input
  const namespace = autoscaler.metadata.namespace ?? ''
  const { averageValue, averageUtilization } = target
  if (averageValue === undefined && averageUtilization === undefined) {
    throw new Error('invalid resource metric source: neither an average utilization target nor an average value (usage) target was set')
  }
  const proposal = await orElse(
    `failed to get ${name} ${averageValue === undefined ? 'utilization' : 'usage'}`,
    async (): Promise<Proposal> => {
      const found = await orElse(`unable to get metrics for resource ${name}`, () => metrics.resource(name, namespace, selector, container))
      const counted = { pods, metrics: found, current: specReplicas, tolerances: tolerancesOf(autoscaler), nowMs }
      return averageValue === undefined
        ? countByUtilization(counted, averageUtilization ?? 0, name, container)
        : countByAverage(counted, quantityMilliValue(averageValue), name)
    },
  )
  const usage = formatQuantity(newQuantity(proposal.usage, name === 'memory' ? 'BinarySI' : 'DecimalSI', -3))
  if (averageValue !== undefined) return { replicas: proposal.replicas, name: `${name} resource`, current: { averageValue: usage } }
  const kind = container === '' ? 'resource' : 'container resource'
  return {
    replicas: proposal.replicas,
    name: `${name} ${kind} utilization (percentage of request)`,
    current: { averageUtilization: proposal.utilization ?? 0, averageValue: usage },
  }
}

async function computePods(input: MetricInput, { metric, target }: NonNullable<MetricSpec['pods']>): Promise<Computed> {
  const { autoscaler, metrics, pods, selector, specReplicas, nowMs } = input
  const namespace = autoscaler.metadata.namespace ?? ''
  const found = await orElse(`unable to get metric ${metric.name}`, () =>
    metrics.pods(metric.name, namespace, selector, selectorText(metric.selector)),
  )
  const counted = { pods, metrics: found, current: specReplicas, tolerances: tolerancesOf(autoscaler), nowMs }
  const proposal = countByAverage(counted, quantityMilliValue(target.averageValue ?? '0'), '')
  return {
    replicas: proposal.replicas,
    name: `pods metric ${metric.name}`,
    status: { type: 'Pods', pods: { metric: identifier(metric), current: { averageValue: milli(proposal.usage) } } },
  }
}

async function computeObject(input: MetricInput, source: NonNullable<MetricSpec['object']>): Promise<Computed> {
  const { autoscaler, metrics, pods, specReplicas, statusReplicas } = input
  const { describedObject, metric, target } = source
  const { value, averageValue } = target
  const namespace = autoscaler.metadata.namespace ?? ''
  const tolerances = tolerancesOf(autoscaler)
  const usage = async (): Promise<number> => {
    try {
      return await metrics.object(metric.name, namespace, await input.describe(describedObject), selectorText(metric.selector))
    } catch (error) {
      const on = `${describedObject.kind} ${namespace}/${describedObject.name}`
      throw new Error(`unable to get metric ${metric.name}: ${(error as Error).message} on ${on}`, { cause: error })
    }
  }
  const status = (current: MetricValueStatus): MetricStatus => ({
    type: 'Object',
    object: { describedObject, metric: identifier(metric), current },
  })
  if (target.type === 'Value' && value !== undefined) {
    const proposal = countByValue({ pods, current: specReplicas, tolerances }, await usage(), quantityMilliValue(value))
    const name = `${describedObject.kind} metric ${metric.name}`
    return { replicas: proposal.replicas, name, status: status({ value: milli(proposal.usage) }) }
  }
  if (target.type === 'AverageValue' && averageValue !== undefined) {
    const found = await usage().catch((error: Error) => {
      throw new Narrowed(error, `failed to get ${metric.name} object metric`)
    })
    const proposal = countByShare(statusReplicas, tolerances, found, quantityMilliValue(averageValue))
    const name = `external metric ${metric.name}(${selectorAsGo(metric.selector)})`
    return { replicas: proposal.replicas, name, status: status({ averageValue: milli(proposal.usage) }) }
  }
  throw new Error('invalid object metric source: neither a value target nor an average value target was set')
}

async function computeExternal(input: MetricInput, { metric, target }: NonNullable<MetricSpec['external']>): Promise<Computed> {
  const { autoscaler, metrics, pods, specReplicas, statusReplicas } = input
  const { value, averageValue } = target
  const namespace = autoscaler.metadata.namespace ?? ''
  const tolerances = tolerancesOf(autoscaler)
  if (value === undefined && averageValue === undefined) {
    throw new Error('invalid external metric source: neither a value target nor an average value target was set')
  }
  const narrowed =
    averageValue === undefined ? `failed to get external metric ${metric.name}` : `failed to get ${metric.name} external metric`
  const counted = async (): Promise<Proposal> => {
    const values = await orElse(`unable to get external metric ${namespace}/${metric.name}/${selectorAsGo(metric.selector)}`, () =>
      metrics.external(metric.name, namespace, selectorText(metric.selector)),
    )
    const usage = values.reduce((sum, one) => sum + one, 0)
    return averageValue === undefined
      ? countByValue({ pods, current: specReplicas, tolerances }, usage, quantityMilliValue(value ?? '0'))
      : countByShare(statusReplicas, tolerances, usage, quantityMilliValue(averageValue))
  }
  const proposal = await counted().catch((error: Error) => {
    throw new Narrowed(error, narrowed)
  })
  const current = averageValue === undefined ? { value: milli(proposal.usage) } : { averageValue: milli(proposal.usage) }
  return {
    replicas: proposal.replicas,
    name: `external metric ${metric.name}(${selectorAsGo(metric.selector)})`,
    status: { type: 'External', external: { metric: identifier(metric), current } },
  }
}

function milli(value: number): string {
  return formatQuantity(newQuantity(value, 'DecimalSI', -3))
}

function identifier({ name, selector }: MetricIdentifier): MetricIdentifier {
  return { name, ...(selector === undefined ? {} : { selector }) }
}

function selectorText(selector: LabelSelector | undefined): string {
  return selector === undefined ? '' : formatLabelSelector(selector)
}

/** Compat: in messages selectors stand as Go prints them. */
export function selectorAsGo(selector: LabelSelector | undefined): string {
  if (selector === undefined) return 'nil'
  const labels = Object.entries(selector.matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const pairs = labels.map(([key, value]) => `${key}: ${value},`).join('')
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    return `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`
  })
  return `&LabelSelector{MatchLabels:map[string]string{${pairs}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`
}
