// How OpenAPI documents are written in gnostic's protobuf form, in either version: messages as tables of fields, objects whose values
// have names of their own, and vendor extensions. Messages are written backwards, so that lengths are known when they are needed.
import { BackwardWriter } from '../protobuf/wire.ts'
import type { Json } from './definitions.ts'

export type Write = (writer: BackwardWriter, value: unknown) => void

/** How a key of an object is written: its field number, and the form of its value. A form in brackets is a list of such. */
export type FieldForm = readonly [
  key: string,
  number: number,
  form: 'text' | 'texts' | 'boolean' | 'whole' | 'double' | Write | readonly [Write],
]

// Fields are written from the last to the first, and so are the items of lists. Zero values are absent, as in proto3.
function writeFields(writer: BackwardWriter, fields: readonly FieldForm[], object: Json): void {
  for (let i = fields.length - 1; i >= 0; i--) {
    const [key, number, form] = fields[i]!
    const value = object[key]
    if (value === undefined || value === null) continue
    if (typeof form === 'function') writeMessage(writer, number, form, value)
    else if (form === 'text') {
      if (value !== '') writeText(writer, number, String(value))
    } else if (form === 'boolean') {
      if (value === true) writeBoolean(writer, number, true)
    } else if (form === 'whole') {
      if (typeof value !== 'number' || value === 0) continue
      writer.varint(Math.trunc(value))
      writer.tag(number, 0)
    } else if (form === 'double') {
      if (typeof value !== 'number' || value === 0) continue
      writer.double(value)
      writer.tag(number, 1)
    } else if (!Array.isArray(value)) {
      // A list that is none: another server's mistake, which is left out.
    } else if (form === 'texts') for (const text of value.toReversed()) writeText(writer, number, String(text))
    else for (const item of value.toReversed()) writeMessage(writer, number, form[0], item)
  }
}

export function writeText(writer: BackwardWriter, number: number, text: string): void {
  const before = writer.length
  writer.text(text)
  writer.prefix(number, before)
}

export function writeBoolean(writer: BackwardWriter, number: number, value: boolean): void {
  writer.byte(value ? 1 : 0)
  writer.tag(number, 0)
}

export function writeMessage(writer: BackwardWriter, number: number, write: Write, value: unknown): void {
  const before = writer.length
  write(writer, value)
  writer.prefix(number, before)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A message of these fields; keys that begin with `x-` go to the field for extensions. */
export function message(fields: readonly FieldForm[], extensions?: number): Write {
  return (writer, value) => {
    if (!isObject(value)) return
    if (extensions !== undefined) {
      for (const key of Object.keys(value).reverse()) {
        if (key.startsWith('x-')) writeMessage(writer, extensions, (inner) => writeNamed(inner, key, value[key], writeAny), undefined)
      }
    }
    writeFields(writer, fields, value)
  }
}

/** Wraps a message in one that has it as its only field. */
export function within(number: number, write: Write): Write {
  return (writer, value) => writeMessage(writer, number, write, value)
}

/** An object whose values have names of their own: repeated messages of name and value. Keys of `leave` are left out. */
export function named(number: number, write: Write, leave: (key: string) => boolean = () => false): Write {
  return (writer, value) => {
    if (!isObject(value)) return
    for (const [key, inner] of Object.entries(value).reverse()) {
      if (!leave(key)) writeMessage(writer, number, (entry) => writeNamed(entry, key, inner, write), undefined)
    }
  }
}

export function writeNamed(writer: BackwardWriter, name: string, value: unknown, write: Write): void {
  writeMessage(writer, 2, write, value)
  writeText(writer, 1, name)
}

/** Any value, as YAML: JSON is YAML. */
export const writeAny: Write = (writer, value) => writeText(writer, 2, `${JSON.stringify(value)}\n`)

/** A list of texts in a message of its own. */
export const stringArray: Write = (writer, value) => {
  for (const text of [value].flat().reverse()) writeText(writer, 1, String(text))
}

/** One of the two: a reference, when there is `$ref`, or the thing itself. */
export function orReference(number: number, write: Write, referenceNumber: number, reference: Write): Write {
  return (writer, value) => {
    if (isObject(value) && typeof value['$ref'] === 'string') writeMessage(writer, referenceNumber, reference, value)
    else writeMessage(writer, number, write, value)
  }
}

/** True or false in one field, anything else in the other. */
export function orBoolean(number: number, write: Write, booleanNumber: number): Write {
  return (writer, value) => {
    if (typeof value === 'boolean') writeBoolean(writer, booleanNumber, value)
    else writeMessage(writer, number, write, value)
  }
}

/** A part of a document whose entries are written one at a time: its key, number, and the number and form of its entries. */
export interface LargePart {
  readonly key: string
  readonly entryNumber: number
  readonly write: Write
}

/** Writes a document entry by entry: of each large part, a step for each entry. */
export function* documentSteps(
  document: Json,
  fields: readonly FieldForm[],
  parts: readonly LargePart[],
  writer = new BackwardWriter(),
): Generator<void, BackwardWriter> {
  for (const field of fields.toReversed()) {
    const [key, number] = field
    const part = parts.find((candidate) => candidate.key === key)
    if (part === undefined) {
      writeFields(writer, [field], document)
      continue
    }
    if (!isObject(document[key])) continue
    const before = writer.length
    for (const [name, value] of Object.entries(document[key]).reverse()) {
      writeMessage(writer, part.entryNumber, (inner) => writeNamed(inner, name, value, part.write), undefined)
      yield
    }
    writer.prefix(number, before)
  }
  return writer
}
