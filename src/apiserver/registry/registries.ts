// The registries of all served kinds. A kind that is stored as another one shares that one's.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { MutableKindCatalog } from '../kind-catalog.ts'
import type { CacheFeed } from '../watch-cache/cache-feed.ts'
import type { RegistryDeps } from './context.ts'
import type { RegistryHooks } from './hooks.ts'
import { createRegistry, type Registry } from './registry.ts'

export interface Registries {
  /** The registry of a stored kind (or of the kind that it is stored as); undefined for kinds that are never stored. */
  find<T extends KubeObject>(kind: Kind<T>): Registry<T> | undefined
  /** Like `find`, for kinds that are known to be stored. */
  of<T extends KubeObject>(kind: Kind<T>): Registry<T>
}

export interface RegistriesDeps extends RegistryDeps {
  readonly catalog: MutableKindCatalog
  readonly feed: CacheFeed
  /** By kind id; asked when a registry is made. */
  readonly hooksOf: (kind: Kind) => RegistryHooks
}

/** Kinds that are stored have more verbs than create. */
export function isStored(kind: Kind): boolean {
  return kind.verbs.includes('get') && kind.id !== 'core/v1/componentstatuses'
}

export function createRegistries(deps: RegistriesDeps): Registries {
  const made = new Map<string, Registry>()
  const storageKind = (kind: Kind): Kind => {
    const { storedAs } = kind.strategy
    return (storedAs === undefined ? undefined : deps.catalog.byId(storedAs)) ?? kind
  }
  const find = (kind: Kind): Registry | undefined => {
    const storage = storageKind(kind)
    // Versions of a custom kind have a registry each: all that is done to an object is done in the version that was asked for.
    const own = kind.custom ? kind : storage
    const known = made.get(own.id)
    // A custom kind may come back under its id with another schema.
    if (known?.kind === own) return known
    if (!isStored(own)) return undefined
    const registry = createRegistry(own, deps.feed.add(storage), deps.hooksOf(own), deps)
    made.set(own.id, registry)
    return registry
  }
  return {
    find: <T extends KubeObject>(kind: Kind<T>) => find(kind as unknown as Kind) as unknown as Registry<T> | undefined,
    of<T extends KubeObject>(kind: Kind<T>): Registry<T> {
      const registry = find(kind as unknown as Kind)
      if (registry === undefined) throw new Error(`assertion failed: ${kind.id} is not stored`)
      return registry as unknown as Registry<T>
    },
  }
}
