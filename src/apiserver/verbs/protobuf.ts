// Protobuf bodies of built-in kinds: the wire form that clients written in Go prefer.
import { badRequest, entityTooLarge, type StatusBody } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { decodeObject, encodeObject, encodeWatchEvent } from '#api/protobuf/envelope'
import { readEnvelope } from '#api/protobuf/unknown'
import { ProtobufError } from '#api/protobuf/wire'
import { builtinSchema } from '#api/schema/builtin'
import { jsonValuesMax } from '#api/schema/json'
import { DecodeError } from '#api/schema/scalars'
import type { KindCatalog } from '../request.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { Output } from './negotiate.ts'
import { unrecognized, wrongKind } from './wrong-kind.ts'

/** What a list says of itself. */
interface ListMeta {
  readonly revision: number
  readonly continue: string
  readonly remaining: number | undefined
}

function bytesOf(encoded: Uint8Array): Buffer {
  return Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength)
}

export function encodeProtobuf(kind: Kind, object: KubeObject): Buffer {
  return bytesOf(encodeObject(kind.schema(), object))
}

export function encodeStatusProtobuf(status: StatusBody): Buffer {
  return bytesOf(encodeObject(builtinSchema('v1', 'Status'), status))
}

/** The object's metadata alone. */
export function encodePartialProtobuf(object: StoredObject, metaVersion: string): Buffer {
  const apiVersion = `meta.k8s.io/${metaVersion}`
  const { metadata } = object.object()
  return bytesOf(encodeObject(partialSchema('PartialObjectMetadata'), { apiVersion, kind: 'PartialObjectMetadata', metadata }))
}

function partialSchema(kind: string): ReturnType<typeof builtinSchema> {
  return builtinSchema('meta.k8s.io/v1', kind)
}

function listMetadata(meta: ListMeta): object {
  return {
    resourceVersion: String(meta.revision),
    ...(meta.continue === '' ? {} : { continue: meta.continue }),
    ...(meta.remaining === undefined || meta.continue === '' ? {} : { remainingItemCount: meta.remaining }),
  }
}

export function encodeProtobufList(kind: Kind, meta: ListMeta, items: readonly StoredObject[], output: Output): Buffer {
  const metadata = listMetadata(meta)
  if (output.as === 'object') {
    const list = { apiVersion: kind.apiVersion, kind: kind.listKind, metadata, items: items.map((item) => item.object()) }
    return bytesOf(encodeObject(builtinSchema(kind.apiVersion, kind.listKind), list))
  }
  const apiVersion = `meta.k8s.io/${output.metaVersion}`
  const partials = items.map((item) => ({ apiVersion, kind: 'PartialObjectMetadata', metadata: item.object().metadata }))
  const list = { apiVersion, kind: 'PartialObjectMetadataList', metadata, items: partials }
  return bytesOf(encodeObject(partialSchema('PartialObjectMetadataList'), list))
}

/** A watch event as a length-delimited frame. */
export function frameObject(type: string, object: StoredObject, output: Output): Buffer {
  const encoded =
    output.as === 'object' ? encodeProtobuf(object.context.kind, object.object()) : encodePartialProtobuf(object, output.metaVersion)
  return bytesOf(encodeWatchEvent(type, encoded))
}

export function frameBookmark(kind: Kind, revision: number, initialEventsEnd: boolean, output: Output): Buffer {
  const metadata = {
    resourceVersion: String(revision),
    ...(initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  }
  const whole = output.as === 'object'
  const schema = whole ? kind.schema() : partialSchema('PartialObjectMetadata')
  const type = whole
    ? { apiVersion: kind.apiVersion, kind: kind.kind }
    : { apiVersion: `meta.k8s.io/${output.metaVersion}`, kind: 'PartialObjectMetadata' }
  return bytesOf(encodeWatchEvent('BOOKMARK', encodeObject(schema, { ...type, metadata })))
}

export function frameError(status: StatusBody): Buffer {
  return bytesOf(encodeWatchEvent('ERROR', encodeStatusProtobuf(status)))
}

// As of JSON bodies; a field or item takes a byte at least.
function checkValues(object: KubeObject): void {
  let values = 0
  const open: object[] = [object]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    for (const key in value) {
      if (++values > jsonValuesMax) throw entityTooLarge(`limit is ${jsonValuesMax} fields and items`)
      const child = (value as Record<string, unknown>)[key]
      if (typeof child === 'object' && child !== null) open.push(child)
    }
  }
}

const noProtobuf =
  'object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message'

/** A body in the protobuf envelope. Throws BadRequest. */
export function decodeProtobuf(bytes: Buffer, kinds: readonly Kind[], catalog: KindCatalog): { object: KubeObject; kind: Kind } {
  const expected = kinds[0]!
  const said = orRefused(
    () => readEnvelope(bytes),
    (why) => unrecognized(expected, why, bytes),
  )
  const apiVersion = said.apiVersion || expected.apiVersion
  const name = said.kind || expected.kind
  const version = JSON.stringify(apiVersion.slice(apiVersion.lastIndexOf('/') + 1))
  const refused = (why: string): Error => badRequest(`${name} in version ${version} cannot be handled as a ${expected.kind}: ${why}`)
  if (expected.custom) throw refused(noProtobuf)
  const kind = kinds.find((k) => k.kind === name && k.apiVersion === apiVersion)
  if (kind === undefined) throw wrongKind(expected, name, apiVersion, catalog)
  const object = orRefused(() => decodeObject(bytes).object as unknown as KubeObject, refused)
  if (bytes.length > jsonValuesMax) checkValues(object)
  object.apiVersion = kind.apiVersion
  object.kind = kind.kind
  return { object, kind }
}

function orRefused<R>(run: () => R, refusal: (why: string) => Error): R {
  try {
    return run()
  } catch (error) {
    if (error instanceof ProtobufError || error instanceof DecodeError) throw refusal(error.message)
    throw error
  }
}

export function decodeDeleteOptionsProtobuf(bytes: Buffer): unknown {
  try {
    return decodeObject(bytes).object
  } catch (error) {
    if (error instanceof ProtobufError || error instanceof DecodeError) throw badRequest(error.message)
    throw error
  }
}
