// Which old value a new one follows: objects by their fields, lists that are maps by their keys, other lists not at all.

import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { stringifyJson } from '#api/schema/stringify'

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function own(object: Record<string, unknown> | undefined, name: string): unknown {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined
}

/** Finds the old item of a new one: by its keys, in lists that are maps. */
export function correlated(props: JSONSchemaProps, old: unknown): (item: unknown) => unknown {
  if (props['x-kubernetes-list-type'] !== 'map' || !Array.isArray(old)) return () => undefined
  const keys = props['x-kubernetes-list-map-keys'] ?? []
  const idOf = (item: unknown): string => stringifyJson(keys.map((key) => (isObject(item) ? (own(item, key) ?? null) : null)))
  const known = new Map(old.map((item) => [idOf(item), item as unknown]))
  return (item) => known.get(idOf(item))
}
