// Schemas of the built-in types, built from the generated tables on first use.
import type { StructSchema } from './schema.ts'

/** The schema of a served kind. */
export function builtinSchema(apiVersion: string, kind: string): StructSchema {
  throw new Error(`assertion failed: no schema of ${apiVersion} ${kind}`)
}
