// The paths of the agent's server: what each is called, and which action asking for it is. A path that is not here is 404,
// after the same check as the others.
import type { Action } from './access.ts'

export type Route =
  | {
      readonly name:
        | 'healthz'
        | 'pods'
        | 'runningPods'
        | 'configz'
        | 'summary'
        | 'metrics'
        | 'resourceMetrics'
        | 'cadvisorMetrics'
        | 'probeMetrics'
    }
  | {
      readonly name: 'containerLogs' | 'exec' | 'attach' | 'run'
      readonly namespace: string
      readonly pod: string
      readonly uid: string
      readonly container: string
    }
  | { readonly name: 'portForward'; readonly namespace: string; readonly pod: string; readonly uid: string }
  | { readonly name: 'unknown' }

const plain: Readonly<Record<string, Route>> = {
  '/healthz': { name: 'healthz' },
  '/healthz/ping': { name: 'healthz' },
  '/healthz/log': { name: 'healthz' },
  '/healthz/syncloop': { name: 'healthz' },
  '/pods': { name: 'pods' },
  '/pods/': { name: 'pods' },
  '/runningpods': { name: 'runningPods' },
  '/runningpods/': { name: 'runningPods' },
  '/configz': { name: 'configz' },
  '/stats/summary': { name: 'summary' },
  '/metrics': { name: 'metrics' },
  '/metrics/resource': { name: 'resourceMetrics' },
  '/metrics/cadvisor': { name: 'cadvisorMetrics' },
  '/metrics/probes': { name: 'probeMetrics' },
}

const nameCharsMax = 253
const namePattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/** `path` without its query, as it stands in the request. */
export function findRoute(path: string): Route {
  const known = plain[path]
  if (known !== undefined) return known
  const segments = path.split('/').slice(1)
  const [name, namespace, pod, third, fourth] = segments.map((segment) => decodeName(segment))
  if (namespace === undefined || pod === undefined) return { name: 'unknown' }
  if (name === 'portForward' && segments.length <= 4) {
    return segments.length === 4 && third === undefined ? { name: 'unknown' } : { name, namespace, pod, uid: third ?? '' }
  }
  if (name !== undefined && isContainerRoute(segments[0]) && third !== undefined) {
    if (segments.length === 4) return { name: segments[0], namespace, pod, uid: '', container: third }
    if (segments.length === 5 && fourth !== undefined && segments[0] !== 'containerLogs') {
      return { name: segments[0], namespace, pod, uid: third, container: fourth }
    }
  }
  return { name: 'unknown' }
}

function isContainerRoute(name: string | undefined): name is 'containerLogs' | 'exec' | 'attach' | 'run' {
  return name === 'containerLogs' || name === 'exec' || name === 'attach' || name === 'run'
}

/** A name as Kubernetes allows it; the routes' own names pass too. Encoded slashes and dots do not. */
function decodeName(segment: string): string | undefined {
  const plainRoute = isContainerRoute(segment) || segment === 'portForward'
  return plainRoute || (segment.length <= nameCharsMax && namePattern.test(segment)) ? segment : undefined
}

const verbs: Readonly<Record<string, string>> = { GET: 'get', HEAD: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

/** What asking for a path is, in terms of `nodes/<subresource>`. */
export function actionOf(method: string, path: string, route: Route): Action {
  const verb = verbs[method] ?? ''
  // What runs a program or opens a connection is that action, whichever method its handshake uses.
  if (route.name === 'exec' || route.name === 'attach' || route.name === 'run' || route.name === 'portForward') {
    return { verb: 'create', subresources: ['proxy'] }
  }
  if (under(path, '/stats')) return { verb, subresources: ['stats'] }
  if (under(path, '/metrics')) return { verb, subresources: ['metrics'] }
  if (under(path, '/logs')) return { verb, subresources: ['log'] }
  if (under(path, '/checkpoint')) return { verb, subresources: ['checkpoint'] }
  if (under(path, '/healthz')) return { verb, subresources: ['healthz', 'proxy'] }
  if (under(path, '/configz')) return { verb, subresources: ['configz', 'proxy'] }
  if (under(path, '/pods') || under(path, '/runningpods')) return { verb, subresources: ['pods', 'proxy'] }
  return { verb, subresources: ['proxy'] }
}

function under(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`)
}
