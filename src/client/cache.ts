// The Cache that controllers share: one informer a kind, started when first asked for.
import type { Kind } from '#api/kind'
import { controllerOf, type KeyText, type KubeObject } from '#api/object'
import type { Cache } from './controller.ts'
import type { Informer, InformerOptions } from './informer.ts'
import { absentInformer, type ReflectorDeps, startInformer, withoutManagedFields } from './reflector.ts'

export interface SharedCache extends Cache {
  /** Resolves when every informer started so far has its first list. */
  untilSynced(signal?: AbortSignal): Promise<void>
  /** Whether the kind has an informer already. */
  has(kind: Kind): boolean
  /** Ends the informer of a kind that is served no more. */
  drop(kind: Kind): void
  /** Resolves when, after the signal's abort, every informer has ended. */
  ended(): Promise<void>
}

const ownerIndex = 'ownerUid'

function indicesOf<T extends KubeObject>(
  kind: Kind<T>,
  more: InformerOptions<KubeObject>['indices'],
): NonNullable<InformerOptions<T>['indices']> {
  const byOwner = (object: T): readonly string[] => {
    const owner = controllerOf(object)
    return owner === undefined ? [] : [owner.uid]
  }
  return { ...(kind.namespaced ? { [ownerIndex]: byOwner } : {}), ...more }
}

export interface CacheOptions {
  /** Further named indices, by kind id. */
  readonly indices?: Readonly<Record<string, InformerOptions<KubeObject>['indices']>>
  /** What of an object is not held, by kind id; default: managedFields. */
  readonly trims?: Readonly<Record<string, (object: KubeObject) => KubeObject>>
  /** Kinds of which only metadata is held; by default everything is, but for managedFields. */
  readonly metadataOnly?: (kind: Kind) => boolean
  /** Whether a built-in kind is served: of others there is nothing. Default: all are. */
  readonly served?: (kind: Kind) => boolean
}

type RunningInformer = Informer<KubeObject> & { readonly ended: Promise<void>; stop(): void }

/** A controller that aborts when the signal does, and holds on to it no longer than until its own end. */
function abortedWith(signal: AbortSignal): AbortController {
  const own = new AbortController()
  const abort = (): void => own.abort(signal.reason)
  if (signal.aborted) abort()
  else {
    signal.addEventListener('abort', abort, { once: true })
    own.signal.addEventListener('abort', () => signal.removeEventListener('abort', abort), { once: true })
  }
  return own
}

/** A cache that runs until the signal of `deps` aborts. */
export function createCache(deps: ReflectorDeps, options: CacheOptions = {}): SharedCache {
  const informers = new Map<string, RunningInformer>()

  function informer<T extends KubeObject>(kind: Kind<T>): Informer<T> {
    const found = informers.get(kind.id)
    if (found !== undefined) return found as unknown as Informer<T>
    // A custom kind may go before the cache does.
    const own = kind.custom ? abortedWith(deps.signal) : undefined
    const indices = indicesOf(kind, options.indices?.[kind.id])
    const started =
      !kind.custom && options.served?.(kind) === false
        ? absentInformer(kind, { indices })
        : startInformer(kind, own === undefined ? deps : { ...deps, signal: own.signal }, {
            indices,
            trim: (options.trims?.[kind.id] as ((object: T) => T) | undefined) ?? withoutManagedFields,
            metadataOnly: options.metadataOnly?.(kind) === true,
          })
    const stop = (): void => own?.abort()
    informers.set(kind.id, Object.assign(started as unknown as Informer<KubeObject> & { readonly ended: Promise<void> }, { stop }))
    return started
  }

  return {
    informer,
    get: <T extends KubeObject>(kind: Kind<T>, key: KeyText) => informer(kind).get(key),
    list: <T extends KubeObject>(kind: Kind<T>, namespace?: string) => informer(kind).list(namespace),
    ownedBy: <T extends KubeObject>(kind: Kind<T>, owner: KubeObject) => informer(kind).byIndex(ownerIndex, owner.metadata.uid),
    has: (kind) => informers.has(kind.id),
    drop(kind) {
      informers.get(kind.id)?.stop()
      informers.delete(kind.id)
    },
    async untilSynced(signal) {
      await Promise.all([...informers.values()].map((i) => i.untilSynced(signal)))
    },
    async ended() {
      await Promise.all([...informers.values()].map((i) => i.ended))
    },
  }
}
