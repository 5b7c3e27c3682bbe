// What converting custom resources by webhooks took, and how it went: under Kubernetes' names.
import type { Clock } from '#base/clock'
import type { MetricsRegistry } from '#platform/metrics'

/** Both functions begin a measurement; what they return ends it. */
export interface ConversionMeasures {
  /** A webhook is asked. It ends with the kind of failure, which is empty when there was none. */
  ask(): (failure: string) => void
  /** Objects of a definition are converted. */
  convert(definition: string, from: string, to: string): (succeeded: boolean) => void
}

const askBuckets = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 45, 60]
const convertBuckets = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i)

export function conversionMetrics(metrics: MetricsRegistry, clock: Clock): ConversionMeasures {
  const labels = ['result', 'failure_type']
  const asked = metrics.counter({
    name: 'apiserver_conversion_webhook_request_total',
    help: 'Counter for conversion webhook requests with success/failure and failure error type',
    labels,
  })
  const askSeconds = metrics.histogram({
    name: 'apiserver_conversion_webhook_duration_seconds',
    help: 'Conversion webhook request latency',
    labels,
    buckets: askBuckets,
  })
  const convertSeconds = metrics.histogram({
    name: 'apiserver_crd_conversion_webhook_duration_seconds',
    help: 'CRD webhook conversion duration in seconds',
    labels: ['crd_name', 'from_version', 'to_version', 'succeeded'],
    buckets: convertBuckets,
    seriesMax: 500,
  })
  const since = (startedMs: number): number => (clock.monotonic() - startedMs) / 1000
  return {
    ask() {
      const startedMs = clock.monotonic()
      return (failure) => {
        const values = [failure === '' ? 'success' : 'failure', failure]
        asked.inc(values)
        askSeconds.observe(since(startedMs), values)
      }
    },
    convert(definition, from, to) {
      const startedMs = clock.monotonic()
      return (succeeded) => convertSeconds.observe(since(startedMs), [definition, from, to, String(succeeded)])
    },
  }
}
