// /metrics/resource (what metrics-server reads; KEP-727) and the part of /metrics/cadvisor that dashboards rely on, in
// Prometheus' text format.
import type { NodeUsage } from './usage.ts'

export function* resourceMetrics(usage: NodeUsage, startedAt: (containerId: string) => number | undefined): Generator<string> {
  const containers = usage.pods.flatMap((p) =>
    p.containers.map((c) => ({ labels: { container: c.name, namespace: p.namespace, pod: p.name }, c })),
  )
  yield* family(
    'container_cpu_usage_seconds_total',
    'counter',
    '[STABLE] Cumulative cpu time consumed by the container in core-seconds',
    containers,
    ({ labels, c }) => line('container_cpu_usage_seconds_total', labels, c.cpuUsageNanoSeconds / 1e9, c.timestamp),
  )
  yield* family(
    'container_memory_working_set_bytes',
    'gauge',
    '[STABLE] Current working set of the container in bytes',
    containers,
    ({ labels, c }) => line('container_memory_working_set_bytes', labels, c.memoryWorkingSetBytes, c.timestamp),
  )
  yield* family(
    'container_start_time_seconds',
    'gauge',
    '[STABLE] Start time of the container since unix epoch in seconds',
    containers,
    ({ labels, c }) => {
      const at = startedAt(c.id)
      return at === undefined ? '' : line('container_start_time_seconds', labels, at / 1000)
    },
  )
  yield* family(
    'node_cpu_usage_seconds_total',
    'counter',
    '[STABLE] Cumulative cpu time consumed by the node in core-seconds',
    [usage],
    (u) => line('node_cpu_usage_seconds_total', {}, u.cpuUsageNanoSeconds / 1e9, u.at),
  )
  yield* family('node_memory_working_set_bytes', 'gauge', '[STABLE] Current working set of the node in bytes', [usage], (u) =>
    line('node_memory_working_set_bytes', {}, u.memoryWorkingSetBytes, u.at),
  )
  const pods = usage.pods.filter((p) => p.pod !== undefined)
  yield* family('pod_cpu_usage_seconds_total', 'counter', '[STABLE] Cumulative cpu time consumed by the pod in core-seconds', pods, (p) =>
    line('pod_cpu_usage_seconds_total', { namespace: p.namespace, pod: p.name }, p.pod!.cpuUsageNanoSeconds / 1e9, usage.at),
  )
  yield* family('pod_memory_working_set_bytes', 'gauge', '[STABLE] Current working set of the pod in bytes', pods, (p) =>
    line('pod_memory_working_set_bytes', { namespace: p.namespace, pod: p.name }, p.pod!.memoryWorkingSetBytes, usage.at),
  )
  yield* family(
    'resource_scrape_error',
    'gauge',
    '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise',
    [0],
    () => line('resource_scrape_error', {}, 0),
  )
}

export function* cadvisorMetrics(usage: NodeUsage): Generator<string> {
  const containers = usage.pods.flatMap((p) =>
    p.containers.map((c) => ({
      labels: { container: c.name, id: `/${c.id}`, image: '', name: c.id, namespace: p.namespace, pod: p.name },
      c,
    })),
  )
  const metrics: readonly [name: string, type: string, help: string, value: (c: (typeof containers)[number]['c']) => number][] = [
    ['container_cpu_usage_seconds_total', 'counter', 'Cumulative cpu time consumed in seconds.', (c) => c.cpuUsageNanoSeconds / 1e9],
    [
      'container_memory_usage_bytes',
      'gauge',
      'Current memory usage in bytes, including all memory regardless of when it was accessed',
      (c) => c.memoryUsageBytes,
    ],
    ['container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', (c) => c.memoryWorkingSetBytes],
    ['container_memory_rss', 'gauge', 'Size of RSS in bytes.', (c) => c.memoryRssBytes],
    [
      'container_fs_usage_bytes',
      'gauge',
      'Number of bytes that are consumed by the container on this filesystem.',
      (c) => c.rootfsUsedBytes,
    ],
  ]
  for (const [name, type, help, value] of metrics) {
    yield* family(name, type, help, containers, ({ labels, c }) => line(name, labels, value(c), c.timestamp))
  }
  yield* family('machine_memory_bytes', 'gauge', 'Amount of memory installed on the machine.', [usage], (u) =>
    line('machine_memory_bytes', {}, u.memoryTotalBytes),
  )
}

function* family<T>(name: string, type: string, help: string, items: readonly T[], render: (item: T) => string): Generator<string> {
  yield `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  for (const item of items) yield render(item)
}

function line(name: string, labels: Readonly<Record<string, string>>, value: number, at?: number): string {
  const text = Object.entries(labels)
    .map(([key, v]) => `${key}="${v.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`)
    .join(',')
  return `${name}${text === '' ? '' : `{${text}}`} ${value}${at === undefined ? '' : ` ${at}`}\n`
}
