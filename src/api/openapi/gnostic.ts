// OpenAPI v2 documents in protobuf (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`), the form that kubectl before
// 1.27 and many libraries ask for. The messages are those of gnostic's openapi.v2; what is written is what our documents hold.
import { BackwardWriter } from '../protobuf/wire.ts'
import type { Json } from './definitions.ts'
import { inOneGo } from './documents.ts'

export const gnosticMediaType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** The document in protobuf. It takes a while: see `encodeOpenApiV2Steps`. */
export function encodeOpenApiV2(document: Json): Uint8Array {
  return inOneGo(encodeOpenApiV2Steps(document))
}

/** The same in small steps, for a server that must answer others in between. */
export function* encodeOpenApiV2Steps(document: Json): Generator<void, Uint8Array> {
  const writer = new BackwardWriter()
  for (const field of documentFields.toReversed()) {
    const [key, number] = field
    const entry = entryForms[key]
    if (entry === undefined) {
      writeFields(writer, [field], document)
      continue
    }
    const before = writer.length
    for (const [name, value] of Object.entries(document[key] as Json).reverse()) {
      writeMessage(writer, entry.number, (inner) => writeNamed(inner, name, value, entry.write), undefined)
      yield
    }
    writer.prefix(number, before)
  }
  return writer.finish()
}

type Write = (writer: BackwardWriter, value: unknown) => void

/** How a key of an object is written: its field number, and the form of its value. */
type FieldForm = readonly [key: string, number: number, form: 'text' | 'texts' | 'boolean' | 'number' | Write | readonly [Write]]

// Fields are written from the last to the first, and so are the items of lists.
function writeFields(writer: BackwardWriter, fields: readonly FieldForm[], object: Json): void {
  for (let i = fields.length - 1; i >= 0; i--) {
    const [key, number, form] = fields[i]!
    const value = object[key]
    if (value === undefined) continue
    if (form === 'text') writeText(writer, number, String(value))
    else if (form === 'texts') for (const text of (value as string[]).toReversed()) writeText(writer, number, text)
    else if (form === 'boolean') {
      writer.byte(value === true ? 1 : 0)
      writer.tag(number, 0)
    } else if (form === 'number') {
      writer.varint(value as number)
      writer.tag(number, 0)
    } else if (typeof form === 'function') writeMessage(writer, number, form, value)
    else for (const item of (value as unknown[]).toReversed()) writeMessage(writer, number, form[0], item)
  }
}

function writeText(writer: BackwardWriter, number: number, text: string): void {
  const before = writer.length
  writer.text(text)
  writer.prefix(number, before)
}

function writeMessage(writer: BackwardWriter, number: number, write: Write, value: unknown): void {
  const before = writer.length
  write(writer, value)
  writer.prefix(number, before)
}

/** A message of these fields; keys that begin with `x-` go to the field for vendor extensions. */
function message(fields: readonly FieldForm[], extensions?: number): Write {
  return (writer, value) => {
    const object = value as Json
    if (extensions !== undefined) {
      for (const key of Object.keys(object).reverse()) {
        if (key.startsWith('x-')) writeMessage(writer, extensions, (inner) => writeNamed(inner, key, object[key], writeAny), undefined)
      }
    }
    writeFields(writer, fields, object)
  }
}

/** Wraps a message in one that has it as its only field. */
function within(number: number, write: Write): Write {
  return (writer, value) => writeMessage(writer, number, write, value)
}

/** An object whose values have names of their own: repeated messages of name and value. */
function named(number: number, write: Write): Write {
  return (writer, value) => {
    for (const [key, inner] of Object.entries(value as Json).reverse()) {
      writeMessage(writer, number, (entry) => writeNamed(entry, key, inner, write), undefined)
    }
  }
}

function writeNamed(writer: BackwardWriter, name: string, value: unknown, write: Write): void {
  writeMessage(writer, 2, write, value)
  writeText(writer, 1, name)
}

// Any value, as YAML: JSON is YAML.
const writeAny: Write = (writer, value) => writeText(writer, 2, `${JSON.stringify(value)}\n`)

const reference = message([
  ['$ref', 1, 'text'],
  ['description', 2, 'text'],
])

const typeItem: Write = (writer, value) => {
  for (const text of [value].flat().reverse()) writeText(writer, 1, String(text))
}

const schemaLater: Write = (writer, value) => writeSchema(writer, value)

const writeSchema = message(
  [
    ['$ref', 1, 'text'],
    ['format', 2, 'text'],
    ['description', 4, 'text'],
    ['default', 5, writeAny],
    ['required', 19, 'texts'],
    ['enum', 20, [writeAny]],
    ['additionalProperties', 21, within(1, schemaLater)],
    ['type', 22, typeItem],
    ['items', 23, within(1, schemaLater)],
    ['properties', 25, named(1, schemaLater)],
  ],
  31,
)

const queryParameter = message([
  ['required', 1, 'boolean'],
  ['in', 2, 'text'],
  ['description', 3, 'text'],
  ['name', 4, 'text'],
  ['type', 6, 'text'],
  ['uniqueItems', 20, 'boolean'],
])

const pathParameter = message([
  ['required', 1, 'boolean'],
  ['in', 2, 'text'],
  ['description', 3, 'text'],
  ['name', 4, 'text'],
  ['type', 5, 'text'],
  ['uniqueItems', 19, 'boolean'],
])

const bodyParameter = message([
  ['name', 2, 'text'],
  ['in', 3, 'text'],
  ['required', 4, 'boolean'],
  ['schema', 5, writeSchema],
])

const writeParameter: Write = (writer, value) => {
  const { in: place } = value as { in: string }
  if (place === 'body') writeMessage(writer, 1, bodyParameter, value)
  else writeMessage(writer, 2, place === 'path' ? within(4, pathParameter) : within(3, queryParameter), value)
}

const parameterOrReference: Write = (writer, value) => {
  if ('$ref' in (value as Json)) writeMessage(writer, 2, reference, value)
  else writeMessage(writer, 1, writeParameter, value)
}

const response = message([
  ['description', 1, 'text'],
  ['schema', 2, within(1, writeSchema)],
])

const operation = message(
  [
    ['tags', 1, 'texts'],
    ['description', 3, 'text'],
    ['operationId', 5, 'text'],
    ['produces', 6, 'texts'],
    ['consumes', 7, 'texts'],
    ['parameters', 8, [parameterOrReference]],
    ['responses', 9, named(1, within(1, response))],
    ['schemes', 10, 'texts'],
  ],
  13,
)

const pathItem = message([
  ['get', 2, operation],
  ['put', 3, operation],
  ['post', 4, operation],
  ['delete', 5, operation],
  ['patch', 8, operation],
  ['parameters', 9, [parameterOrReference]],
])

const apiKey = message([
  ['type', 1, 'text'],
  ['name', 2, 'text'],
  ['in', 3, 'text'],
  ['description', 4, 'text'],
])

const stringArray: Write = (writer, value) => {
  for (const text of (value as string[]).toReversed()) writeText(writer, 1, text)
}

// The two big parts, which are written entry by entry.
const entryForms: Readonly<Record<string, { readonly number: number; readonly write: Write }>> = {
  paths: { number: 2, write: pathItem },
  definitions: { number: 1, write: writeSchema },
}

const documentFields: readonly FieldForm[] = [
  ['swagger', 1, 'text'],
  [
    'info',
    2,
    message([
      ['title', 1, 'text'],
      ['version', 2, 'text'],
    ]),
  ],
  ['paths', 8, named(2, pathItem)],
  ['definitions', 9, named(1, writeSchema)],
  ['parameters', 10, named(1, writeParameter)],
  ['security', 12, [named(1, stringArray)]],
  ['securityDefinitions', 13, named(1, within(2, apiKey))],
]
