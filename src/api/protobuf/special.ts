// The messages of types that are one value in JSON: times, quantities, numbers or texts, raw JSON.

import { formatGoDuration, parseGoDuration } from '../schema/go-time.ts'
import { parseStored } from '../schema/json.ts'
import { stringifyJson } from '../schema/stringify.ts'
import { type BackwardWriter, ProtobufError, type Reader } from './wire.ts'

/** Writes the message's content; undefined is the zero value. */
export type WriteValue = (writer: BackwardWriter, value: unknown) => void
/** Reads the message's content; undefined when there is none. */
export type ReadValue = (reader: Reader) => unknown

export interface SpecialMessage {
  readonly write: WriteValue
  readonly read: ReadValue
}

/** Calls `field` for each field of a message. */
export function readFields(reader: Reader, field: (number: number, wire: number) => boolean): void {
  while (!reader.done) {
    const tag = reader.tag()
    const number = Math.floor(tag / 8)
    if (!field(number, tag % 8)) reader.skip(tag % 8)
  }
}

function writeText(writer: BackwardWriter, field: number, text: string): void {
  const before = writer.length
  writer.text(text)
  writer.prefix(field, before)
}

function timeMessage(nanosOf: (text: string) => number, textOf: (seconds: number, nanos: number) => string): SpecialMessage {
  return {
    write(writer, value) {
      if (typeof value !== 'string') return
      writer.varint(nanosOf(value))
      writer.tag(2, 0)
      writer.varint(Math.floor(Date.parse(value) / 1000))
      writer.tag(1, 0)
    },
    read(reader) {
      if (reader.done) return undefined
      let seconds = 0
      let nanos = 0
      readFields(reader, (number, wire) => {
        if (wire !== 0) return false
        if (number === 1) seconds = reader.signed()
        else if (number === 2) nanos = reader.signed()
        else return false
        return true
      })
      if (Math.abs(seconds) > 253_402_300_799) throw new ProtobufError('time is out of range')
      return textOf(seconds, nanos)
    },
  }
}

function secondsText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19)
}

const time = timeMessage(
  () => 0,
  (seconds) => `${secondsText(seconds)}Z`,
)

const microTime = timeMessage(
  (text) => Number(text.slice(20, 26)) * 1000,
  (seconds, nanos) => `${secondsText(seconds)}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`,
)

const duration: SpecialMessage = {
  write(writer, value) {
    writer.varint(BigInt(parseGoDuration(typeof value === 'string' ? value : '0s')))
    writer.tag(1, 0)
  },
  read(reader) {
    let nanos: number | bigint = 0
    readFields(reader, (number, wire) => {
      if (number !== 1 || wire !== 0) return false
      nanos = reader.whole()
      return true
    })
    return formatGoDuration(BigInt(nanos))
  },
}

const quantity: SpecialMessage = {
  write(writer, value) {
    writeText(writer, 1, typeof value === 'string' ? value : '0')
  },
  read(reader) {
    let text = ''
    readFields(reader, (number, wire) => {
      if (number !== 1 || wire !== 2) return false
      text = reader.text()
      return true
    })
    return text === '' ? '0' : text
  },
}

const intOrString: SpecialMessage = {
  write(writer, value) {
    writeText(writer, 3, typeof value === 'string' ? value : '')
    writer.varint(typeof value === 'number' ? value : 0)
    writer.tag(2, 0)
    writer.varint(typeof value === 'string' ? 1 : 0)
    writer.tag(1, 0)
  },
  read(reader) {
    let isText = false
    let number = 0
    let text = ''
    readFields(reader, (field, wire) => {
      if (field === 1 && wire === 0) isText = reader.signed() === 1
      else if (field === 2 && wire === 0) number = reader.signed()
      else if (field === 3 && wire === 2) text = reader.text()
      else return false
      return true
    })
    return isText ? text : number
  },
}

export const specialMessages: Readonly<Record<string, SpecialMessage>> = { time, microTime, duration, quantity, intOrString }

const utf8Decoder = new TextDecoder('utf-8')

/** RawExtension, FieldsV1 and JSON: a message whose one field is JSON text, or an object in protobuf. */
export const rawMessage = {
  write(writer: BackwardWriter, value: unknown): void {
    if (value !== undefined) writeText(writer, 1, stringifyJson(value))
  },
  read(reader: Reader): Uint8Array | undefined {
    let raw: Uint8Array | undefined
    readFields(reader, (number, wire) => {
      if (number !== 1 || wire !== 2) return false
      raw = reader.delimited()
      return true
    })
    return raw
  },
}

/** The value of a raw JSON text. Throws `ProtobufError`. */
export function parseRaw(raw: Uint8Array): unknown {
  try {
    return parseStored(utf8Decoder.decode(raw))
  } catch {
    throw new ProtobufError('raw extension holds no JSON')
  }
}
