// Bodies that end as the stored object does. Who reads an object, changes its metadata and writes it sends most bytes back as they
// were: managed fields, spec and status, in the order in which they are stored. These are compared as bytes and not parsed; only what
// stands before them is decoded.
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { compileDecoder } from '#api/schema/decode'
import { JsonSyntaxError, parseDocument } from '#api/schema/json'
import { DecodeError } from '#api/schema/scalars'
import { cloneJson } from '../registry/written.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { RawBody } from './body.ts'

const managedOpen = Buffer.from(',"managedFields":[')
const space = 0x20

type Fields = Record<string, unknown>

/**
 * The object that a body says, from the one that is stored: what `decodeBody` makes of it, without anything to be told. Undefined: it
 * is another, or has something to be told, and must be decoded as others are. All that the stored object says after metadata must
 * be what this server's decoder makes of it. Fields for which `shares` holds are the stored object's own.
 */
export function decodeAsStored(
  { media, bytes }: RawBody,
  stored: StoredObject,
  kind: Kind,
  shares: (field: string) => boolean,
): KubeObject | undefined {
  if (media !== 'json' || kind.custom) return undefined
  const old = stored.object()
  const { managedFields } = old.metadata
  if (managedFields === undefined || managedFields.length === 0) return undefined
  const beginning = stored.look((value) => beginningOf(bytes, value))
  const begun = beginning === undefined ? undefined : decodeBeginning(beginning, kind)
  if (begun === undefined) return undefined
  begun.metadata.managedFields = managedFields
  const object = begun as KubeObject & Fields
  const from = old as KubeObject & Fields
  for (const name in from) if (!beginningNames.has(name)) object[name] = shares(name) ? from[name] : cloneJson(from[name])
  return object
}

// What stands in a body before the managed fields, if from these on it is what is stored.
function beginningOf(body: Buffer, stored: Buffer): string | undefined {
  const at = stored.indexOf(managedOpen)
  let end = body.length
  // Compat: Go's encoders write a line break behind each object.
  while (end > 0 && body[end - 1]! <= space) end--
  const begin = end - (stored.length - at)
  if (at < 0 || begin <= 0 || body.compare(stored, at, stored.length, begin, end) !== 0) return undefined
  return body.toString('utf8', 0, begin)
}

const beginningNames: ReadonlySet<string> = new Set(['kind', 'apiVersion', 'metadata'])

// It must leave metadata open, and nothing else but the object; so the two braces that are missing are theirs.
function decodeBeginning(text: string, kind: Kind): KubeObject | undefined {
  try {
    const { value, doubled } = parseDocument(`${text}}}`, 'literals')
    if (doubled || !isBeginning(value, kind)) return undefined
    const { object, problems } = compileDecoder<KubeObject>(kind.schema())(value, 'strict')
    return problems.length > 0 || object.metadata.managedFields !== undefined ? undefined : object
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof DecodeError) return undefined
    throw error
  }
}

function isBeginning(value: unknown, kind: Kind): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const fields = value as Fields
  const names = Object.keys(fields)
  if (names.length !== beginningNames.size || names.at(-1) !== 'metadata' || !names.every((name) => beginningNames.has(name))) return false
  const metadata = fields['metadata']
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata) || Object.hasOwn(metadata, 'managedFields')) return false
  return fields['kind'] === kind.kind && fields['apiVersion'] === kind.apiVersion
}
