// What the server holds and what it is, under Kubernetes' names; read when somebody asks.
import type { MetricsRegistry } from '#platform/metrics'
import type { Store } from '#storage/store'
import type { VersionInfo } from '../discovery/paths.ts'
import type { HealthCheck } from '../health/health.ts'
import { isStored, type Registries } from '../registry/registries.ts'
import type { KindCatalog } from '../request.ts'

const neverCounted = [
  [
    'apiserver_validation_declarative_validation_mismatch_total',
    'Number of times declarative validation results differed from handwritten validation results for core types.',
  ],
  ['apiserver_validation_declarative_validation_panic_total', 'Number of times declarative validation has panicked during validation.'],
  ['hidden_metrics_total', 'The count of hidden metrics.'],
  ['disabled_metrics_total', 'The count of disabled metrics.'],
] as const

export interface ServerMetricsDeps {
  readonly catalog: KindCatalog
  readonly registries: Registries
  readonly version: VersionInfo
  readonly store: Pick<Store, 'sizeBytes'>
}

export function registerServerMetrics(metrics: MetricsRegistry, { catalog, registries, version, store }: ServerMetricsDeps): void {
  // Asking takes a while: what is told is the answer to the question before.
  let bytes = 0
  const askAgain = (): void => {
    store.sizeBytes().then(
      (size) => {
        bytes = size
      },
      () => undefined,
    )
  }
  askAgain()
  metrics.gaugeFrom(
    {
      name: 'apiserver_storage_size_bytes',
      help: 'Size of the storage database file physically allocated in bytes.',
      labels: ['storage_cluster_id'],
    },
    () => {
      askAgain()
      return [[['etcd-0'], bytes]]
    },
  )
  // Compat: there is one kind of validation here, and no metric is hidden or switched off.
  for (const [name, help] of neverCounted) metrics.counterFrom({ name, help }, () => 0)
  const counts = (): readonly { readonly group: string; readonly resource: string; readonly count: number }[] => {
    const seen = new Map<string, { group: string; resource: string; count: number }>()
    for (const kind of catalog.all()) {
      if (!isStored(kind)) continue
      const key = `${kind.resource}.${kind.group}`
      if (!seen.has(key)) seen.set(key, { group: kind.group, resource: kind.resource, count: registries.of(kind).cache.size })
    }
    return [...seen.values()]
  }
  metrics.gaugeFrom(
    {
      name: 'apiserver_resource_objects',
      help: 'Number of stored objects at the time of last check split by kind.',
      labels: ['group', 'resource'],
    },
    () => counts().map(({ group, resource, count }) => [[group, resource], count] as const),
  )
  // Compat: the name of Prometheus rules made before 1.34.
  metrics.gaugeFrom(
    {
      name: 'apiserver_storage_objects',
      help: '[DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind.',
      labels: ['resource'],
    },
    () => counts().map(({ group, resource, count }) => [[group === '' ? resource : `${resource}.${group}`], count] as const),
  )
  metrics.gaugeFrom(
    {
      name: 'kubernetes_build_info',
      help: "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
      labels: ['major', 'minor', 'git_version', 'git_commit', 'git_tree_state', 'build_date', 'go_version', 'compiler', 'platform'],
    },
    () => [
      [
        [
          version.major,
          version.minor,
          version.gitVersion,
          version.gitCommit,
          'clean',
          version.buildDate,
          process.version,
          'node',
          `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
        ],
        1,
      ],
    ],
  )
}

/** The checks, each telling the metrics how it went. */
export function measureChecks(checks: readonly HealthCheck[], type: string, record: HealthRecord): readonly HealthCheck[] {
  return checks.map(({ name, check }) => ({
    name,
    async check() {
      let failure: string | undefined
      try {
        failure = await check()
      } catch (error) {
        record(name, type, false)
        throw error
      }
      record(name, type, failure === undefined)
      return failure
    },
  }))
}

export type HealthRecord = (name: string, type: string, success: boolean) => void

export function healthMetrics(metrics: MetricsRegistry): HealthRecord {
  const state = metrics.gauge({
    name: 'kubernetes_healthcheck',
    help: 'This metric records the result of a single healthcheck.',
    labels: ['name', 'type'],
  })
  const total = metrics.counter({
    name: 'kubernetes_healthchecks_total',
    help: 'This metric records the results of all healthcheck.',
    labels: ['name', 'status', 'type'],
  })
  return (name, type, success) => {
    state.set(success ? 1 : 0, [name, type])
    total.inc([name, success ? 'success' : 'error', type])
  }
}
