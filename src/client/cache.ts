// The Cache that controllers share: one informer a kind, started when first asked for.
import type { Kind } from '#api/kind'
import { controllerOf, type KeyText, type KubeObject } from '#api/object'
import type { Cache } from './controller.ts'
import type { Informer, InformerOptions } from './informer.ts'
import { type ReflectorDeps, startInformer, withoutManagedFields } from './reflector.ts'

export interface SharedCache extends Cache {
  /** Resolves when every informer started so far has its first list. */
  untilSynced(signal?: AbortSignal): Promise<void>
  /** Whether the kind has an informer already. */
  has(kind: Kind): boolean
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
  /** Kinds of which only metadata is held; by default everything is, but for managedFields. */
  readonly metadataOnly?: (kind: Kind) => boolean
}

/** A cache that runs until the signal of `deps` aborts. */
export function createCache(deps: ReflectorDeps, options: CacheOptions = {}): SharedCache {
  const informers = new Map<string, Informer<KubeObject> & { readonly ended: Promise<void> }>()

  function informer<T extends KubeObject>(kind: Kind<T>): Informer<T> {
    let found = informers.get(kind.id) as (Informer<T> & { readonly ended: Promise<void> }) | undefined
    if (found === undefined) {
      found = startInformer(kind, deps, {
        indices: indicesOf(kind, options.indices?.[kind.id]),
        trim: withoutManagedFields,
        metadataOnly: options.metadataOnly?.(kind) === true,
      })
      informers.set(kind.id, found as unknown as Informer<KubeObject> & { readonly ended: Promise<void> })
    }
    return found
  }

  return {
    informer,
    get: <T extends KubeObject>(kind: Kind<T>, key: KeyText) => informer(kind).get(key),
    list: <T extends KubeObject>(kind: Kind<T>, namespace?: string) => informer(kind).list(namespace),
    ownedBy: <T extends KubeObject>(kind: Kind<T>, owner: KubeObject) => informer(kind).byIndex(ownerIndex, owner.metadata.uid),
    has: (kind) => informers.has(kind.id),
    async untilSynced(signal) {
      await Promise.all([...informers.values()].map((i) => i.untilSynced(signal)))
    },
    async ended() {
      await Promise.all([...informers.values()].map((i) => i.ended))
    },
  }
}
