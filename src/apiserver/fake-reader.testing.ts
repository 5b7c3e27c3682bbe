// A LocalReader over plain objects, for tests of what reads the API server's own state.
import type { Kind } from '#api/kind'
import type { KubeObject, Manifest } from '#api/object'
import type { LocalReader } from './request.ts'

export interface FakeReader extends LocalReader {
  /** Adds or replaces an object, and tells who listens. */
  put<T extends KubeObject>(kind: Kind<T>, object: Manifest<T>): void
  remove(kind: Kind, namespace: string, name: string): void
}

export function fakeReader(): FakeReader {
  const objects = new Map<string, Map<string, KubeObject>>()
  const listeners = new Map<string, Set<() => void>>()
  const of = (kind: Kind): Map<string, KubeObject> => {
    let found = objects.get(kind.id)
    if (found === undefined) {
      found = new Map()
      objects.set(kind.id, found)
    }
    return found
  }
  const tell = (kind: Kind): void => {
    for (const listener of listeners.get(kind.id) ?? []) listener()
  }
  return {
    get: <T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) => of(kind).get(`${namespace}/${name}`) as T | undefined,
    list: <T extends KubeObject>(kind: Kind<T>, namespace?: string) =>
      [...of(kind).values()].filter((object) => namespace === undefined || (object.metadata.namespace ?? '') === namespace) as T[],
    onChange(kind, changed) {
      const set = listeners.get(kind.id) ?? new Set()
      listeners.set(kind.id, set)
      set.add(changed)
      return () => set.delete(changed)
    },
    put(kind, manifest) {
      const object = { apiVersion: kind.apiVersion, kind: kind.kind, ...manifest } as unknown as KubeObject
      of(kind).set(`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object)
      tell(kind)
    },
    remove(kind, namespace, name) {
      of(kind).delete(`${namespace}/${name}`)
      tell(kind)
    },
  }
}
