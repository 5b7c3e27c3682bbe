// Everything that is not a resource: discovery, health, version, metrics, OpenAPI, the keys of service-account tokens, and the
// list of all that at `/`.
import { pathMethodNotAllowed, pathNotFound } from '#api/errors'
import type { MetricsRegistry } from '#platform/metrics'
import { answerHealth, type HealthCheck } from '../health/health.ts'
import type { ApiReply, ApiRequest, Handler } from '../request.ts'
import type { Discovery } from './discovery.ts'

/** What /version says. */
export interface VersionInfo {
  readonly major: string
  readonly minor: string
  /** As `kubectl version` shows it: `v1.36.0+navarch`. */
  readonly gitVersion: string
  readonly gitCommit: string
  readonly buildDate: string
}

export interface PathsDeps {
  readonly discovery: Discovery
  readonly version: VersionInfo
  readonly metrics: MetricsRegistry
  readonly health: {
    readonly live: readonly HealthCheck[]
    readonly ready: readonly HealthCheck[]
    readonly onFailure: (root: string, text: string) => void
  }
  /** /openapi/v2 and /openapi/v3, with what is below them. */
  readonly openApi?: { answer(request: ApiRequest): Promise<ApiReply | undefined>; paths(): readonly string[] }
  /** Tables for a person who looks at a server at work. */
  readonly debug?: (request: ApiRequest) => ApiReply | undefined
  /** Documents by exact path, already encoded: OpenID configuration and keys. */
  readonly fixed: ReadonlyMap<string, () => { readonly contentType: string; readonly body: string }>
}

// What is looked at more often than all there is (KEP-3466).
const sliMetrics: ReadonlySet<string> = new Set(['kubernetes_healthcheck', 'kubernetes_healthchecks_total'])
const healthRoots: ReadonlySet<string> = new Set(['healthz', 'livez', 'readyz'])

/** Answers requests for which `info.isResource` is false. */
export function servePaths(deps: PathsDeps): Handler {
  const version = Buffer.from(`${JSON.stringify(versionDocument(deps.version), null, 2)}`)
  return async (request) => {
    const { method, path } = request
    const root = path.split('/', 2)[1] ?? ''
    if (method !== 'GET' && method !== 'HEAD' && !isRouted(deps, root, path)) throw pathNotFound()
    const reply = await answer(deps, request, root, version)
    if (reply === undefined) throw pathNotFound()
    if (method !== 'GET' && isRouted(deps, root, path)) throw pathMethodNotAllowed()
    return reply
  }
}

// Documents that Kubernetes routes for GET alone; health, metrics and OpenAPI are plain handlers, which take HEAD too.
function isRouted(deps: PathsDeps, root: string, path: string): boolean {
  return root === 'api' || root === 'apis' || root === 'version' || deps.fixed.has(trimmed(path))
}

function trimmed(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

async function answer(deps: PathsDeps, request: ApiRequest, root: string, version: Buffer): Promise<ApiReply | undefined> {
  const { path } = request
  if (root === 'api' || root === 'apis') return deps.discovery.answer(request)
  if (healthRoots.has(root)) {
    const { health } = deps
    const checks = root === 'readyz' ? health.ready : health.live
    return answerHealth(root, path.slice(root.length + 2), checks, request, health.onFailure)
  }
  if (path === '/version' || path === '/version/') return { status: 200, headers: { 'content-type': 'application/json' }, body: version }
  if (path === '/metrics') return metricsReply(deps.metrics)
  if (path === '/metrics/slis') return metricsReply(deps.metrics, sliMetrics)
  if (root === 'openapi') return deps.openApi?.answer(request)
  if (root === 'debug') return deps.debug?.(request)
  if (path === '/' || path === '') return json({ paths: allPaths(deps) })
  const fixed = deps.fixed.get(trimmed(path))?.()
  if (fixed === undefined) return undefined
  const headers = { 'content-type': fixed.contentType, 'cache-control': 'public, max-age=3600' }
  return { status: 200, headers, body: Buffer.from(fixed.body) }
}

function json(value: object): ApiReply {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value, null, 2)) }
}

// One family at a time, so that a scrape of many series never holds the loop.
function metricsReply(metrics: MetricsRegistry, only?: ReadonlySet<string>): ApiReply {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: async (sink, signal) => {
      for (const text of metrics.text(only)) {
        if (signal.aborted) return
        if (!sink.write(Buffer.from(text))) await sink.drained()
      }
    },
  }
}

function allPaths({ discovery, health, openApi, fixed }: PathsDeps): string[] {
  const checks = [...health.live.map(({ name }) => `/healthz/${name}`), ...health.live.map(({ name }) => `/livez/${name}`)]
  return [
    ...discovery.paths(),
    ...checks,
    ...health.ready.map(({ name }) => `/readyz/${name}`),
    '/healthz',
    '/livez',
    '/readyz',
    '/metrics',
    '/metrics/slis',
    '/version',
    ...(openApi?.paths() ?? []),
    ...fixed.keys(),
  ].sort()
}

function versionDocument({ major, minor, gitVersion, gitCommit, buildDate }: VersionInfo): object {
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    gitVersion,
    gitCommit,
    gitTreeState: 'clean',
    buildDate,
    goVersion: process.version,
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
