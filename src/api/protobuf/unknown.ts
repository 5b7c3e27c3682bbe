// The envelope of objects in protobuf: four magic bytes, then the message runtime.Unknown, which names the kind and holds the object.

import { readFields } from './special.ts'
import { ProtobufError, Reader } from './wire.ts'

export const magic = Uint8Array.of(0x6b, 0x38, 0x73, 0x00)

/** Whether these are the first bytes of an object in protobuf. */
export function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && magic.every((byte, i) => bytes[i] === byte)
}

export interface Envelope {
  readonly apiVersion: string
  readonly kind: string
  /** The object's message; a view of the input. */
  readonly raw: Uint8Array
  readonly contentType: string
}

/** What the envelope says, without decoding the object. Throws `ProtobufError`. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  if (!isProtobuf(bytes)) throw new ProtobufError('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  const reader = new Reader(bytes, magic.length)
  let apiVersion = ''
  let kind = ''
  let raw = new Uint8Array(0)
  let contentType = ''
  readFields(reader, (number, wire) => {
    if (wire !== 2) return false
    if (number === 1) {
      const type = reader.message()
      readFields(type, (field, typeWire) => {
        if (typeWire !== 2) return false
        if (field === 1) apiVersion = type.text()
        else if (field === 2) kind = type.text()
        else return false
        return true
      })
    } else if (number === 2) raw = reader.delimited() as Uint8Array<ArrayBuffer>
    else if (number === 4) contentType = reader.text()
    else return false
    return true
  })
  return { apiVersion, kind, raw, contentType }
}
