// Reads of the API server's own state, from its watch caches: for authorizers, admission and allocators.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Registries } from './registry/registries.ts'
import type { Registry } from './registry/registry.ts'
import type { LocalReader } from './request.ts'
import type { StoredObject } from './watch-cache/stored-object.ts'

// What only a webhook could show in this version is seen as it is stored: nobody waits here.
function shownBy<T extends KubeObject>({ versions }: Registry<T>, object: StoredObject<T>): T {
  return (versions?.now(object) ?? object).object() as T
}

export function createLocalReader(registries: Registries): LocalReader {
  return {
    get(kind, namespace, name) {
      const registry = registries.of(kind)
      const object = registry.cache.get(namespace, name)
      return object === undefined ? undefined : shownBy(registry, object)
    },
    list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
      const registry = registries.of(kind)
      return registry.cache.candidates(namespace === undefined ? {} : { namespace }).map((object) => shownBy(registry, object))
    },
    onChange(kind, changed) {
      return registries.of(kind).cache.onChange(changed)
    },
  }
}
