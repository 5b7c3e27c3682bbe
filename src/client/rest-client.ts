// The Client over a Transport: paths, bodies, answers. No caching, no retries: a transport may ask again (retry.ts), and callers decide
// what a failure means.
import { fromStatus, internalError, serviceUnavailable } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeList, KubeObject, Manifest, ObjectKey } from '#api/object'
import { stringifyJson } from '#api/schema/stringify'
import type { Client, DeleteOptions, ListOptions, PatchType, WatchEvent, WriteOptions } from './client.ts'
import { jsonLines, readAll } from './read-body.ts'
import type { Transport, TransportRequest } from './transport.ts'

export interface ClientOptions {
  readonly transport: Transport
  /** Sent as User-Agent; its first part also names the field manager unless a call says otherwise. */
  readonly userAgent: string
}

const patchTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}

const utf8 = new TextEncoder()

// What JavaScript makes of the greatest whole number of 64 bits, by which objects say that something has no end: no server takes it.
const roundedUp = '9223372036854776000'

function bodyText(body: unknown): string {
  const text = JSON.stringify(body)
  if (!text.includes(roundedUp)) return text
  return stringifyJson(JSON.parse(text, (_name, value: unknown) => (value === 2 ** 63 ? 2n ** 63n - 1n : value)))
}

/** A typed client. It holds no state but the transport, which stays the caller's to close. */
export function createClient({ transport, userAgent }: ClientOptions): Client {
  const baseHeaders = { accept: 'application/json', 'user-agent': userAgent }
  const defaultManager = userAgent.split(/[/ ]/)[0] ?? userAgent

  async function call(
    method: TransportRequest['method'],
    path: string,
    body: unknown,
    options: { signal?: AbortSignal | undefined; contentType?: string; metadataOnly?: boolean } = {},
  ): Promise<unknown> {
    const headers: Record<string, string> = { ...baseHeaders }
    if (options.metadataOnly) headers['accept'] = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
    const request: { -readonly [Name in keyof TransportRequest]: TransportRequest[Name] } = { method, path, headers }
    if (body !== undefined) {
      headers['content-type'] = options.contentType ?? 'application/json'
      request.body = utf8.encode(bodyText(body))
    }
    if (options.signal !== undefined) request.signal = options.signal
    const response = await transport.send(request)
    const bytes = await readAll(response.body)
    return parseAnswer(response.status, bytes)
  }

  function writePath(
    kind: Kind,
    key: { namespace?: string | undefined; name?: string | undefined },
    options: WriteOptions & { force?: boolean },
  ): string {
    const query = new URLSearchParams()
    query.set('fieldManager', options.fieldManager ?? defaultManager)
    if (options.dryRun) query.set('dryRun', 'All')
    if (options.force) query.set('force', 'true')
    return `${resourcePath(kind, key.namespace, key.name, options.subresource)}?${query}`
  }

  return {
    transport,
    async get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: { signal?: AbortSignal; subresource?: string } = {}) {
      return (await call('GET', resourcePath(kind, key.namespace, key.name, options.subresource), undefined, options)) as T
    },
    async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}) {
      const path = `${resourcePath(kind, options.namespace)}${listQuery(options, {})}`
      const list = (await call('GET', path, undefined, options)) as KubeList<T>
      list.items ??= []
      for (const item of list.items) {
        item.apiVersion = kind.apiVersion
        item.kind = kind.kind
      }
      return list
    },
    watch: (kind, options) => watchStream(transport, baseHeaders, kind, options),
    async create<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options: WriteOptions = {}) {
      const { metadata } = object as KubeObject
      const path = writePath(kind, { namespace: metadata?.namespace, name: options.subresource ? metadata.name : undefined }, options)
      return (await call('POST', path, withType(kind, object), options)) as T
    },
    async update<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options: WriteOptions = {}) {
      const { metadata } = object as KubeObject
      return (await call('PUT', writePath(kind, metadata, options), withType(kind, object), options)) as T
    },
    async updateStatus<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>, options: WriteOptions = {}) {
      const { metadata } = object as KubeObject
      const path = writePath(kind, metadata, { ...options, subresource: 'status' })
      return (await call('PUT', path, withType(kind, object), options)) as T
    },
    async patch<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, type: PatchType, patch: unknown, options: WriteOptions = {}) {
      return (await call('PATCH', writePath(kind, key, options), patch, { signal: options.signal, contentType: patchTypes[type] })) as T
    },
    async apply<T extends KubeObject>(
      kind: Kind<T>,
      object: Manifest<T>,
      options: WriteOptions & { fieldManager: string; force?: boolean },
    ) {
      const { metadata } = object as KubeObject
      const contentType = 'application/apply-patch+yaml'
      return (await call('PATCH', writePath(kind, metadata, options), withType(kind, object), { signal: options.signal, contentType })) as T
    },
    async delete<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: DeleteOptions = {}) {
      await call('DELETE', resourcePath(kind, key.namespace, key.name), deleteBody(options), options)
    },
    async deleteCollection<T extends KubeObject>(kind: Kind<T>, options: ListOptions & DeleteOptions) {
      await call('DELETE', `${resourcePath(kind, options.namespace)}${listQuery(options, {})}`, deleteBody(options), options)
    },
    createSubresource: (kind, key, subresource, body, options = {}) =>
      call('POST', resourcePath(kind, key.namespace, key.name, subresource), body, options),
    raw: (method, path, body, options = {}) => call(method, path, body, options),
  }
}

/** `/apis/apps/v1/namespaces/x/deployments/y/status`, parts left out as they are empty. */
export function resourcePath(kind: Kind, namespace?: string, name?: string, subresource?: string): string {
  let path = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  if (kind.namespaced && namespace) path += `/namespaces/${encodeURIComponent(namespace)}`
  path += `/${kind.resource}`
  if (name) path += `/${encodeURIComponent(name)}`
  if (subresource) path += `/${subresource}`
  return path
}

function withType(kind: Kind, object: unknown): unknown {
  const typed = object as Partial<KubeObject>
  if (typed.apiVersion !== undefined && typed.kind !== undefined) return object
  return { apiVersion: kind.apiVersion, kind: kind.kind, ...typed }
}

function deleteBody(options: DeleteOptions): unknown {
  const body: Record<string, unknown> = { apiVersion: 'v1', kind: 'DeleteOptions' }
  if (options.gracePeriodSeconds !== undefined) body['gracePeriodSeconds'] = options.gracePeriodSeconds
  if (options.propagationPolicy !== undefined) body['propagationPolicy'] = options.propagationPolicy
  if (options.preconditions !== undefined) body['preconditions'] = options.preconditions
  return body
}

function listQuery(options: ListOptions, more: Record<string, string>): string {
  const query = new URLSearchParams(more)
  if (options.labelSelector) query.set('labelSelector', options.labelSelector)
  if (options.fieldSelector) query.set('fieldSelector', options.fieldSelector)
  if (options.limit !== undefined) query.set('limit', String(options.limit))
  if (options.continue) query.set('continue', options.continue)
  if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion)
  if (options.resourceVersionMatch) query.set('resourceVersionMatch', options.resourceVersionMatch)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function parseAnswer(status: number, bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes)
  let value: unknown
  try {
    value = text === '' ? undefined : JSON.parse(text)
  } catch {
    value = text
  }
  if (status < 400) return value
  const error = fromStatus(value)
  if (error !== undefined) throw error
  // In the words of Kubernetes' own client: aggregated servers that are away are answered for in plain text.
  if (status === 503) throw serviceUnavailable('the server is currently unable to handle the request')
  throw internalError(`the server answered ${status}: ${text.slice(0, 512)}`)
}

async function* watchStream<T extends KubeObject>(
  transport: Transport,
  headers: Record<string, string>,
  kind: Kind<T>,
  options: Omit<ListOptions, 'limit' | 'continue'> & { sendInitialEvents?: boolean; timeoutSeconds?: number },
): AsyncGenerator<WatchEvent<T>> {
  const more: Record<string, string> = { watch: 'true', allowWatchBookmarks: 'true' }
  if (options.timeoutSeconds !== undefined) more['timeoutSeconds'] = String(options.timeoutSeconds)
  if (options.sendInitialEvents) {
    more['sendInitialEvents'] = 'true'
    more['resourceVersionMatch'] = 'NotOlderThan'
  }
  const path = `${resourcePath(kind, options.namespace)}${listQuery(options, more)}`
  if (options.metadataOnly)
    headers = { ...headers, accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json' }
  const response = await transport.send({ method: 'GET', path, headers, ...(options.signal ? { signal: options.signal } : {}) })
  if (response.status >= 400) parseAnswer(response.status, await readAll(response.body))
  for await (const line of jsonLines(response.body)) {
    const event = line as { type: string; object: T }
    if (event.type === 'ERROR') throw fromStatus(event.object) ?? internalError('the watch ended with an unknown error')
    if (event.type === 'BOOKMARK') {
      const { resourceVersion, annotations } = event.object.metadata
      yield { type: 'BOOKMARK', resourceVersion, initialEventsEnd: annotations?.['k8s.io/initial-events-end'] === 'true' }
    } else {
      event.object.apiVersion = kind.apiVersion
      event.object.kind = kind.kind
      yield { type: event.type as 'ADDED' | 'MODIFIED' | 'DELETED', object: event.object }
    }
  }
}
