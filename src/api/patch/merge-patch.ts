// JSON merge patch (RFC 7386): objects are merged, null takes away, everything else replaces.
import { setOwn } from '../schema/decode.ts'
import { isObject, type JsonObject } from './values.ts'

/** `target` with `patch` applied. Neither is changed; the result shares parts of both. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const out: JsonObject = isObject(target) ? copy(target) : {}
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (value === null) delete out[key]
    else setOwn(out, key, applyMergePatch(Object.hasOwn(out, key) ? out[key] : undefined, value))
  }
  return out
}

// Spreading keeps an own `__proto__` as an own property.
function copy(object: JsonObject): JsonObject {
  return { ...object }
}
