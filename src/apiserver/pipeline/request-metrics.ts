// The API server's request metrics, by the names and labels that dashboards know from Kubernetes.
import type { Clock } from '#base/clock'
import type { MetricsRegistry } from '#platform/metrics'
import type { FlowControl } from '../flow-control/flow-control.ts'
import type { ApiReply, ApiRequest, KindCatalog, Stage } from '../request.ts'
import { deprecation } from '../verbs/deprecation.ts'
import { isLongRunning } from './request-info.ts'

const durationBuckets = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60]

const sizeBuckets = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

const requestLabels = ['verb', 'dry_run', 'group', 'version', 'resource', 'subresource', 'scope', 'component']

interface Series {
  readonly duration: { observe(value: number): void }
  readonly byCode: Map<number, { inc(): void }>
  /** Of reads of resources: bytes of their answers, before compression is taken off by the client. */
  readonly size: { observe(value: number): void } | undefined
  readonly labels: readonly string[]
}

/** A stage that counts and times every answer. Stands right outside `answerPanics`: nothing is thrown through it. */
export function measureRequests(metrics: MetricsRegistry, { clock, catalog }: { clock: Clock; catalog: KindCatalog }): Stage {
  const total = metrics.counter({
    name: 'apiserver_request_total',
    help: 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.',
    labels: [...requestLabels, 'code'],
    seriesMax: 4_000,
  })
  const duration = metrics.histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.',
    labels: requestLabels,
    buckets: durationBuckets,
    seriesMax: 1_000,
  })
  const sizes = metrics.histogram({
    name: 'apiserver_response_sizes',
    help: 'Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.',
    labels: ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'],
    buckets: sizeBuckets,
    seriesMax: 1_000,
  })
  const deprecated = metrics.gauge({
    name: 'apiserver_requested_deprecated_apis',
    help: 'Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.',
    labels: ['group', 'version', 'resource', 'subresource', 'removed_release'],
  })
  const make = (request: ApiRequest): Series => {
    const labels = labelsOf(request, catalog)
    const [verb = '', , ...about] = labels
    const { info } = request
    const kind = info.isResource ? catalog.find(info.group, info.version, info.resource) : undefined
    if (kind !== undefined && deprecation(kind) !== undefined) deprecated.set(1, [...about.slice(0, 4), ''])
    const size = verb === 'LIST' || (verb === 'GET' && info.isResource) ? sizes.series([verb, ...about]) : undefined
    return { duration: duration.series(labels), byCode: new Map(), labels, size }
  }
  // Series by action, and within one by scope and dry run. Paths that are no resources are few, or made up.
  const actions = new Map<string, (Series | undefined)[]>()
  const paths = new Map<string, Series>()
  const seriesFor = (request: ApiRequest): Series => {
    const { info, method, path } = request
    if (!info.isResource) {
      const key = `${method} ${path}`
      const found = paths.get(key) ?? make(request)
      if (paths.size < 1_000) paths.set(key, found)
      return found
    }
    let variants = actions.get(info.action)
    if (variants === undefined) {
      variants = []
      if (actions.size < 2_000) actions.set(info.action, variants)
    }
    const variant = variantOf(request)
    let series = variants[variant]
    if (series === undefined) {
      series = make(request)
      variants[variant] = series
    }
    return series
  }
  const count = (request: ApiRequest, reply: ApiReply, startedMs: number): ApiReply => {
    const series = seriesFor(request)
    let counter = series.byCode.get(reply.status)
    if (counter === undefined) {
      counter = total.series([...series.labels, String(reply.status)])
      series.byCode.set(reply.status, counter)
    }
    counter.inc()
    if (!isLongRunning(request.info)) series.duration.observe((clock.monotonic() - startedMs) / 1000)
    return series.size === undefined ? reply : sized(reply, series.size)
  }
  return {
    name: 'measureRequests',
    run(request, next) {
      const startedMs = clock.monotonic()
      const answer = next(request)
      return answer instanceof Promise ? answer.then((reply) => count(request, reply, startedMs)) : count(request, answer, startedMs)
    },
  }
}

// What is streamed is counted as it goes.
function sized(reply: ApiReply, size: { observe(value: number): void }): ApiReply {
  const { body } = reply
  if (body === undefined) size.observe(0)
  else if (body instanceof Uint8Array) size.observe(body.length)
  else if (typeof body !== 'function') {
    let bytes = 0
    for (const part of body) bytes += part.length
    size.observe(bytes)
  } else {
    return {
      ...reply,
      body(sink, signal) {
        let bytes = 0
        const counted = {
          write(chunk: Uint8Array): boolean {
            bytes += chunk.length
            return sink.write(chunk)
          },
          drained: () => sink.drained(),
          flush: () => sink.flush(),
        }
        return body(counted, signal).finally(() => size.observe(bytes))
      },
    }
  }
  return reply
}

// Scope (0 to 2), and 3 more for a dry run.
function variantOf(request: ApiRequest): number {
  const { info, method } = request
  const dryRun = method !== 'GET' && request.rawQuery !== '' && request.query.has('dryRun')
  return (info.name !== '' ? 0 : info.namespace !== '' ? 1 : 2) + (dryRun ? 3 : 0)
}

const verbNames: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
}

const connectSubresources: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'proxy'])

const knownPaths = /^\/(healthz|livez|readyz|metrics|version|openapi|api|apis|\.well-known)(\/|$)/

function labelsOf({ info, path, method, query }: ApiRequest, catalog: KindCatalog): string[] {
  const methodName = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'].includes(method) ? method : 'OTHER'
  if (!info.isResource) {
    const shown = knownPaths.test(path) ? path.split('/').slice(0, 2).join('/') : ''
    return [methodName, '', '', '', '', shown, '', 'apiserver']
  }
  // Names that nobody serves are the client's invention, and must not become series.
  const kind = catalog.find(info.group, info.version, info.resource)
  const served = kind !== undefined && (info.subresource === '' || kind.subresources.some(({ name }) => name === info.subresource))
  if (!served) return [methodName, '', '', '', '', '', '', 'apiserver']
  const verb = connectSubresources.has(info.subresource) ? 'CONNECT' : (verbNames[info.verb] ?? methodName)
  const scope = info.name !== '' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster'
  const dryRun = method === 'GET' ? '' : (query.get('dryRun')?.slice(0, 8) ?? '')
  return [verb, dryRun === 'All' ? dryRun : '', info.group, info.version, info.resource, info.subresource, scope, 'apiserver']
}

/** Gauges of what is under way, and how long watches take to begin. */
export function registerInFlightMetrics(
  metrics: MetricsRegistry,
  inFlight: Pick<FlowControl, 'counts' | 'queued' | 'onLongRunning' | 'onWatchList'>,
  catalog: KindCatalog,
): void {
  metrics.gaugeFrom(
    {
      name: 'apiserver_current_inflight_requests',
      help: 'Number of currently used inflight request limit of this apiserver per request kind.',
      labels: ['request_kind'],
    },
    () => [
      [['readOnly'], inFlight.counts.readOnly],
      [['mutating'], inFlight.counts.mutating],
    ],
  )
  metrics.gaugeFrom(
    {
      name: 'apiserver_current_inqueue_requests',
      help: 'Maximal number of queued requests in this apiserver per request kind in last second.',
      labels: ['request_kind'],
    },
    () => [
      [['readOnly'], inFlight.queued().readOnly],
      [['mutating'], inFlight.queued().mutating],
    ],
  )
  const longRunning = metrics.gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.',
    labels: ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'],
  })
  const watchList = metrics.histogram({
    name: 'apiserver_watch_list_duration_seconds',
    help: 'Response latency distribution in seconds for watch list requests broken by group, version, resource and scope.',
    labels: ['group', 'version', 'resource', 'scope'],
    buckets: [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60],
    seriesMax: 500,
  })
  inFlight.onWatchList = (request, seconds) => {
    const [, , group = '', version = '', resource = '', , scope = ''] = labelsOf(request, catalog)
    watchList.observe(seconds, [group, version, resource, scope])
  }
  inFlight.onLongRunning = (request, by) => {
    const [verb = '', , ...others] = labelsOf(request, catalog)
    longRunning.add(by, [verb, ...others])
  }
}
