// What a path and a method ask for, exactly as Kubernetes reads them (apiserver's RequestInfo): resource requests below /api/<version>
// and /apis/<group>/<version>, all else by path. Names are checked here, before anything becomes a key, a path or a rule.
import { badRequest, pathNotFound } from '#api/errors'
import { goQuote } from '#api/validation/text'
import type { RequestInfo, Stage } from '../request.ts'

const verbsByMethod: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

// Subresources of a namespace itself; every other third part below /namespaces/x is a resource in it.
const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize'])

export const readRequestInfo: Stage = {
  name: 'readRequestInfo',
  run(request, next) {
    const { facts } = request
    let info = facts?.info
    if (info === undefined) {
      info = parseRequestInfo(request.method, request.rawPath, request.query)
      if (facts !== undefined) facts.info = info
    }
    request.info = info
    return next(request)
  },
}

/**
 * Reads a request. Segments are decoded one by one, so an encoded slash never becomes a separator. Throws BadRequest for names
 * that could reach elsewhere, NotFound for a resource path with empty parts.
 */
export function parseRequestInfo(method: string, rawPath: string, query: URLSearchParams): RequestInfo {
  const segments = segmentsOf(rawPath)
  const prefix = segments[0]
  const grouped = prefix === 'apis'
  if ((prefix !== 'api' && !grouped) || segments.length < (grouped ? 4 : 3)) return pathInfo(method)

  let at = grouped ? 3 : 2
  let verb = verbsByMethod[method] ?? ''
  const legacyWatch = segments[at] === 'watch'
  if (legacyWatch) {
    at++
    verb = 'watch'
    if (segments.length <= at) throw badRequest(`unable to determine kind and namespace from url, ${rawPath}`)
  }

  let namespace = ''
  let namespaceAt = -1
  if (segments[at] === 'namespaces' && segments.length > at + 1) {
    namespaceAt = at + 1
    namespace = segments[namespaceAt]!
    if (segments.length > at + 2 && !namespaceSubresources.has(segments[at + 2]!)) at += 2
  }
  const resource = segments[at] ?? ''
  let name = segments[at + 1] ?? ''
  const subresource = segments[at + 2] ?? ''
  for (let i = 1; i < segments.length && i <= at + 2; i++) {
    if (segments[i] === '') throw pathNotFound()
    checkSegment(segments[i]!, i === namespaceAt || i === at + 1)
  }

  if (name === '' && verb === 'get') {
    verb = asksToWatch(query) ? 'watch' : 'list'
    name = selectedName(query)
  } else if (name === '' && verb === 'delete') verb = 'deletecollection'
  else if (legacyWatch && name === '') name = selectedName(query)

  const group = grouped ? segments[1]! : ''
  const version = segments[grouped ? 2 : 1]!
  return {
    isResource: true,
    verb,
    apiPrefix: grouped ? 'apis' : 'api',
    group,
    version,
    namespace,
    resource,
    subresource,
    name,
    rest: subresource === '' ? '' : restOf(rawPath, at + 3),
    action: actionOf(verb, group, version, resource, subresource),
  }
}

/** The key of all requests of one form. A part with a bar in it (nothing that exists has one) makes a key that no real one equals. */
export function actionOf(verb: string, group: string, version: string, resource: string, subresource: string): string {
  return `${verb}|${group}|${version}|${resource}|${subresource}`
}

function pathInfo(method: string): RequestInfo {
  const none = {
    apiPrefix: '',
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: '',
    action: '',
  } as const
  return { isResource: false, verb: method.toLowerCase(), ...none }
}

function segmentsOf(rawPath: string): string[] {
  let start = 0
  let end = rawPath.length
  while (start < end && rawPath.charCodeAt(start) === 47) start++
  while (end > start && rawPath.charCodeAt(end - 1) === 47) end--
  if (start === end) return []
  const segments = rawPath.slice(start, end).split('/')
  // The request's own decoding has already shown that the encoding is valid.
  if (rawPath.includes('%')) for (let i = 0; i < segments.length; i++) segments[i] = decodeURIComponent(segments[i]!)
  return segments
}

// apimachinery's IsValidPathSegmentName.
function checkSegment(segment: string, isName: boolean): void {
  const what =
    segment === '.' || segment === '..'
      ? `may not be '${segment}'`
      : segment.includes('/')
        ? "may not contain '/'"
        : segment.includes('%')
          ? "may not contain '%'"
          : undefined
  if (what === undefined) return
  throw badRequest(isName ? `Name parameter invalid: ${goQuote(segment)}: ${what}` : `the path of the request is invalid: ${what}`)
}

// Go's conversion of a query value to bool: anything but "false" and "0" is true, the empty string too.
function asksToWatch(query: URLSearchParams): boolean {
  if (query.size === 0) return false
  const value = query.get('watch')
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}

// A list or watch that is limited to one name counts as access to that name.
function selectedName(query: URLSearchParams): string {
  if (query.size === 0) return ''
  const selector = query.get('fieldSelector')
  if (selector === null) return ''
  // Sorted, as the parser of selectors leaves them: of two names the same one counts.
  for (const term of selector.split(',').sort()) {
    const match = /^metadata\.name==?([^=!\\]+)$/.exec(term)
    const name = match?.[1] ?? ''
    if (name !== '' && name !== '.' && name !== '..' && !/[/%]/.test(name)) return name
  }
  return ''
}

// The raw path after its first `count` segments, with the leading slash.
function restOf(rawPath: string, count: number): string {
  let at = 0
  while (rawPath.charCodeAt(at) === 47) at++
  for (let i = 0; i < count; i++) {
    at = rawPath.indexOf('/', at)
    if (at < 0) return ''
    if (i < count - 1) at++
  }
  return rawPath.slice(at)
}

const longRunningSubresources: ReadonlySet<string> = new Set(['attach', 'exec', 'proxy', 'log', 'portforward'])

/** Requests that last as long as the client wants them to: no deadline, no place among the requests in flight. */
export function isLongRunning(info: RequestInfo): boolean {
  return info.isResource && (info.verb === 'watch' || (info.subresource !== '' && longRunningSubresources.has(info.subresource)))
}
