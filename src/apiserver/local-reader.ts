// Reads of the API server's own state, from its watch caches: for authorizers, admission and allocators.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Registries } from './registry/registries.ts'
import type { LocalReader } from './request.ts'

export function createLocalReader(registries: Registries): LocalReader {
  return {
    get(kind, namespace, name) {
      return registries.of(kind).cache.get(namespace, name)?.object()
    },
    list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
      const { cache } = registries.of(kind)
      return cache.candidates(namespace === undefined ? {} : { namespace }).map((object) => object.object())
    },
    onChange(kind, changed) {
      return registries.of(kind).cache.onChange(changed)
    },
  }
}
