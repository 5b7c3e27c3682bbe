// Keeps an Informer's copy true: one list, then a watch that resumes where it broke off. Only when the server has
// forgotten that far back is the collection listed again, and the difference told as events (client-go's reflector, in idea).
import { type ApiError, isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { type KeyText, type KubeObject, keyOf } from '#api/object'
import { Backoff } from '#base/backoff'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client, WatchEvent } from './client.ts'
import type { Informer, InformerEvent, InformerOptions } from './informer.ts'

export interface ReflectorDeps {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  /** Told of every failed list or watch; for logs. */
  readonly onError?: (kind: Kind, error: unknown) => void
}

// The server ends watches after this; spread so that not all come back at once.
const watchSecondsMin = 300
const emptyList: readonly never[] = []

/** Starts an informer. It runs until the signal aborts. Objects in it are frozen. */
export function startInformer<T extends KubeObject>(
  kind: Kind<T>,
  deps: ReflectorDeps,
  options: InformerOptions<T> = {},
): Informer<T> & { readonly ended: Promise<void> } {
  const copy = new Copy<T>(kind, options)
  const ended = reflect(kind, copy, deps, options)
  return Object.assign(copy, { ended })
}

/** The informer of a kind that is not served: there is nothing, and nobody is asked. */
export function absentInformer<T extends KubeObject>(
  kind: Kind<T>,
  options: InformerOptions<T> = {},
): Informer<T> & { readonly ended: Promise<void> } {
  const copy = new Copy<T>(kind, options)
  copy.replace([], '0')
  return Object.assign(copy, { ended: Promise.resolve() })
}

/** The copy and its indices. */
class Copy<T extends KubeObject> implements Informer<T> {
  readonly kind: Kind<T>
  readonly #objects = new Map<KeyText, T>()
  readonly #byNamespace = new Map<string, Map<KeyText, T>>()
  readonly #indices: { name: string; valuesOf: (object: T) => readonly string[]; entries: Map<string, Map<KeyText, T>> }[]
  readonly #subscribers = new Set<(event: InformerEvent<T>) => void>()
  readonly #syncWaiters: (() => void)[] = []
  #synced = false
  #resourceVersion = ''

  constructor(kind: Kind<T>, options: InformerOptions<T>) {
    this.kind = kind
    this.#indices = Object.entries(options.indices ?? {}).map(([name, valuesOf]) => ({ name, valuesOf, entries: new Map() }))
  }

  get synced(): boolean {
    return this.#synced
  }

  get resourceVersion(): string {
    return this.#resourceVersion
  }

  untilSynced(signal?: AbortSignal): Promise<void> {
    if (this.#synced) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(signal?.reason)
      if (signal?.aborted) return stop()
      signal?.addEventListener('abort', stop, { once: true })
      this.#syncWaiters.push(() => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
    })
  }

  get(key: KeyText): T | undefined {
    return this.#objects.get(key)
  }

  list(namespace?: string): readonly T[] {
    if (!namespace) return [...this.#objects.values()]
    const own = this.#byNamespace.get(namespace)
    return own === undefined ? emptyList : [...own.values()]
  }

  byIndex(index: string, value: string): readonly T[] {
    const found = this.#indices.find(({ name }) => name === index)
    if (found === undefined) throw new Error(`assertion failed: informer of ${this.kind.id} has no index ${index}`)
    const entries = found.entries.get(value)
    return entries === undefined ? emptyList : [...entries.values()]
  }

  subscribe(onEvent: (event: InformerEvent<T>) => void, { replay = true }: { replay?: boolean } = {}): () => void {
    this.#subscribers.add(onEvent)
    if (replay) for (const object of this.#objects.values()) onEvent({ type: 'added', object, old: undefined })
    return () => this.#subscribers.delete(onEvent)
  }

  /** Takes over a whole list; tells the difference. */
  replace(objects: readonly T[], resourceVersion: string): void {
    const seen = new Set<KeyText>()
    for (const object of objects) {
      seen.add(keyOf(object))
      this.put(object)
    }
    for (const [key, object] of [...this.#objects]) if (!seen.has(key)) this.drop(key, object)
    this.advance(resourceVersion)
    this.#synced = true
    for (const waiter of this.#syncWaiters.splice(0)) waiter()
  }

  put(object: T): void {
    const key = keyOf(object)
    const old = this.#objects.get(key)
    if (old?.metadata.resourceVersion === object.metadata.resourceVersion && old.metadata.uid === object.metadata.uid) return
    this.#objects.set(key, object)
    this.#enter(key, object, old)
    this.#tell({ type: old === undefined ? 'added' : 'updated', object, old })
  }

  /** `last`: the object's last state. */
  drop(key: KeyText, last: T): void {
    const old = this.#objects.get(key)
    if (old === undefined) return
    this.#objects.delete(key)
    this.#enter(key, undefined, old)
    this.#tell({ type: 'deleted', object: last, old })
  }

  advance(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion
  }

  #tell(event: InformerEvent<T>): void {
    for (const subscriber of this.#subscribers) subscriber(event)
  }

  #enter(key: KeyText, object: T | undefined, old: T | undefined): void {
    if (this.kind.namespaced) {
      const namespace = (object ?? old)?.metadata.namespace ?? ''
      move(this.#byNamespace, key, object, old === undefined ? [] : [namespace], object === undefined ? [] : [namespace])
    }
    for (const { valuesOf, entries } of this.#indices) {
      move(entries, key, object, old === undefined ? [] : valuesOf(old), object === undefined ? [] : valuesOf(object))
    }
  }
}

function move<T>(
  entries: Map<string, Map<KeyText, T>>,
  key: KeyText,
  object: T | undefined,
  from: readonly string[],
  to: readonly string[],
): void {
  for (const value of from) {
    if (to.includes(value)) continue
    const bucket = entries.get(value)
    bucket?.delete(key)
    if (bucket?.size === 0) entries.delete(value)
  }
  if (object === undefined) return
  for (const value of to) {
    const bucket = entries.get(value)
    if (bucket === undefined) entries.set(value, new Map([[key, object]]))
    else bucket.set(key, object)
  }
}

async function reflect<T extends KubeObject>(
  kind: Kind<T>,
  copy: Copy<T>,
  deps: ReflectorDeps,
  options: InformerOptions<T>,
): Promise<void> {
  const { clock, random, signal } = deps
  const backoff = new Backoff({ initialMs: 50, maxMs: 5_000, jitter: 0.5, random })
  let mustList = true
  while (!signal.aborted) {
    try {
      if (mustList) {
        await listInto(kind, copy, deps, options)
        mustList = false
      }
      const startedAt = clock.monotonic()
      await watchInto(kind, copy, deps, options)
      // A watch that ends at once, again and again, is a failure too, though no error says so.
      if (clock.monotonic() - startedAt < 1_000) await pause(clock, backoff.next(), signal)
      else backoff.reset()
    } catch (error) {
      if (signal.aborted) return
      if (isApiError(error, 'Expired') || isApiError(error, 'Gone')) mustList = true
      else deps.onError?.(kind, error)
      await pause(clock, Math.max(backoff.next(), retryAfterMs(error)), signal)
    }
  }
}

function retryAfterMs(error: unknown): number {
  return isApiError(error) ? ((error as ApiError).retryAfterSeconds ?? 0) * 1_000 : 0
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => {})
}

async function listInto<T extends KubeObject>(
  kind: Kind<T>,
  copy: Copy<T>,
  { client, signal }: ReflectorDeps,
  options: InformerOptions<T>,
): Promise<void> {
  const list = await client.list(kind, { ...selection(options), resourceVersion: '0', signal })
  copy.replace(
    list.items.map((item) => hold(item, options)),
    list.metadata.resourceVersion,
  )
}

async function watchInto<T extends KubeObject>(
  kind: Kind<T>,
  copy: Copy<T>,
  deps: ReflectorDeps,
  options: InformerOptions<T>,
): Promise<void> {
  const timeoutSeconds = Math.round(watchSecondsMin * (1 + deps.random()))
  const events = deps.client.watch(kind, {
    ...selection(options),
    resourceVersion: copy.resourceVersion,
    timeoutSeconds,
    signal: deps.signal,
  })
  for await (const event of events) take(copy, event, options)
}

function take<T extends KubeObject>(copy: Copy<T>, event: WatchEvent<T>, options: InformerOptions<T>): void {
  if (event.type === 'BOOKMARK') return copy.advance(event.resourceVersion)
  const object = hold(event.object, options)
  // The version moves first, so that a subscriber that asks finds the copy as fresh as the event it got.
  copy.advance(object.metadata.resourceVersion)
  if (event.type === 'DELETED') copy.drop(keyOf(object), object)
  else copy.put(object)
}

function selection<T>(options: InformerOptions<T>): {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  metadataOnly?: boolean
} {
  return {
    ...(options.metadataOnly ? { metadataOnly: true } : {}),
    ...(options.namespace ? { namespace: options.namespace } : {}),
    ...(options.labelSelector ? { labelSelector: options.labelSelector } : {}),
    ...(options.fieldSelector ? { fieldSelector: options.fieldSelector } : {}),
  }
}

function hold<T extends KubeObject>(object: T, options: InformerOptions<T>): T {
  return deepFreeze(options.trim === undefined ? object : options.trim(object))
}

/** Freezes an object and all it holds, so that a mutation of shared state fails on its own line. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}

/** Leaves managedFields out: a third of many objects, and nothing that a component reads. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  delete object.metadata.managedFields
  return object
}
