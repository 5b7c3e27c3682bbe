// Objects in protobuf as Kubernetes sends and stores them, each in its envelope (`application/vnd.kubernetes.protobuf`).
import { compileDecoder } from '../schema/decode.ts'
import type { StructSchema } from '../schema/schema.ts'
import { messageOf, readObject } from './message.ts'
import { magic } from './unknown.ts'
import { BackwardWriter } from './wire.ts'

export const protobufMediaType = 'application/vnd.kubernetes.protobuf'

/** An object, envelope included. The object is in memory form and names its kind; it is not changed. */
export function encodeObject(schema: StructSchema, object: unknown): Uint8Array {
  const { apiVersion = '', kind = '' } = object as { apiVersion?: string; kind?: string }
  const writer = new BackwardWriter()
  writeText(writer, 4, '')
  writeText(writer, 3, '')
  const beforeRaw = writer.length
  messageOf(schema).write(writer, object as Record<string, unknown>)
  writer.prefix(2, beforeRaw)
  const beforeType = writer.length
  writeText(writer, 2, kind)
  writeText(writer, 1, apiVersion)
  writer.prefix(1, beforeType)
  writer.raw(magic)
  return writer.finish()
}

function writeText(writer: BackwardWriter, field: number, text: string): void {
  const before = writer.length
  writer.text(text)
  writer.prefix(field, before)
}

export interface DecodedObject {
  readonly apiVersion: string
  readonly kind: string
  readonly object: Record<string, unknown>
}

/** An object in memory form of its bytes, envelope included. Throws `ProtobufError` also for kinds that are not built in. */
export function decodeObject(bytes: Uint8Array): DecodedObject {
  const { schema, apiVersion, kind, object } = readObject(bytes, 0)
  return { apiVersion, kind, object: compileDecoder<Record<string, unknown>>(schema)(object, 'ignore').object }
}

/**
 * One event of a watch in protobuf, framed: four bytes of length (big endian), then the message WatchEvent, whose object is
 * `encoded` with its envelope (`application/vnd.kubernetes.protobuf;stream=watch`).
 */
export function encodeWatchEvent(type: string, encoded: Uint8Array): Uint8Array {
  const writer = new BackwardWriter()
  const before = writer.length
  writer.raw(encoded)
  writer.prefix(1, before)
  writer.prefix(2, before)
  writeText(writer, 1, type)
  const size = writer.length
  writer.raw(Uint8Array.of(size >>> 24, size >>> 16, size >>> 8, size))
  return writer.finish()
}
