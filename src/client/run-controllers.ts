// The controller runner: informers to queues, queues to workers. A key is held back until the cache has seen that key's
// own last writes (the idea of KEP-5647), so no controller acts on a past that it changed itself.
import { isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { type KeyText, type KubeObject, keyOf, keyText } from '#api/object'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import { WorkQueue } from '#base/work-queue'
import { followAggregatedKinds } from './aggregated-kinds.ts'
import type { SharedCache } from './cache.ts'
import type { Client } from './client.ts'
import type { Controller, ReconcileContext, Watch } from './controller.ts'
import { type CustomKindsListener, followCustomKinds } from './custom-kinds.ts'
import type { EventRecorder } from './events.ts'
import { TransportError } from './transport.ts'

export interface RunnerDeps {
  readonly cache: SharedCache
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  /** An event recorder for the named controller. */
  readonly recorder: (component: string) => EventRecorder
  readonly signal: AbortSignal
  readonly onError?: (controller: string, key: KeyText, error: unknown) => void
}

// How long a key waits for its own writes to come back before it is reconciled anyway: the watch may be broken.
const ownWritesMsMax = 5_000
const backoff = { initialMs: 20, maxMs: 60_000 }

/** Runs the controllers until the signal aborts; resolves when all work in hand has ended. */
export async function runControllers(controllers: readonly Controller[], deps: RunnerDeps): Promise<void> {
  for (const controller of controllers) {
    for (const watch of controller.watches) deps.cache.informer(watch.kind)
    for (const kind of controller.reads ?? []) deps.cache.informer(kind)
  }
  const customListeners = new Set<CustomKindsListener>()
  if (controllers.some(({ custom }) => custom !== undefined)) {
    deps.cache.informer(CustomResourceDefinition)
    deps.cache.informer(APIService)
  }
  await deps.cache.untilSynced(deps.signal)
  const running = controllers.map((controller) => runController(controller, deps, customListeners))
  const stop = customListeners.size === 0 ? () => {} : shareCustomKinds(deps.cache, customListeners)
  if (customListeners.size > 0) running.push(shareAggregatedKinds(deps, customListeners))
  await Promise.all(running)
  stop()
}

/** Likewise the kinds of other API servers. One that does not answer keeps nobody waiting. */
function shareAggregatedKinds(deps: RunnerDeps, listeners: ReadonlySet<CustomKindsListener>): Promise<void> {
  return followAggregatedKinds(deps, {
    added(kind) {
      for (const listener of listeners) listener.added(kind)
    },
    lost(kind) {
      for (const listener of listeners) listener.lost(kind)
      deps.cache.drop(kind)
    },
  })
}

/** One informer for each custom kind, whoever watches it; it ends after everybody was told that the kind is gone. */
function shareCustomKinds(cache: SharedCache, listeners: ReadonlySet<CustomKindsListener>): () => void {
  return followCustomKinds(cache, {
    added(kind) {
      for (const listener of listeners) listener.added(kind)
    },
    gone(kind) {
      for (const listener of listeners) listener.gone(kind)
      cache.drop(kind)
    },
    replaced(kind, next) {
      for (const listener of listeners) listener.replaced(kind, next)
      cache.drop(kind)
    },
  })
}

async function runController(controller: Controller, deps: RunnerDeps, customListeners: Set<CustomKindsListener>): Promise<void> {
  const { cache, clock, signal } = deps
  const queue = new WorkQueue<KeyText>({ clock, backoff })
  const events = deps.recorder(controller.component ?? controller.name)
  const follow = (watch: Watch): (() => void) =>
    cache.informer(watch.kind).subscribe(({ object, old, type }) => {
      if (type !== 'deleted' && watch.when?.(object, old) === false) return
      for (const key of watch.keysOf(object, old, cache, type)) queue.add(key)
    })
  const stops = controller.watches.map(follow)
  if (controller.custom !== undefined) customListeners.add(customListener(controller.custom, { cache, queue, follow }))
  signal.addEventListener('abort', () => queue.close(), { once: true })
  if (signal.aborted) queue.close()
  const context = { cache, clock, random: deps.random, events, signal }
  const writes = new Map<KeyText, OwnWrites>()
  const worker = async (): Promise<void> => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      await workOn(controller, key, queue, writes, context, deps)
      queue.done(key)
    }
  }
  const workers = Array.from({ length: controller.concurrency ?? 4 }, worker)
  if (controller.background !== undefined)
    workers.push(controller.background({ ...context, client: deps.client }).catch((error) => ignoreAbort(error, signal)))
  await Promise.all(workers)
  for (const stop of stops) stop()
  await events.flush()
}

function customListener(
  custom: NonNullable<Controller['custom']>,
  { cache, queue, follow }: { cache: SharedCache; queue: WorkQueue<KeyText>; follow: (watch: Watch) => () => void },
): CustomKindsListener {
  const watches = new Map<string, Watch & { readonly stop: () => void }>()
  const added = (kind: Kind): void => {
    const watch = custom.watch(kind)
    if (watch !== undefined) watches.set(kind.id, { ...watch, stop: follow(watch) })
  }
  const forget = (kind: Kind): void => {
    watches.get(kind.id)?.stop()
    watches.delete(kind.id)
    custom.forget(kind)
  }
  return {
    added,
    gone(kind) {
      // Their own deletions may still be on their way; nobody would hear of them.
      const watch = watches.get(kind.id)
      if (watch !== undefined) {
        for (const object of cache.list(kind)) for (const key of watch.keysOf(object, undefined, cache, 'deleted')) queue.add(key)
      }
      forget(kind)
    },
    lost(kind) {
      watches.get(kind.id)?.stop()
      watches.delete(kind.id)
      if (custom.lost === undefined) custom.forget(kind)
      else custom.lost(kind)
    },
    replaced(kind, next) {
      added(next)
      forget(kind)
    },
  }
}

async function workOn(
  controller: Controller,
  key: KeyText,
  queue: WorkQueue<KeyText>,
  writes: Map<KeyText, OwnWrites>,
  context: Omit<ReconcileContext, 'client'>,
  deps: RunnerDeps,
): Promise<void> {
  try {
    await writes.get(key)?.seen(deps.signal)
    queue.beginNow(key)
    const own = new OwnWrites(deps.cache, deps.clock)
    const lookAgainMs = await controller.reconcile(key, { ...context, client: own.watching(deps.client) }).finally(() => {
      if (own.any) writes.set(key, own)
      else writes.delete(key)
    })
    queue.forget(key)
    if (typeof lookAgainMs === 'number') queue.addAfter(key, lookAgainMs)
  } catch (error) {
    if (deps.signal.aborted) return
    // A conflict says only that the copy was old; the change that made it so is on its way. So is, most often, the news that
    // something is gone: only when it is missed again there is something to tell.
    const stale = isApiError(error, 'Conflict') || (isApiError(error, 'NotFound') && queue.failures(key) === 0)
    if (!stale && !(error instanceof TransportError && error.code === 'unreachable')) deps.onError?.(controller.name, key, error)
    queue.addAfterFailure(key)
  }
}

function ignoreAbort(error: unknown, signal: AbortSignal): void {
  if (!signal.aborted) throw error
}

interface Expected {
  readonly kind: Kind
  readonly key: KeyText
  readonly revision: number | undefined
  readonly uid: string | undefined
}

/** What one reconcile wrote, and whether the cache has caught up with it. */
class OwnWrites {
  readonly #cache: SharedCache
  readonly #clock: Clock
  #expected: Expected[] = []

  constructor(cache: SharedCache, clock: Clock) {
    this.#cache = cache
    this.#clock = clock
  }

  get any(): boolean {
    return this.#expected.length > 0
  }

  /** The client, noting what is written through it. */
  watching(client: Client): Client {
    const note = async <T extends KubeObject>(kind: Kind<T>, subresource: string | undefined, written: Promise<T>): Promise<T> => {
      const object = await written
      if (this.#cache.has(kind) && (subresource === undefined || subresource === 'status') && object?.metadata?.resourceVersion) {
        this.#expected.push({ kind, key: keyOf(object), revision: Number(object.metadata.resourceVersion), uid: undefined })
      }
      return object
    }
    return {
      ...client,
      create: (kind, object, options) => note(kind, options?.subresource, client.create(kind, object, options)),
      update: (kind, object, options) => note(kind, options?.subresource, client.update(kind, object, options)),
      updateStatus: (kind, object, options) => note(kind, 'status', client.updateStatus(kind, object, options)),
      patch: (kind, key, type, patch, options) => note(kind, options?.subresource, client.patch(kind, key, type, patch, options)),
      apply: (kind, object, options) => note(kind, options?.subresource, client.apply(kind, object, options)),
      delete: async (kind, key, options) => {
        const text = keyText(key.namespace, key.name)
        const uid = this.#cache.has(kind) ? this.#cache.get(kind, text)?.metadata.uid : undefined
        await client.delete(kind, key, options)
        if (uid !== undefined) this.#expected.push({ kind, key: text, revision: undefined, uid })
      },
    }
  }

  /** Resolves when the cache shows every write, or after a bound. */
  async seen(signal: AbortSignal): Promise<void> {
    const deadline = this.#clock.monotonic() + ownWritesMsMax
    for (const expected of this.#expected) {
      if (this.#shows(expected)) continue
      await new Promise<void>((resolve) => {
        const finish = (): void => {
          stop()
          timer.cancel()
          signal.removeEventListener('abort', finish)
          resolve()
        }
        const timer = this.#clock.after(Math.max(0, deadline - this.#clock.monotonic()), finish, { background: true })
        let stop = (): void => {}
        const look = (): void => {
          if (this.#shows(expected)) queueMicrotask(finish)
        }
        stop = this.#cache.informer(expected.kind).subscribe(look, { replay: false })
        signal.addEventListener('abort', finish, { once: true })
      })
    }
    this.#expected = []
  }

  #shows({ kind, key, revision, uid }: Expected): boolean {
    if (!this.#cache.has(kind)) return true
    const informer = this.#cache.informer(kind)
    if (revision !== undefined) return Number(informer.resourceVersion) >= revision
    const object = informer.get(key)
    return object === undefined || object.metadata.uid !== uid || object.metadata.deletionTimestamp !== undefined
  }
}
