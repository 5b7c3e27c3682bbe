// Metrics, by the APIs that others serve behind aggregation: metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io.
// Values are in thousandths.
import { ApiError } from '#api/errors'
import type { CrossVersionObjectReference } from '#api/generated/autoscaling-v2'
import { parseGoDuration } from '#api/go-duration'
import { quantityMilliValue } from '#api/quantity'
import type { Client } from '#client/client'
import type { PodMetric } from './count-replicas.ts'

export interface MetricsClient {
  /** What pods, or one container of them, use of a resource. */
  resource(name: string, namespace: string, selector: string, container: string): Promise<Map<string, PodMetric>>
  /** A metric that describes each pod. */
  pods(metric: string, namespace: string, selector: string, metricSelector: string): Promise<Map<string, PodMetric>>
  /** A metric that describes one object. `resource`: its plural and group, as in `ingresses.networking.k8s.io`. */
  object(metric: string, namespace: string, object: DescribedObject, metricSelector: string): Promise<number>
  external(metric: string, namespace: string, metricSelector: string): Promise<number[]>
}

export interface DescribedObject {
  readonly reference: CrossVersionObjectReference
  readonly resource: string
}

interface PodUsage {
  readonly metadata: { readonly name: string }
  readonly timestamp: string
  readonly window: string
  readonly containers?: readonly { readonly name: string; readonly usage?: Readonly<Record<string, string>> }[]
}

interface MetricValue {
  readonly describedObject: { readonly name: string }
  readonly timestamp: string
  readonly windowSeconds?: number
  readonly value: string
}

const customGroup = 'custom.metrics.k8s.io'
// Newest first.
const customVersions = ['v1beta2', 'v1beta1'] as const
const defaultWindowSeconds = 60

export function createMetricsClient(client: Pick<Client, 'raw'>): MetricsClient {
  /** `what`: the resource as errors name it. */
  async function get<T>(path: string, what: string, api: string): Promise<T> {
    try {
      return (await client.raw('GET', path)) as T
    } catch (error) {
      throw new Error(`unable to fetch metrics from ${api} metrics API: ${inWords(error, what)}`, { cause: error })
    }
  }

  async function items<T>(path: string, what: string, api: string): Promise<readonly T[]> {
    const { items: all = [] } = await get<{ items?: readonly T[] }>(path, what, api)
    if (all.length === 0) throw new Error(`no metrics returned from ${api} metrics API`)
    return all
  }

  async function customBase(): Promise<string> {
    const group = (await client.raw('GET', `/apis/${customGroup}`).catch((error) => {
      if (error instanceof ApiError && error.code === 404) return undefined
      throw new Error(`unable to fetch metrics from custom metrics API: ${inWords(error, customGroup)}`, { cause: error })
    })) as { versions?: readonly { version: string }[] } | undefined
    const version = customVersions.find((known) => group?.versions?.some((served) => served.version === known))
    if (version === undefined) {
      throw new Error(`unable to fetch metrics from custom metrics API: no custom metrics API (${customGroup}) registered`)
    }
    return `/apis/${customGroup}/${version}`
  }

  return {
    async resource(name, namespace, selector, container) {
      const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods?${query({ labelSelector: selector })}`
      const found = new Map<string, PodMetric>()
      for (const usage of await items<PodUsage>(path, 'pods.metrics.k8s.io', 'resource')) {
        const value = usageOf(usage, name, container)
        if (value === undefined) continue
        found.set(usage.metadata.name, { value, atMs: Date.parse(usage.timestamp), windowMs: windowMs(usage.window) })
      }
      return found
    },
    async pods(metric, namespace, selector, metricSelector) {
      const base = await customBase()
      const wanted = query({ labelSelector: selector, metricLabelSelector: metricSelector })
      const path = `${base}/namespaces/${namespace}/pods/*/${metric}?${wanted}`
      const values = await items<MetricValue>(path, `pods.${customGroup} *`, 'custom')
      return new Map(
        values.map(({ describedObject, timestamp, value, windowSeconds = defaultWindowSeconds }) => [
          describedObject.name,
          { value: quantityMilliValue(value), atMs: Date.parse(timestamp), windowMs: windowSeconds * 1_000 },
        ]),
      )
    },
    async object(metric, namespace, { reference, resource }, metricSelector) {
      const base = await customBase()
      const isNamespace = resource === 'namespaces'
      const name = isNamespace ? `namespaces/${namespace}/metrics` : `namespaces/${namespace}/${resource}/${reference.name}`
      const path = `${base}/${name}/${metric}?${query({ metricLabelSelector: metricSelector })}`
      const what = `${resource}.${customGroup} ${isNamespace ? namespace : reference.name}`
      const [value] = await items<MetricValue>(path, what, 'custom')
      return quantityMilliValue((value as MetricValue).value)
    },
    async external(metric, namespace, metricSelector) {
      const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${metric}?${query({ labelSelector: metricSelector })}`
      const values = await items<{ readonly value: string }>(path, `${metric}.external.metrics.k8s.io`, 'external')
      return values.map(({ value }) => quantityMilliValue(value))
    },
  }
}

/** Compat: answers that are no Status of an object's are named by code and resource, as client-go does. */
function inWords(error: unknown, what: string): string {
  if (!(error instanceof ApiError)) return (error as Error).message
  if (error.code === 404 && error.status.details?.name === undefined)
    return `the server could not find the requested resource (get ${what})`
  if (error.code === 503) return `the server is currently unable to handle the request (get ${what})`
  return error.message
}

function query(values: Readonly<Record<string, string>>): string {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value !== '')).toString()
}

function windowMs(text: string): number {
  try {
    return parseGoDuration(text)
  } catch {
    return 0
  }
}

/** A pod counts only when all that is asked of it is known. */
function usageOf({ containers = [] }: PodUsage, resource: string, container: string): number | undefined {
  const wanted = container === '' ? containers : containers.filter(({ name }) => name === container)
  if (wanted.length === 0) return undefined
  let sum = 0
  for (const { usage } of wanted) {
    const amount = usage?.[resource]
    if (amount === undefined) return undefined
    sum += quantityMilliValue(amount)
  }
  return sum
}
