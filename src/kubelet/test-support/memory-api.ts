// A small API in memory for the agent's tests: objects, versions, watches, status patches, graceful deletion of pods. It knows
// no defaults, no validation and no users; the real API server has tests of its own.
import { alreadyExists, conflict, notFound } from '#api/errors'
import type { Kind } from '#api/kind'
import { type KubeObject, keyText, type ObjectKey } from '#api/object'
import type { Client, WatchEvent } from '#client/client'
import { TransportError } from '#client/transport'

interface Change {
  readonly version: number
  readonly resource: string
  readonly event: WatchEvent<KubeObject>
}

export interface MemoryApi {
  readonly client: Client
  /** Creates or replaces, as another client would. */
  put<T extends KubeObject>(kind: Kind<T>, object: T): T
  get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): T | undefined
  list<T extends KubeObject>(kind: Kind<T>): T[]
  /** As `kubectl delete` does: pods get a grace period, unless it is 0. */
  remove(kind: Kind, namespace: string, name: string, graceSeconds?: number): void
  /** Answers creates of a kind that is not stored: reviews. */
  answer<T extends KubeObject>(kind: Kind<T>, reply: (object: T) => T): void
  /** What was asked, e.g. `patch pods default/web status`. */
  readonly calls: string[]
  /** While true every call fails as if the server were not there. */
  away: boolean
}

export function createMemoryApi(now: () => number): MemoryApi {
  const stores = new Map<string, Map<string, KubeObject>>()
  const changes: Change[] = []
  const listeners = new Set<() => void>()
  const calls: string[] = []
  const replies = new Map<string, (object: KubeObject) => KubeObject>()
  let version = 0
  let uids = 0
  const self = { away: false }

  const storeOf = (kind: Kind): Map<string, KubeObject> => {
    const store = stores.get(kind.id) ?? new Map<string, KubeObject>()
    stores.set(kind.id, store)
    return store
  }
  const tell = (kind: Kind, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void => {
    changes.push({ version, resource: kind.id, event: { type, object } })
    for (const listener of listeners) listener()
  }
  const write = (kind: Kind, object: KubeObject): KubeObject => {
    const { metadata } = object
    const key = keyText(metadata.namespace, metadata.name)
    const store = storeOf(kind)
    const old = store.get(key)
    const stored = structuredClone(object)
    stored.metadata = {
      ...stored.metadata,
      uid: old?.metadata.uid ?? (metadata.uid || `uid-${++uids}`),
      resourceVersion: String(++version),
      creationTimestamp: old?.metadata.creationTimestamp ?? metadata.creationTimestamp ?? new Date(now()).toISOString(),
    }
    store.set(key, stored)
    tell(kind, old === undefined ? 'ADDED' : 'MODIFIED', stored)
    return structuredClone(stored)
  }
  const drop = (kind: Kind, key: string): void => {
    const object = storeOf(kind).get(key)
    if (object === undefined) return
    storeOf(kind).delete(key)
    version++
    tell(kind, 'DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } })
  }
  const call = (verb: string, kind: Kind, key: ObjectKey | undefined, more = ''): void => {
    if (self.away) throw new TransportError('unreachable', 'connect ECONNREFUSED')
    calls.push([verb, kind.resource, key === undefined ? '' : keyText(key.namespace, key.name), more].filter((p) => p !== '').join(' '))
  }
  const find = (kind: Kind, key: ObjectKey): KubeObject => {
    const object = storeOf(kind).get(keyText(key.namespace, key.name))
    if (object === undefined) throw notFound(kind, key.name)
    return object
  }
  const remove = (kind: Kind, key: ObjectKey, graceSeconds: number | undefined): void => {
    const object = find(kind, key)
    const grace =
      graceSeconds ??
      (kind.resource === 'pods'
        ? ((object as { spec?: { terminationGracePeriodSeconds?: number } }).spec?.terminationGracePeriodSeconds ?? 30)
        : 0)
    if (kind.resource !== 'pods' || grace === 0) return drop(kind, keyText(key.namespace, key.name))
    const metadata = {
      ...object.metadata,
      deletionTimestamp: new Date(now() + grace * 1000).toISOString(),
      deletionGracePeriodSeconds: grace,
    }
    write(kind, { ...object, metadata })
  }
  const selected = (kind: Kind, options: { namespace?: string; fieldSelector?: string }) => (object: KubeObject) => {
    if (options.namespace && object.metadata.namespace !== options.namespace) return false
    const [field, value] = options.fieldSelector?.split('=') ?? []
    if (field === 'metadata.name') return object.metadata.name === value
    if (field === 'spec.nodeName') return (object as { spec?: { nodeName?: string } }).spec?.nodeName === value
    return kind !== undefined
  }

  async function* watch(
    kind: Kind,
    options: { namespace?: string; fieldSelector?: string; resourceVersion?: string; signal?: AbortSignal },
  ) {
    const wanted = selected(kind, options)
    let seen = Number(options.resourceVersion ?? version)
    while (!options.signal?.aborted) {
      if (self.away) throw new TransportError('broken', 'connection reset')
      const fresh = changes.filter((c) => c.version > seen && c.resource === kind.id)
      seen = version
      for (const { event } of fresh) if (event.type !== 'BOOKMARK' && wanted(event.object)) yield structuredClone(event)
      if (fresh.length > 0) continue
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          listeners.delete(wake)
          options.signal?.removeEventListener('abort', wake)
          resolve()
        }
        listeners.add(wake)
        options.signal?.addEventListener('abort', wake, { once: true })
      })
    }
  }

  const client = {
    transport: { send: () => Promise.reject(new Error('no transport')), close: async () => undefined },
    async get(kind: Kind, key: ObjectKey) {
      call('get', kind, key)
      return structuredClone(find(kind, key))
    },
    async list(kind: Kind, options = {}) {
      call('list', kind, undefined)
      const items = [...storeOf(kind).values()].filter(selected(kind, options)).map((o) => structuredClone(o))
      return { apiVersion: kind.apiVersion, kind: kind.listKind, metadata: { resourceVersion: String(version) }, items }
    },
    watch,
    async create(kind: Kind, object: KubeObject) {
      const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
      call('create', kind, key)
      const reply = replies.get(kind.id)
      if (reply !== undefined) return reply(object)
      if (storeOf(kind).has(keyText(key.namespace, key.name))) throw alreadyExists(kind, key.name)
      return write(kind, object)
    },
    async update(kind: Kind, object: KubeObject) {
      const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
      call('update', kind, key)
      find(kind, key)
      return write(kind, object)
    },
    async patch(kind: Kind, key: ObjectKey, _type: string, patch: unknown, options: { subresource?: string } = {}) {
      call('patch', kind, key, options.subresource ?? '')
      const object = find(kind, key)
      const uid = (patch as { metadata?: { uid?: string } }).metadata?.uid
      if (uid !== undefined && uid !== object.metadata.uid) throw conflict(kind, key.name, 'Precondition failed: UID in precondition')
      return write(kind, merge(object, patch) as KubeObject)
    },
    async delete(kind: Kind, key: ObjectKey, options: { gracePeriodSeconds?: number; preconditions?: { uid?: string } } = {}) {
      call('delete', kind, key)
      const { uid } = options.preconditions ?? {}
      if (uid !== undefined && find(kind, key).metadata.uid !== uid)
        throw conflict(kind, key.name, 'Precondition failed: UID in precondition')
      remove(kind, key, options.gracePeriodSeconds)
    },
    async createSubresource(kind: Kind, key: ObjectKey, subresource: string) {
      call('create', kind, key, subresource)
      const expirationTimestamp = new Date(now() + 3_600_000).toISOString()
      return { status: { token: `token-${++uids}`, expirationTimestamp } }
    },
  } as unknown as Client

  return Object.assign(self, {
    client,
    calls,
    answer: <T extends KubeObject>(kind: Kind<T>, reply: (object: T) => T) => void replies.set(kind.id, reply as never),
    put: <T extends KubeObject>(kind: Kind<T>, object: T) => write(kind, object) as T,
    get: <T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) =>
      storeOf(kind).get(keyText(namespace, name)) as T | undefined,
    list: <T extends KubeObject>(kind: Kind<T>) => [...storeOf(kind).values()] as T[],
    remove: (kind: Kind, namespace: string, name: string, graceSeconds?: number) => remove(kind, { namespace, name }, graceSeconds),
  })
}

/** Strategic merge as far as statuses need it: lists by `type`, `$patch: replace`, null deletes. */
function merge(base: unknown, patch: unknown, field = ''): unknown {
  if (Array.isArray(patch)) {
    if (patch.some((item) => item?.$patch === 'replace')) return patch.filter((item) => item?.$patch === undefined)
    if (field !== 'conditions' || !Array.isArray(base)) return patch
    const result = [...(base as { type: string }[])]
    for (const item of patch as { type: string }[]) {
      const at = result.findIndex((b) => b.type === item.type)
      if (at < 0) result.push(item)
      else result[at] = item
    }
    return result
  }
  if (typeof patch !== 'object' || patch === null) return patch
  const result: Record<string, unknown> = {
    ...(typeof base === 'object' && base !== null && !Array.isArray(base) ? (base as Record<string, unknown>) : {}),
  }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = merge(result[name], value, name)
  }
  return result
}
