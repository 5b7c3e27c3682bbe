// How often configuration was read anew, under Kubernetes' names, and which one is in force.
import { createHash } from 'node:crypto'
import type { Clock } from '#base/clock'
import type { MetricsRegistry } from '#platform/metrics'

export interface ReloadMetrics {
  /** The configuration that the server began with. */
  began(text: string): void
  succeeded(text: string): void
  failed(): void
}

export function reloadMetrics(metrics: MetricsRegistry, of: 'authentication' | 'authorization', clock: Clock): ReloadMetrics {
  const prefix = `apiserver_${of}_config_controller`
  const total = metrics.counter({
    name: `${prefix}_automatic_reloads_total`,
    help: `Total number of automatic reloads of ${of} configuration split by status and apiserver identity.`,
    labels: ['status', 'apiserver_id_hash'],
  })
  const last = metrics.gauge({
    name: `${prefix}_automatic_reload_last_timestamp_seconds`,
    help: `Timestamp of the last automatic reload of ${of} configuration split by status and apiserver identity.`,
    labels: ['status', 'apiserver_id_hash'],
  })
  const identity = hashOf('kube-apiserver')
  const note = (status: string): void => {
    total.inc([status, identity])
    last.set(clock.now() / 1_000, [status, identity])
  }
  let hash: string | undefined
  metrics.gaugeFrom(
    {
      name: `${prefix}_last_config_info`,
      help: `Information about the last applied ${of} configuration with hash as label, split by apiserver identity.`,
      labels: ['apiserver_id_hash', 'hash'],
    },
    () => (hash === undefined ? [] : [[[identity, hash], 1]]),
  )
  return {
    began(text) {
      hash = hashOf(text)
    },
    succeeded(text) {
      note('success')
      hash = hashOf(text)
    },
    failed: () => note('failure'),
  }
}

function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
