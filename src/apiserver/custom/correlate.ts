// Which old value a new one follows: objects by their fields, lists that are maps by their keys, other lists not at all.

import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { stringifyJson } from '#api/schema/stringify'
import { sameJson } from '../registry/written.ts'

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

/** The schema of one of an object's fields. */
export function propertyOf({ properties, additionalProperties }: JSONSchemaProps, name: string): JSONSchemaProps | undefined {
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name]
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

/**
 * Whether a write left the value as it was: the items of lists that are maps may have changed places. An object with fields that the
 * schema does not know counts as changed, as it does in Kubernetes.
 */
export function isUnchanged(value: unknown, old: unknown, props: JSONSchemaProps): boolean {
  if (Array.isArray(value) && Array.isArray(old) && props['x-kubernetes-list-type'] === 'map') {
    const { items } = props
    if (items === undefined || Array.isArray(items)) return sameJson(value, old)
    const before = correlated(props, old)
    return value.length === old.length && value.every((item) => correlatesTo(item, before(item), items))
  }
  if (!isObject(value) || !isObject(old)) return sameJson(value, old)
  const names = Object.keys(value)
  return (
    names.length === Object.keys(old).length && names.every((name) => correlatesTo(value[name], own(old, name), propertyOf(props, name)))
  )
}

function correlatesTo(value: unknown, old: unknown, props: JSONSchemaProps | undefined): boolean {
  return props !== undefined && old !== undefined && isUnchanged(value, old, props)
}
