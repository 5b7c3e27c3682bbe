// OpenAPI v2 documents in protobuf (`application/com.github.proto-openapi.spec.v2.v1.0+protobuf`), the form that kubectl before
// 1.27 and many libraries ask for. The messages are those of gnostic's openapi.v2; documents may be other servers' too.
import type { Json } from './definitions.ts'
import { inOneGo } from './documents.ts'
import {
  documentSteps,
  type FieldForm,
  message,
  named,
  orBoolean,
  orReference,
  stringArray,
  type Write,
  within,
  writeAny,
  writeMessage,
} from './gnostic-forms.ts'

/** The document in protobuf. It takes a while: see `encodeOpenApiV2Steps`. */
export function encodeOpenApiV2(document: Json): Uint8Array {
  return inOneGo(encodeOpenApiV2Steps(document))
}

/** The same in small steps, for a server that must answer others in between. */
export function* encodeOpenApiV2Steps(document: Json): Generator<void, Uint8Array> {
  const writer = yield* documentSteps(document, documentFields, [
    { key: 'paths', entryNumber: 2, write: pathItem },
    { key: 'definitions', entryNumber: 1, write: writeSchema },
  ])
  return writer.finish()
}

const reference = message([
  ['$ref', 1, 'text'],
  ['description', 2, 'text'],
])

const externalDocs = message(
  [
    ['description', 1, 'text'],
    ['url', 2, 'text'],
  ],
  3,
)

const xml = message(
  [
    ['name', 1, 'text'],
    ['namespace', 2, 'text'],
    ['prefix', 3, 'text'],
    ['attribute', 4, 'boolean'],
    ['wrapped', 5, 'boolean'],
  ],
  6,
)

const schemaLater: Write = (writer, value) => writeSchema(writer, value)

const schemaItems: Write = (writer, value) => {
  for (const item of [value].flat().reverse()) writeMessage(writer, 1, schemaLater, item)
}

const writeSchema = message(
  [
    ['$ref', 1, 'text'],
    ['format', 2, 'text'],
    ['title', 3, 'text'],
    ['description', 4, 'text'],
    ['default', 5, writeAny],
    ['multipleOf', 6, 'double'],
    ['maximum', 7, 'double'],
    ['exclusiveMaximum', 8, 'boolean'],
    ['minimum', 9, 'double'],
    ['exclusiveMinimum', 10, 'boolean'],
    ['maxLength', 11, 'whole'],
    ['minLength', 12, 'whole'],
    ['pattern', 13, 'text'],
    ['maxItems', 14, 'whole'],
    ['minItems', 15, 'whole'],
    ['uniqueItems', 16, 'boolean'],
    ['maxProperties', 17, 'whole'],
    ['minProperties', 18, 'whole'],
    ['required', 19, 'texts'],
    ['enum', 20, [writeAny]],
    ['additionalProperties', 21, orBoolean(1, schemaLater, 2)],
    ['type', 22, stringArray],
    ['items', 23, schemaItems],
    ['allOf', 24, [schemaLater]],
    ['properties', 25, named(1, schemaLater)],
    ['discriminator', 26, 'text'],
    ['readOnly', 27, 'boolean'],
    ['xml', 28, xml],
    ['externalDocs', 29, externalDocs],
    ['example', 30, writeAny],
  ],
  31,
)

const itemsLater: Write = (writer, value) => primitiveItems(writer, value)

// What parameters, headers and the items of both say of their values, from field number `first` on.
function valueFields(first: number): readonly FieldForm[] {
  const forms: readonly [string, FieldForm[2]][] = [
    ['type', 'text'],
    ['format', 'text'],
    ['items', itemsLater],
    ['collectionFormat', 'text'],
    ['default', writeAny],
    ['maximum', 'double'],
    ['exclusiveMaximum', 'boolean'],
    ['minimum', 'double'],
    ['exclusiveMinimum', 'boolean'],
    ['maxLength', 'whole'],
    ['minLength', 'whole'],
    ['pattern', 'text'],
    ['maxItems', 'whole'],
    ['minItems', 'whole'],
    ['uniqueItems', 'boolean'],
    ['enum', [writeAny]],
    ['multipleOf', 'double'],
  ]
  return forms.map(([key, form], i) => [key, first + i, form])
}

const primitiveItems = message(valueFields(1), 18)
const header = message([...valueFields(1), ['description', 18, 'text']], 19)

const whereFields: readonly FieldForm[] = [
  ['required', 1, 'boolean'],
  ['in', 2, 'text'],
  ['description', 3, 'text'],
  ['name', 4, 'text'],
]
const emptyAllowed: FieldForm = ['allowEmptyValue', 5, 'boolean']

// Headers and paths never have empty values, so their fields are numbered from one less.
const nonBodyParameters: Readonly<Record<string, Write>> = {
  header: within(1, message([...whereFields, ...valueFields(5)], 22)),
  formData: within(2, message([...whereFields, emptyAllowed, ...valueFields(6)], 23)),
  query: within(3, message([...whereFields, emptyAllowed, ...valueFields(6)], 23)),
  path: within(4, message([...whereFields, ...valueFields(5)], 22)),
}

const bodyParameter = message(
  [
    ['description', 1, 'text'],
    ['name', 2, 'text'],
    ['in', 3, 'text'],
    ['required', 4, 'boolean'],
    ['schema', 5, writeSchema],
  ],
  6,
)

const writeParameter: Write = (writer, value) => {
  const { in: place } = value as { in?: string }
  if (place === 'body') writeMessage(writer, 1, bodyParameter, value)
  else writeMessage(writer, 2, nonBodyParameters[place ?? ''] ?? nonBodyParameters['query']!, value)
}

const parameterOrReference = orReference(1, writeParameter, 2, reference)

const response = message(
  [
    ['description', 1, 'text'],
    ['schema', 2, within(1, writeSchema)],
    ['headers', 3, named(1, header)],
    ['examples', 4, named(1, writeAny)],
  ],
  5,
)

const isExtension = (key: string): boolean => key.startsWith('x-')
const securityRequirement = named(1, stringArray)

const operation = message(
  [
    ['tags', 1, 'texts'],
    ['summary', 2, 'text'],
    ['description', 3, 'text'],
    ['externalDocs', 4, externalDocs],
    ['operationId', 5, 'text'],
    ['produces', 6, 'texts'],
    ['consumes', 7, 'texts'],
    ['parameters', 8, [parameterOrReference]],
    ['responses', 9, named(1, orReference(1, response, 2, reference), isExtension)],
    ['schemes', 10, 'texts'],
    ['deprecated', 11, 'boolean'],
    ['security', 12, [securityRequirement]],
  ],
  13,
)

const pathItem = message(
  [
    ['$ref', 1, 'text'],
    ['get', 2, operation],
    ['put', 3, operation],
    ['post', 4, operation],
    ['delete', 5, operation],
    ['options', 6, operation],
    ['head', 7, operation],
    ['patch', 8, operation],
    ['parameters', 9, [parameterOrReference]],
  ],
  10,
)

const apiKey = message(
  [
    ['type', 1, 'text'],
    ['name', 2, 'text'],
    ['in', 3, 'text'],
    ['description', 4, 'text'],
  ],
  5,
)

const license = message([
  ['name', 1, 'text'],
  ['url', 2, 'text'],
])

const documentFields: readonly FieldForm[] = [
  ['swagger', 1, 'text'],
  [
    'info',
    2,
    message(
      [
        ['title', 1, 'text'],
        ['version', 2, 'text'],
        ['description', 3, 'text'],
        ['termsOfService', 4, 'text'],
        ['license', 6, license],
      ],
      7,
    ),
  ],
  ['host', 3, 'text'],
  ['basePath', 4, 'text'],
  ['schemes', 5, 'texts'],
  ['consumes', 6, 'texts'],
  ['produces', 7, 'texts'],
  ['paths', 8, named(2, pathItem)],
  ['definitions', 9, named(1, writeSchema)],
  ['parameters', 10, named(1, writeParameter)],
  ['responses', 11, named(1, response)],
  ['security', 12, [securityRequirement]],
  ['securityDefinitions', 13, named(1, within(2, apiKey))],
]
