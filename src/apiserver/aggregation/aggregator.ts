// Aggregated API servers (KEP-263): versions of groups that an APIService says another server has. Requests for them are passed on with
// the user's name, once this server has authenticated and authorized them; discovery and OpenAPI show them beside our own.
import { isDeepStrictEqual } from 'node:util'
import { isApiError } from '#api/errors'
import type { APIVersionDiscovery } from '#api/generated/apidiscovery-v2'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { Json } from '#api/openapi/definitions'
import type { Client } from '#client/client'
import type { MetricsRegistry } from '#platform/metrics'
import type { ApiReply, ApiRequest, LocalReader } from '../request.ts'
import { runWhenChanged } from '../run-when-changed.ts'
import { proxyRequest } from '../streaming/proxy-request.ts'
import { checkAvailability, isAvailable, slicesOf, writeAvailability } from './availability.ts'
import { type RemoteDeps, remoteAddress, remoteTls, serverNameOf, userHeaders } from './remote.ts'
import { openApiV2PathsOf, type RemoteOpenApiV2, readOpenApiAddress, readOpenApiV2, readVersion } from './remote-documents.ts'

/** A version of a group that another server has. */
export interface RemoteVersion {
  readonly group: string
  readonly groupPriorityMinimum: number
  readonly versionPriority: number
  /** Without resources until its server has told them; stale when it told them before and does not answer now. */
  readonly discovery: APIVersionDiscovery
  /** Path of its OpenAPI v3 document, if it has one. */
  readonly openApi?: string
  /** Its OpenAPI v2 document, if it has one. */
  readonly openApiV2?: RemoteOpenApi
}

/** The part of another server's OpenAPI v2 document that is about the version. */
export interface RemoteOpenApi {
  /** Another for each state of the document. */
  readonly etag: string
  /** Reads it anew: it is kept compressed. Rejects when it is no document. */
  read(): Promise<Json>
}

/** What discovery and OpenAPI show of other servers. */
export interface RemoteVersions {
  all(): readonly RemoteVersion[]
  onChange(changed: () => void): () => void
}

export interface Aggregator extends RemoteVersions {
  /** The other server's reply, when the request is for one of its versions. */
  answer(request: ApiRequest): Promise<ApiReply> | undefined
  /** Looks after conditions, discovery and OpenAPI of the other servers until the signal aborts. */
  run(options: { client: Client; onError: (error: unknown) => void; signal: AbortSignal }): Promise<void>
}

interface Remote {
  apiService: APIService
  /** What was known of the cluster when it was last checked, as text. */
  checkedFor?: string
  checkedAtMs: number
  readAtMs: number
  discovery?: APIVersionDiscovery
  openApi?: string
  openApiV2?: RemoteOpenApiV2
}

// Nothing tells when another server stops to answer.
const recheckMs = 30_000
const rereadMs = 60_000
const never = Number.NEGATIVE_INFINITY

export interface AggregatorDeps extends RemoteDeps {
  /** Where it is counted which APIServices are unavailable; absent: nowhere. */
  readonly metrics?: MetricsRegistry
}

export function createAggregator(deps: AggregatorDeps): Aggregator {
  const { reader, clock } = deps
  const countUnavailable = deps.metrics === undefined ? undefined : registerAvailability(deps.metrics, reader)
  const remotes = new Map<string, Remote>()
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of listeners) listener()
  }

  const refresh = (): void => {
    const seen = new Set<string>()
    for (const apiService of reader.list(APIService)) {
      const { group, version, service } = apiService.spec
      if (service === undefined || !group) continue
      const key = `${group}/${version}`
      seen.add(key)
      const known = remotes.get(key)
      if (known?.apiService === apiService) continue
      if (known !== undefined && isDeepStrictEqual(known.apiService.spec, apiService.spec)) {
        known.apiService = apiService
        continue
      }
      remotes.set(key, { apiService, checkedAtMs: never, readAtMs: never })
      tell()
    }
    for (const key of [...remotes.keys()].filter((known) => !seen.has(known))) {
      remotes.delete(key)
      tell()
    }
  }

  async function check(key: string, remote: Remote, client: Client): Promise<void> {
    const { spec } = remote.apiService
    const { namespace = '', name = '' } = spec.service ?? {}
    const service = reader.get(Service, namespace, name)
    const versions = slicesOf(reader, namespace, name).map(({ metadata }) => metadata.resourceVersion)
    const state = JSON.stringify([spec, service?.spec, versions])
    const due = remote.checkedAtMs + recheckMs <= clock.monotonic()
    if (!due && state === remote.checkedFor) return
    remote.checkedFor = state
    remote.checkedAtMs = clock.monotonic()
    const found = await checkAvailability(deps, remote.apiService)
    if (found.status === 'False' && isAvailable(remote.apiService)) countUnavailable?.(remote.apiService.metadata.name, found.reason)
    await writeAvailability(client, remote.apiService, found, clock.now()).catch((error) => {
      // It is looked at again with the change that was faster.
      if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error
    })
    await read(key, remote, found.status === 'True')
  }

  async function read(key: string, remote: Remote, answers: boolean): Promise<void> {
    const shown = (): unknown[] => [remote.discovery, remote.openApi, remote.openApiV2?.etag]
    const before = shown()
    const isFresh = remote.discovery?.freshness === 'Current' && remote.readAtMs + rereadMs > clock.monotonic()
    if (answers && !isFresh) {
      remote.readAtMs = clock.monotonic()
      try {
        remote.discovery = await readVersion(deps, remote.apiService)
        const openApi = await readOpenApiAddress(deps, remote.apiService).catch(() => undefined)
        if (openApi === undefined) delete remote.openApi
        else remote.openApi = openApi
        // What was read before is shown while it cannot be read, as Kubernetes does.
        const openApiV2 = await readOpenApiV2(deps, remote.apiService, remote.openApiV2).catch(() => remote.openApiV2)
        if (openApiV2 === undefined) delete remote.openApiV2
        else remote.openApiV2 = openApiV2
      } catch {
        answers = false
      }
    }
    if (!answers && remote.discovery !== undefined) remote.discovery = { ...remote.discovery, freshness: 'Stale' }
    if (remotes.get(key) === remote && !isDeepStrictEqual(before, shown())) tell()
  }

  return {
    all: () =>
      [...remotes.values()].map(({ apiService, apiService: { spec }, discovery, openApi, openApiV2 }) => ({
        group: spec.group ?? '',
        groupPriorityMinimum: spec.groupPriorityMinimum,
        versionPriority: spec.versionPriority,
        discovery: discovery ?? { version: spec.version ?? '', freshness: 'Stale' },
        ...(openApi === undefined ? {} : { openApi }),
        ...(openApiV2 === undefined ? {} : { openApiV2: { etag: openApiV2.etag, read: () => openApiV2PathsOf(openApiV2, apiService) } }),
      })),
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    answer(request) {
      if (remotes.size === 0) return undefined
      const remote = remotes.get(groupVersionOf(request.path))
      if (remote === undefined) return undefined
      // A document that is made of its version 2 is ours.
      if (request.path.startsWith('/openapi/') && remote.openApi === undefined && remote.openApiV2 !== undefined) return undefined
      // Its condition may be newer than what the last round saw.
      return passOn(deps, request, reader.get(APIService, '', remote.apiService.metadata.name) ?? remote.apiService)
    },
    async run({ client, onError, signal }) {
      refresh()
      await runWhenChanged({
        clock,
        subscribe: (changed) => [APIService, Service, EndpointSlice].map((kind) => reader.onChange(kind, changed)),
        async round() {
          refresh()
          await Promise.all([...remotes].map(([key, remote]) => check(key, remote, client)))
          return remotes.size === 0 ? undefined : recheckMs
        },
        onError,
        signal,
      })
    },
  }
}

// Which are unavailable is read when somebody asks; what is returned counts one that becomes so.
function registerAvailability(metrics: MetricsRegistry, reader: LocalReader): (name: string, reason: string) => void {
  metrics.gaugeFrom(
    {
      name: 'aggregator_unavailable_apiservice',
      help: 'Gauge of APIServices which are marked as unavailable broken down by APIService name.',
      labels: ['name'],
    },
    () => reader.list(APIService).map((apiService) => [[apiService.metadata.name], isAvailable(apiService) ? 0 : 1] as const),
  )
  const total = metrics.counter({
    name: 'aggregator_unavailable_apiservice_total',
    help: 'Counter of APIServices which are marked as unavailable broken down by APIService name and reason.',
    labels: ['name', 'reason'],
    seriesMax: 500,
  })
  return (name, reason) => total.inc([name, reason])
}

/** `group/version` of `/apis/<group>/<version>/…` and of its OpenAPI document; empty for other paths. */
function groupVersionOf(path: string): string {
  const below = path.startsWith('/openapi/v3/apis/') ? path.slice('/openapi/v3'.length) : path
  if (!below.startsWith('/apis/')) return ''
  const [, , group = '', version = ''] = below.split('/', 4)
  return `${group}/${version}`
}

async function passOn(deps: RemoteDeps, request: ApiRequest, apiService: APIService): Promise<ApiReply> {
  if (!isAvailable(apiService)) return textReply('service unavailable')
  let address: ReturnType<typeof remoteAddress>
  try {
    address = remoteAddress(deps, apiService)
  } catch {
    return textReply('service unavailable')
  }
  try {
    return await proxyRequest(deps, request, {
      scheme: 'https',
      ...address,
      path: request.rawPath + (request.rawQuery === '' ? '' : `?${request.rawQuery}`),
      tls: remoteTls(deps, apiService),
      what: 'service',
      hostHeader: serverNameOf(apiService),
      headers: userHeaders(request.user),
      redirects: 'refuse',
    })
  } catch (error) {
    if (isApiError(error, 'ServiceUnavailable')) return textReply(error.message)
    throw error
  }
}

// Compat: kube-apiserver answers in plain text here, and kubectl makes "the server is currently unable to handle the request" of it.
function textReply(message: string): ApiReply {
  return {
    status: 503,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: Buffer.from(`${message}\n`),
  }
}
