// Several servers' OpenAPI v2 documents as one, as Kubernetes' aggregator makes it: of each server only the paths that are its own
// and what they refer to; definitions and parameters of the same name that say something else get a name of their own (`…_v2`).
import type { Json } from './definitions.ts'

type Named = Record<string, Json>

const kindsKey = 'x-kubernetes-group-version-kind'
const definitionPrefix = '#/definitions/'
const parameterPrefix = '#/parameters/'

function partOf(document: Json, key: string): Named {
  const part = document[key]
  return typeof part === 'object' && part !== null && !Array.isArray(part) ? (part as Named) : {}
}

/**
 * The document with those of its paths that `keep` wants. A definition goes when only other paths led to it; one to which no path leads
 * stays. What is kept is shared with the document.
 */
export function filterPaths(document: Json, keep: (path: string) => boolean): Json {
  const paths = Object.fromEntries(Object.entries(partOf(document, 'paths')).filter(([path]) => keep(path)))
  const before = reachable(document, partOf(document, 'paths'))
  const after = reachable(document, paths)
  const definitions = Object.fromEntries(
    Object.entries(partOf(document, 'definitions')).filter(([name]) => after.has(name) || !before.has(name)),
  )
  return { ...document, paths, definitions }
}

// Names of the definitions that these paths need.
function reachable(document: Json, paths: Named): Set<string> {
  const definitions = partOf(document, 'definitions')
  const parameters = partOf(document, 'parameters')
  const seen = new Set<string>()
  const names = new Set<string>()
  const waiting: unknown[] = Object.values(paths)
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [key, inner] of Object.entries(value)) {
      if (key !== '$ref' || typeof inner !== 'string') {
        waiting.push(inner)
        continue
      }
      if (seen.has(inner)) continue
      seen.add(inner)
      if (inner.startsWith(parameterPrefix)) waiting.push(ownValue(parameters, inner.slice(parameterPrefix.length)))
      if (!inner.startsWith(definitionPrefix)) continue
      const name = inner.slice(definitionPrefix.length)
      names.add(name)
      waiting.push(ownValue(definitions, name))
    }
  }
  return names
}

function ownValue(named: Named, name: string): Json | undefined {
  return Object.hasOwn(named, name) ? named[name] : undefined
}

/** A document that others are added to, in steps of about a definition or path each. */
export interface MergedDocument {
  /** Adds a document. Where both have a path, the one that was there first stays. */
  add(source: Json): Generator<void, void>
  /** All of it, with paths, definitions and parameters in the order of their names. */
  finish(): Json
}

/** Begins with `first`, whose parts are shared and stay as they are. */
export function mergeDocuments(first: Json): MergedDocument {
  const paths = mapOf(partOf(first, 'paths'))
  const definitions = mapOf(partOf(first, 'definitions'))
  const parameters = mapOf(partOf(first, 'parameters'))
  return {
    *add(given) {
      const offered = Object.keys(partOf(given, 'paths'))
      if (offered.every((path) => paths.has(path))) return
      const source = offered.some((path) => paths.has(path)) ? filterPaths(given, (path) => !paths.has(path)) : given
      const renamed = new Map<string, string>()
      yield* renameConflicts(definitions, partOf(source, 'definitions'), definitionPrefix, sameDefinition, renamed)
      yield* renameConflicts(parameters, partOf(source, 'parameters'), parameterPrefix, sameValue, renamed)
      const withNewNames = (value: Json): Json => (renamed.size === 0 ? value : (withReferences(value, renamed) as Json))
      for (const [name, value] of Object.entries(partOf(source, 'definitions'))) {
        const newName = nameAfter(renamed, definitionPrefix, name)
        const existing = definitions.get(newName)
        definitions.set(newName, existing === undefined ? withNewNames(value) : withKindsOf(existing, value))
        yield
      }
      for (const [name, value] of Object.entries(partOf(source, 'parameters'))) {
        const newName = nameAfter(renamed, parameterPrefix, name)
        if (!parameters.has(newName)) parameters.set(newName, withNewNames(value))
      }
      for (const [path, value] of Object.entries(partOf(source, 'paths'))) {
        if (!paths.has(path)) paths.set(path, withNewNames(value))
        yield
      }
    },
    finish: () => ({ ...first, paths: byName(paths), definitions: byName(definitions), parameters: byName(parameters) }),
  }
}

function mapOf(named: Named): Map<string, Json> {
  return new Map(Object.entries(named))
}

function byName(map: ReadonlyMap<string, Json>): Json {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function nameAfter(renamed: ReadonlyMap<string, string>, prefix: string, name: string): string {
  return renamed.get(prefix + name)?.slice(prefix.length) ?? name
}

// A name that was made for the same thing before is taken again.
function* renameConflicts(
  taken: ReadonlyMap<string, Json>,
  offered: Named,
  prefix: string,
  same: (a: Json, b: Json) => boolean,
  renamed: Map<string, string>,
): Generator<void, void> {
  const newNames = new Set<string>()
  for (const [name, value] of Object.entries(offered)) {
    yield
    let candidate = name
    let existing = taken.get(name)
    for (let i = 2; existing !== undefined && !same(existing, value); i++) {
      do candidate = `${name}_v${i}`
      while ((Object.hasOwn(offered, candidate) || newNames.has(candidate)) && i++)
      existing = taken.get(candidate)
    }
    if (candidate === name) continue
    renamed.set(prefix + name, prefix + candidate)
    newNames.add(candidate)
  }
}

function withReferences(value: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => withReferences(item, renamed))
  const entries = Object.entries(value).map(([key, inner]) => {
    if (key === '$ref' && typeof inner === 'string') return [key, renamed.get(inner) ?? inner]
    return [key, withReferences(inner, renamed)]
  })
  return Object.fromEntries(entries)
}

function sameDefinition(a: Json, b: Json): boolean {
  return sameValue(a, b, kindsKey)
}

// Order of keys says nothing.
function sameValue(a: unknown, b: unknown, leave?: string): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => sameValue(item, b[i]))
  }
  const keys = Object.keys(a).filter((key) => key !== leave)
  if (keys.length !== Object.keys(b).filter((key) => key !== leave).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && sameValue((a as Json)[key], (b as Json)[key]))
}

// Kinds that both servers have (DeleteOptions) are known under the group-versions of both.
function withKindsOf(existing: Json, added: Json): Json {
  const ours = existing[kindsKey]
  const theirs = added[kindsKey]
  if (!Array.isArray(theirs)) return existing
  if (!Array.isArray(ours)) return { ...existing, [kindsKey]: theirs }
  const all = new Map(ours.map((kind) => [kindText(kind), kind] as const))
  for (const kind of theirs) if (!all.has(kindText(kind))) all.set(kindText(kind), kind)
  if (all.size === ours.length) return existing
  return { ...existing, [kindsKey]: [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind) }
}

function kindText(kind: unknown): string {
  const { group, version, kind: name } = (kind ?? {}) as Json
  return `${group}/${version}.${name}`
}
