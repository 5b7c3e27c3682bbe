// How the checks of this group go through lists and maps: bounded, item by item, and then each once.
import type { FieldError } from '../../errors.ts'
import { duplicate, tooMany } from '../../validation/field-errors.ts'

type ItemCheck<T> = (item: T, path: string) => FieldError[]

/** Of a list that is too long only that is said. */
export function validateList<T>(list: readonly T[] | undefined, max: number, check: ItemCheck<T>, path: string): FieldError[] {
  if (list === undefined) return []
  if (list.length > max) return [tooMany(path, list.length, max)]
  return list.flatMap((item, i) => check(item, `${path}[${i}]`))
}

/** A list whose items differ in their keys; `shown` is how a key is named that comes twice. */
export function validateSet<T>(
  list: readonly T[] | undefined,
  max: number,
  check: ItemCheck<T>,
  keyOf: (item: T) => string,
  path: string,
  shown: (item: T) => unknown = keyOf,
): FieldError[] {
  const errors = validateList(list, max, check, path)
  if (list === undefined || list.length > max) return errors
  const seen = new Set<string>()
  for (const [i, item] of list.entries()) {
    const key = keyOf(item)
    if (seen.has(key)) errors.push(duplicate(`${path}[${i}]`, shown(item)))
    seen.add(key)
  }
  return errors
}

const shownKeyMin = 16

/** Keys are complained about where the map is, values where they are; of a long key the middle is left out. */
export function validateMap<T>(
  map: Readonly<Record<string, T>> | undefined,
  max: number,
  keyMax: number,
  checkKey: ItemCheck<string>,
  check: ItemCheck<T>,
  path: string,
): FieldError[] {
  const entries = Object.entries(map ?? {})
  if (entries.length > max) return [tooMany(path, entries.length, max)]
  return entries.flatMap(([key, value]) => [...checkKey(key, path), ...check(value, `${path}[${shortened(key, keyMax)}]`)])
}

function shortened(key: string, keyMax: number): string {
  const max = Math.max(keyMax, shownKeyMin)
  if (key.length <= max) return key
  const left = max - 3
  return `${key.slice(0, Math.floor((left + 1) / 2))}...${key.slice(key.length - Math.floor(left / 2))}`
}
