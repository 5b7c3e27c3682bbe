// Managers may have written through other versions of a kind than the request's. Their paths are those of their version, so what
// changed is looked at in each.
import type { StructSchema } from '../schema/schema.ts'

export interface Versioned {
  readonly schema: StructSchema
  readonly object: unknown
}

/**
 * The object as another version shows it; undefined when that version is not served any more (then its managers are forgotten).
 * Without such a function paths are taken to mean the same in every version.
 */
export type ConvertObject = (object: unknown, apiVersion: string) => Versioned | undefined

export function inVersion(base: Versioned, ownVersion: string, wanted: string, convert: ConvertObject | undefined): Versioned | undefined {
  return wanted === ownVersion || convert === undefined ? base : convert(base.object, wanted)
}
