// The bytes of a stored object, read and spliced without decoding. Stored JSON is canonical: it begins with kind, apiVersion
// and metadata and has no resourceVersion, because that is the store's revision and not known before the write.

import { managedFieldsText, readManagedFields } from '#api/apply/shared-sets'
import type { ManagedFieldsEntry } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { parseStored } from '#api/schema/json'
import { stringifyJson } from '#api/schema/stringify'
import { fieldsFromWire, fromWire, toWire } from '#api/schema/wire'
import { type Fields, knownText, SharedParts } from './shared-parts.ts'

/** The fixed beginning of every stored object of one kind, up to and including the brace of metadata. */
export interface StoredHead {
  readonly full: Buffer
  /** What stands in its place in a list of a built-in kind, whose items carry no kind and apiVersion. */
  readonly item: Buffer
}

export function storedHead(apiVersion: string, kind: string, itemsKeepType: boolean): StoredHead {
  const full = Buffer.from(`{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":{`)
  return { full, item: itemsKeepType ? full : Buffer.from('{"metadata":{') }
}

/** Whether `stored` begins as canonical bytes of this head do, with at least one field in metadata. */
export function hasHead(stored: Buffer, head: StoredHead): boolean {
  const length = head.full.length
  return stored.length > length && stored[length] === quote && stored.compare(head.full, 0, length, 0, length) === 0
}

// Metadata in the order it is written, but for managedFields, which come last. labels come early: they are read from the bytes.
const metadataOrder = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
] as const

/** An object as it is stored: canonical order, no resourceVersion. */
export function encodeStored(kind: Kind, object: KubeObject): Buffer {
  return Buffer.from(storedText(kind, object))
}

/** `encodeStored` as text. */
export function storedText(kind: Kind, object: KubeObject): string {
  const wire = onWire(kind, object)
  return textThroughMetadata(kind, wire) + textAfterMetadata(kind, wire)
}

/** What stands in `encodeStored` after metadata: the same for all objects that have the same there. */
export function storedRest(kind: Kind, object: KubeObject): Buffer {
  return Buffer.from(textAfterMetadata(kind, onWire(kind, object)))
}

/** `encodeStored` of an object whose rest is known: only metadata is looked at. */
export function encodeBefore(kind: Kind, { metadata }: KubeObject, rest: Buffer): Buffer {
  const text = textThroughMetadata(kind, toWire(kind.schema(), { metadata }) as WireObject)
  const length = Buffer.byteLength(text)
  const out = Buffer.allocUnsafeSlow(length + rest.length)
  out.write(text)
  rest.copy(out, length)
  return out
}

type WireObject = KubeObject & Record<string, unknown>

// Fields whose text is known stay as they are.
function onWire(kind: Kind, object: KubeObject): WireObject {
  return toWire(kind.schema(), object, (value) => knownText(kind, value) !== undefined) as WireObject
}

function textThroughMetadata(kind: Kind, wire: WireObject): string {
  const source = wire.metadata as unknown as Record<string, unknown>
  const metadata: Record<string, unknown> = {}
  for (const name of metadataOrder) {
    const value = source[name]
    if (value !== undefined) metadata[name] = value
  }
  const managed = wire.metadata.managedFields
  const metadataText = withManagedFields(stringifyJson(metadata), managed)
  // What the object says of its type is not asked: bytes are read by the beginning that its kind has.
  return `{"kind":${JSON.stringify(kind.kind)},"apiVersion":${JSON.stringify(kind.apiVersion)},"metadata":${metadataText}`
}

function textAfterMetadata(kind: Kind, wire: WireObject): string {
  let text = ''
  for (const name in wire) {
    if (name === 'kind' || name === 'apiVersion' || name === 'metadata') continue
    const value = knownText(kind, wire[name]) ?? stringifyJson(wire[name])
    if (value !== undefined) text += `,${JSON.stringify(name)}:${value}`
  }
  return `${text}}`
}

// They come last.
function withManagedFields(metadata: string, managed: readonly ManagedFieldsEntry[] | undefined): string {
  if (managed === undefined) return metadata
  return `${metadata.slice(0, -1)}${metadata === '{}' ? '' : ','}"managedFields":${managedFieldsText(managed)}}`
}

const managedOpen = ',"managedFields":['
const statusOpen = ',"status":{'

// Specs are many and large; statuses that repeat are few and small.
const mainParts = new SharedParts(2 ** 18)
const statusParts = new SharedParts(2 ** 14)

/**
 * The object of which `storedText` wrote this text for this kind. What comes again is parsed once for all that have it: the sets of
 * managed fields, the fields after metadata, and status.
 */
export function readStoredText<T extends KubeObject = KubeObject>(kind: Kind, head: StoredHead, text: string): T {
  const shared = (value: unknown): boolean => knownText(kind, value) !== undefined
  return fromWire<T>(kind.schema(), parseStoredText(kind, head, text), shared)
}

function parseStoredText(kind: Kind, head: StoredHead, text: string): unknown {
  const at = text.indexOf(managedOpen)
  if (at < 0) return parseStored(text)
  try {
    const read = readManagedFields(text, at + managedOpen.length)
    // They end metadata; what stands before and after them must be whole for itself, or they are some other field of this name.
    if (read === undefined || text[read.end + 1] !== '}') return parseStored(text)
    const metadata = parseStored(`${text.slice(head.full.length - 1, at)}}`) as object
    const others = restOf(kind, text, read.end + 2)
    return { kind: kind.kind, apiVersion: kind.apiVersion, metadata: { ...metadata, managedFields: read.entries }, ...others }
  } catch {
    return parseStored(text)
  }
}

// The fields after metadata, which end with the object's brace.
function restOf(kind: Kind, text: string, begin: number): Fields {
  const end = text.length - 1
  const statusAt = text.lastIndexOf(statusOpen)
  const mainEnd = statusAt < begin ? end : statusAt
  const main = mainEnd === begin ? {} : mainParts.fieldsOf(kind, text.slice(begin, mainEnd), parsePart)
  return mainEnd === end ? main : { ...main, ...statusParts.fieldsOf(kind, text.slice(mainEnd, end), parsePart) }
}

// Throws unless the text is that of whole fields, so that no brace of one part closes what another opens.
function parsePart(kind: Kind, text: string): Fields {
  const fields = parseStored(`{${text.slice(1)}}`) as Record<string, unknown>
  fieldsFromWire(kind.schema(), fields)
  return fields
}

/** Number of bytes that `spliceInto` writes. */
export function splicedLength(storedLength: number, head: StoredHead, version: string, asItem: boolean): number {
  return storedLength + versionOpen.length + version.length + 2 + (asItem ? head.item.length - head.full.length : 0)
}

/** Writes the object with its resourceVersion at `offset`; returns the offset after it. */
export function spliceInto(target: Buffer, offset: number, stored: Buffer, head: StoredHead, version: string, asItem: boolean): number {
  const begin = asItem ? head.item : head.full
  target.set(begin, offset)
  let at = offset + begin.length
  target.set(versionOpen, at)
  at += versionOpen.length
  for (let i = 0; i < version.length; i++) target[at++] = version.charCodeAt(i)
  target[at++] = quote
  target[at++] = comma
  stored.copy(target, at, head.full.length)
  return at + stored.length - head.full.length
}

/** The object as clients get it: canonical JSON, resourceVersion included. */
export function spliced(stored: Buffer, head: StoredHead, version: string): Buffer {
  const out = Buffer.allocUnsafeSlow(splicedLength(stored.length, head, version, false))
  spliceInto(out, 0, stored, head, version, false)
  return out
}

const versionOpen = Buffer.from('"resourceVersion":"')
const quote = 0x22
const comma = 0x2c
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const colon = 0x3a

/**
 * Where the value at `path` stands in canonical (space-free) JSON: [start, end), or undefined. Reads only as far as it must.
 */
export function findValue(json: Buffer, path: readonly Buffer[]): readonly [number, number] | undefined {
  let at = 0
  for (const name of path) {
    if (json[at] !== openBrace) return undefined
    at++
    let found = false
    while (json[at] === quote) {
      const keyStart = at + 1
      const keyEnd = endOfString(json, keyStart)
      at = keyEnd + 1
      if (json[at] !== colon) return undefined
      at++
      if (keyEnd - keyStart === name.length && json.compare(name, 0, name.length, keyStart, keyEnd) === 0) {
        found = true
        break
      }
      at = endOfValue(json, at)
      if (json[at] !== comma) break
      at++
    }
    if (!found) return undefined
  }
  return [at, endOfValue(json, at)]
}

/** The string at `path`, or empty when there is none. */
export function peekString(json: Buffer, path: readonly Buffer[]): string {
  const place = findValue(json, path)
  if (place === undefined || json[place[0]] !== quote) return ''
  return JSON.parse(json.toString('utf8', place[0], place[1])) as string
}

/** The JSON text at `path`, or undefined. */
export function peekText(json: Buffer, path: readonly Buffer[]): string | undefined {
  const place = findValue(json, path)
  return place === undefined ? undefined : json.toString('utf8', place[0], place[1])
}

// Index of the closing quote of the string whose content begins at `at`.
function endOfString(json: Buffer, at: number): number {
  let i = at
  while (i < json.length) {
    const byte = json[i]!
    if (byte === backslash) i += 2
    else if (byte === quote) return i
    else i++
  }
  return i
}

function endOfValue(json: Buffer, at: number): number {
  const first = json[at]!
  if (first === quote) return endOfString(json, at + 1) + 1
  let i = at
  if (first !== openBrace && first !== openBracket) {
    while (i < json.length) {
      const byte = json[i]!
      if (byte === comma || byte === closeBrace || byte === closeBracket) return i
      i++
    }
    return i
  }
  let depth = 0
  while (i < json.length) {
    const byte = json[i]!
    if (byte === quote) i = endOfString(json, i + 1)
    else if (byte === openBrace || byte === openBracket) depth++
    else if (byte === closeBrace || byte === closeBracket) {
      depth--
      if (depth === 0) return i + 1
    }
    i++
  }
  return i
}
