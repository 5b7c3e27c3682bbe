// The kinds that are served at the moment. Built-in ones are there from the start; custom ones come and go.
import type { Kind } from '#api/kind'
import type { KindCatalog } from './request.ts'

export interface MutableKindCatalog extends KindCatalog {
  /** Adds a kind, or replaces the one with the same id. */
  add(kind: Kind): void
  remove(id: string): void
  /** Keeps the kind by its id only: objects are stored as it, but it is not served. */
  hide(id: string): void
  /** By `group/version/plural`; the core group is `core`. */
  byId(id: string): Kind | undefined
}

/** A catalog that begins with `kinds`. */
export function createKindCatalog(kinds: readonly Kind[]): MutableKindCatalog {
  const byId = new Map<string, Kind>()
  const byPath = new Map<string, Kind>()
  const byKind = new Map<string, Kind>()
  const listeners = new Set<() => void>()
  let list: readonly Kind[] | undefined

  const pathOf = (group: string, version: string, resource: string): string => `${group}/${version}/${resource}`
  const put = (kind: Kind): void => {
    byId.set(kind.id, kind)
    byPath.set(pathOf(kind.group, kind.version, kind.resource), kind)
    byKind.set(`${kind.apiVersion}/${kind.kind}`, kind)
    list = undefined
  }
  for (const kind of kinds) put(kind)
  const tell = (): void => {
    for (const listener of listeners) listener()
  }

  const unlist = (kind: Kind): void => {
    byPath.delete(pathOf(kind.group, kind.version, kind.resource))
    byKind.delete(`${kind.apiVersion}/${kind.kind}`)
    list = undefined
    tell()
  }

  return {
    all() {
      list ??= [...byPath.values()]
      return list
    },
    find: (group, version, resource) => byPath.get(pathOf(group, version, resource)),
    findByKind: (apiVersion, kind) => byKind.get(`${apiVersion}/${kind}`),
    byId: (id) => byId.get(id),
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    add(kind) {
      put(kind)
      tell()
    },
    remove(id) {
      const kind = byId.get(id)
      if (kind === undefined) return
      byId.delete(id)
      unlist(kind)
    },
    hide(id) {
      const kind = byId.get(id)
      if (kind !== undefined) unlist(kind)
    },
  }
}
