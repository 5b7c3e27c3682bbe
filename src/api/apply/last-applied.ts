// kubectl's annotation of client-side apply, as server-side apply treats it when kubectl moves from one to the other: what the
// annotation says and nobody changed since is no conflict, and the annotation is kept up to date.
import { parseJson } from '../schema/json.ts'
import type { StructSchema } from '../schema/schema.ts'
import { stringifyJson } from '../schema/stringify.ts'
import { checkApplied } from './check-applied.ts'
import { compareObjects, fieldSetOfObject } from './compare.ts'
import { difference, type FieldSet } from './field-set.ts'

const annotation = 'kubectl.kubernetes.io/last-applied-configuration'
// Kubernetes' limit for all annotations of an object together.
const annotationsBytesMax = 256 * 1024

interface Request {
  readonly schema: StructSchema
  readonly apiVersion: string
  readonly live: unknown
  readonly applied: unknown
  readonly manager: string
}

type Annotated = { readonly metadata?: { annotations?: Record<string, string> } | null } | undefined

function lastAppliedOf(object: unknown): string | undefined {
  const annotations = (object as Annotated)?.metadata?.annotations
  return annotations !== undefined && Object.hasOwn(annotations, annotation) ? annotations[annotation] : undefined
}

/** Fields that the annotation of the live object says and that are still as it says. */
export function allowedByLastApplied({ schema, apiVersion, live }: Request): FieldSet | undefined {
  const text = lastAppliedOf(live)
  if (text === undefined || text === '') return undefined
  let said: unknown
  try {
    said = parseJson(text)
  } catch {
    return undefined
  }
  if ((said as { apiVersion?: unknown } | null)?.apiVersion !== apiVersion || checkApplied(schema, said) !== undefined) return undefined
  const changes = compareObjects(schema, said, live)
  return difference(difference(difference(fieldSetOfObject(schema, said), changes?.modified), changes?.added), changes?.removed)
}

/** The object with the annotation brought up to date, when kubectl applied and the object has it. Changes and returns `object`. */
export function withLastApplied({ manager, applied }: Request, object: unknown): unknown {
  if (manager !== 'kubectl' || !lastAppliedOf(object)) return object
  const annotations = (object as { metadata: { annotations: Record<string, string> } }).metadata.annotations
  const text = `${stringifyJson(withoutAnnotation(applied))}\n`
  annotations[annotation] = text
  const total = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (total > annotationsBytesMax) delete annotations[annotation]
  return object
}

function withoutAnnotation(applied: unknown): unknown {
  const { metadata, ...rest } = applied as { metadata?: { annotations?: Record<string, string> | null } }
  if (!metadata?.annotations || !Object.hasOwn(metadata.annotations, annotation)) return applied
  const { [annotation]: _, ...annotations } = metadata.annotations
  return { ...rest, metadata: { ...metadata, annotations } }
}
