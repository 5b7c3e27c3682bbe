// Messages of API types, compiled from their schemas: proto2, scalars and structs that are no pointers always written, numbers in
// lists not packed, map entries sorted by key, as the generated Go code does it.
import { findBuiltinSchema } from '../schema/builtin.ts'
import { compileDecoder } from '../schema/decode.ts'
import { zeroScalar } from '../schema/scalars.ts'
import type { FieldSchema, ListSchema, MapSchema, Schema, StructSchema, UnionSchema } from '../schema/schema.ts'
import { fromBase64, toBase64 } from './base64.ts'
import { parseRaw, rawMessage, readFields, specialMessages } from './special.ts'
import { isProtobuf, readEnvelope } from './unknown.ts'
import { type BackwardWriter, ProtobufError, Reader, type WireType } from './wire.ts'

type Fields = Record<string, unknown>

/** A compiled struct: its content, without tag and length. */
export interface Message {
  readonly write: (writer: BackwardWriter, object: Fields) => void
  /** Merges the message into `object`. Values are as in JSON, not normalised: decode the result by its schema. */
  readonly read: (reader: Reader, object: Fields, depth: number) => void
}

interface Value {
  readonly wire: WireType
  /** Writes the value (with its length when it has one), not its tag. */
  readonly write: (writer: BackwardWriter, value: unknown) => void
  readonly read: (reader: Reader, depth: number) => unknown
}

const depthMax = 200

const messages = new WeakMap<StructSchema, Message>()

/** The message of a struct. Compiling the same schema again is free. */
export function messageOf(schema: StructSchema): Message {
  const known = messages.get(schema)
  if (known !== undefined) return known
  // Compiled on first use: types refer to themselves.
  let compiled: Message | undefined
  const get = (): Message => {
    compiled ??= compileMessage([...schema.fields.values()], 0)
    return compiled
  }
  const message: Message = {
    write: (writer, object) => get().write(writer, object),
    read: (reader, object, depth) => get().read(reader, object, depth),
  }
  messages.set(schema, message)
  return message
}

interface FieldMessage {
  readonly number: number
  readonly write: (writer: BackwardWriter, object: Fields) => void
  readonly read: (reader: Reader, object: Fields, wire: number, depth: number) => boolean
}

function compileMessage(fields: readonly FieldSchema[], level: number): Message {
  const inProtobuf = fields.filter((field) => field.protobuf !== undefined)
  const own = inProtobuf.filter((field) => field.protobuf!.within.length === level).map(fieldMessage)
  const held = new Map<number, FieldSchema[]>()
  for (const field of inProtobuf) {
    const holder = field.protobuf!.within[level]
    if (holder !== undefined) held.set(holder, [...(held.get(holder) ?? []), field])
  }
  const inlined = [...held].map(([number, inner]) => inlinedMessage(number, compileMessage(inner, level + 1)))
  const all = [...own, ...inlined].sort((a, b) => b.number - a.number)
  const byNumber = new Map(all.map((field) => [field.number, field]))
  return {
    write(writer, object) {
      for (const field of all) field.write(writer, object)
    },
    read(reader, object, depth) {
      if (depth > depthMax) throw new ProtobufError('exceeded max depth')
      readFields(reader, (number, wire) => byNumber.get(number)?.read(reader, object, wire, depth) ?? false)
    },
  }
}

// A message of its own on the wire whose fields JSON shows among those of the struct around it.
function inlinedMessage(number: number, message: Message): FieldMessage {
  return {
    number,
    write(writer, object) {
      const before = writer.length
      message.write(writer, object)
      writer.prefix(number, before)
    },
    read(reader, object, wire, depth) {
      if (wire !== 2) return false
      message.read(reader.message(), object, depth + 1)
      return true
    },
  }
}

function fieldMessage(field: FieldSchema): FieldMessage {
  const { schema } = field
  if (schema.type === 'list' && !schema.protobufMessage) return repeatedField(field, schema)
  if (schema.type === 'map') return mapField(field, schema)
  const { name } = field
  const number = field.protobuf!.number
  const value = valueCodec(schema)
  // Zero values that JSON leaves out are read over: every scalar that is no pointer is on the wire.
  const readsZero = field.pointer || !field.omitEmpty || schema.type === 'intOrString'
  // Bytes that are not there are nil; everything else that is no pointer has a zero value.
  const alwaysWritten = !field.pointer && schema.type !== 'bytes' && schema.type !== 'union'
  return {
    number,
    write(writer, object) {
      const given = object[name]
      if (given === undefined && !alwaysWritten) return
      value.write(writer, given)
      writer.tag(number, value.wire)
    },
    read(reader, object, wire, depth) {
      if (wire !== value.wire) return false
      const found = value.read(reader, depth)
      if (found !== undefined && (readsZero || (found !== '' && found !== 0 && found !== false))) object[name] = found
      return true
    },
  }
}

function repeatedField({ name, protobuf }: FieldSchema, schema: ListSchema): FieldMessage {
  const { number } = protobuf!
  const value = valueCodec(schema.items)
  return {
    number,
    write(writer, object) {
      const list = (object[name] ?? []) as unknown[]
      for (let i = list.length - 1; i >= 0; i--) {
        value.write(writer, list[i])
        writer.tag(number, value.wire)
      }
    },
    read(reader, object, wire, depth) {
      const list = (object[name] ?? []) as unknown[]
      object[name] = list
      if (wire === value.wire) {
        list.push(value.read(reader, depth) ?? null)
        return true
      }
      // Packed numbers are understood, though never written.
      if (wire !== 2 || value.wire !== 0) return false
      const packed = reader.message()
      while (!packed.done) list.push(value.read(packed, depth))
      return true
    },
  }
}

function mapField({ name, protobuf }: FieldSchema, schema: MapSchema): FieldMessage {
  const { number } = protobuf!
  const value = valueCodec(schema.values)
  return {
    number,
    write(writer, object) {
      const map = (object[name] ?? {}) as Fields
      for (const key of Object.keys(map).sort().reverse()) {
        const before = writer.length
        value.write(writer, map[key])
        writer.tag(2, value.wire)
        const beforeKey = writer.length
        writer.text(key)
        writer.prefix(1, beforeKey)
        writer.prefix(number, before)
      }
    },
    read(reader, object, wire, depth) {
      if (wire !== 2) return false
      const map = (object[name] ?? {}) as Fields
      object[name] = map
      let key = ''
      let found: unknown = null
      const entry = reader.message()
      readFields(entry, (field, entryWire) => {
        if (field === 1 && entryWire === 2) key = entry.text()
        else if (field === 2 && entryWire === value.wire) found = value.read(entry, depth) ?? null
        else return false
        return true
      })
      Object.defineProperty(map, key, { value: found, writable: true, enumerable: true, configurable: true })
      return true
    },
  }
}

function delimitedValue(write: (writer: BackwardWriter, value: unknown) => void, read: Value['read']): Value {
  return {
    wire: 2,
    write(writer, value) {
      const before = writer.length
      write(writer, value)
      writer.varint(writer.length - before)
    },
    read,
  }
}

function messageValue(message: () => Message): Value {
  return delimitedValue(
    (writer, value) => message().write(writer, (value ?? {}) as Fields),
    (reader, depth) => {
      const object: Fields = {}
      message().read(reader.message(), object, depth + 1)
      return object
    },
  )
}

const textValue = delimitedValue(
  (writer, value) => writer.text((value ?? '') as string),
  (reader) => reader.text(),
)

const bytesValue = delimitedValue(
  (writer, value) => writer.raw(fromBase64((value ?? '') as string)),
  (reader) => toBase64(reader.delimited()),
)

const numberValue: Value = {
  wire: 0,
  write: (writer, value) => writer.varint((value ?? 0) as number | bigint),
  read: (reader) => reader.whole(),
}

const booleanValue: Value = {
  wire: 0,
  write: (writer, value) => writer.byte(value === true ? 1 : 0),
  read: (reader) => reader.unsigned() !== 0,
}

const doubleValue: Value = {
  wire: 1,
  write: (writer, value) => writer.double((value ?? 0) as number),
  read: (reader) => reader.double(),
}

function valueCodec(schema: Schema): Value {
  switch (schema.type) {
    case 'struct':
      return messageValue(() => messageOf(schema))
    case 'ref':
      return messageValue(() => messageOf(schema.resolve()))
    case 'string':
      return textValue
    case 'bytes':
      return bytesValue
    case 'boolean':
      return booleanValue
    case 'int32':
    case 'int64':
      return numberValue
    case 'number':
      return doubleValue
    case 'any':
      return rawValue
    case 'union':
      return unionValue(schema)
    case 'list':
      return itemsValue(schema)
    case 'map':
      throw new ProtobufError('maps of maps have no protobuf form')
    default: {
      const zero = zeroScalar(schema.type)
      const special = specialMessages[schema.type]!
      return specialValue({ write: (writer, value) => special.write(writer, value ?? zero), read: special.read })
    }
  }
}

// Raw JSON, or an object in protobuf in its place.
const rawValue = delimitedValue(
  (writer, value) => rawMessage.write(writer, value),
  (reader, depth) => {
    const raw = rawMessage.read(reader.message())
    if (raw === undefined || raw.length === 0) return undefined
    if (!isProtobuf(raw)) return parseRaw(raw)
    const { schema, object } = readObject(raw, depth + 1)
    return compileDecoder(schema)(object, 'ignore').object
  },
)

function specialValue(special: { write: (writer: BackwardWriter, value: unknown) => void; read: (reader: Reader) => unknown }): Value {
  return delimitedValue(special.write, (reader) => special.read(reader.message()))
}

export interface ReadObject {
  readonly schema: StructSchema
  readonly apiVersion: string
  readonly kind: string
  /** Not normalised. */
  readonly object: Fields
}

/** An object with its envelope. Throws `ProtobufError`, also for kinds that are not built in. */
export function readObject(bytes: Uint8Array, depth: number): ReadObject {
  const { apiVersion, kind, raw } = readEnvelope(bytes)
  const schema = findBuiltinSchema(apiVersion, kind)
  if (schema === undefined)
    throw new ProtobufError(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
  const object: Fields = { kind, apiVersion }
  messageOf(schema).read(new Reader(raw), object, depth)
  return { schema, apiVersion, kind, object }
}

// A list that is a message of its own: `items = 1`.
function itemsValue(schema: ListSchema): Value {
  const value = valueCodec(schema.items)
  return delimitedValue(
    (writer, given) => {
      for (const item of ((given ?? []) as unknown[]).toReversed()) {
        value.write(writer, item)
        writer.tag(1, value.wire)
      }
    },
    (reader, depth) => {
      const list: unknown[] = []
      const message = reader.message()
      readFields(message, (number, wire) => {
        if (number !== 1 || wire !== value.wire) return false
        list.push(value.read(message, depth))
        return true
      })
      return list
    },
  )
}

// A schema (field `schema`), or a list of schemas, a boolean or a list of texts.
function unionValue(union: UnionSchema): Value {
  const schema = messageValue(() => messageOf(union.object.resolve()))
  const isBool = union.name === 'JSONSchemaPropsOrBool'
  const schemaNumber = isBool ? 2 : 1
  const item = union.name === 'JSONSchemaPropsOrArray' ? schema : textValue
  return delimitedValue(
    (writer, value) => {
      if (Array.isArray(value)) {
        for (const entry of value.toReversed()) {
          item.write(writer, entry)
          writer.tag(2, 2)
        }
      } else if (typeof value === 'object' && value !== null) {
        schema.write(writer, value)
        writer.tag(schemaNumber, 2)
      }
      if (isBool) {
        booleanValue.write(writer, value === true || typeof value === 'object')
        writer.tag(1, 0)
      }
    },
    (reader, depth) => {
      const message = reader.message()
      let allows = false
      let single: unknown
      const list: unknown[] = []
      readFields(message, (number, wire) => {
        if (isBool && number === 1 && wire === 0) allows = message.unsigned() !== 0
        else if (number === schemaNumber && wire === 2) single = schema.read(message, depth)
        else if (!isBool && number === 2 && wire === 2) list.push(item.read(message, depth))
        else return false
        return true
      })
      return single ?? (isBool ? allows : list)
    },
  )
}
