// OpenAPI v3 documents in protobuf (`application/com.github.proto-openapi.spec.v3.v1.0+protobuf`), the form that client-go asks for
// when it reads schemas. The messages are those of gnostic's openapi.v3.
import type { Json } from './definitions.ts'
import { inOneGo } from './documents.ts'
import {
  documentSteps,
  type FieldForm,
  type LargePart,
  message,
  named,
  orBoolean,
  orReference,
  stringArray,
  type Write,
  writeAny,
  writeBoolean,
  writeMessage,
  writeText,
} from './gnostic-forms.ts'

/** The document in protobuf. It takes a while: see `encodeOpenApiV3Steps`. */
export function encodeOpenApiV3(document: Json): Uint8Array {
  return inOneGo(encodeOpenApiV3Steps(document))
}

/** The same in small steps, for a server that must answer others in between. */
export function* encodeOpenApiV3Steps(document: Json): Generator<void, Uint8Array> {
  // Written from the end, so what comes after the components is written before them.
  const { components = {}, ...rest } = document
  const writer = yield* documentSteps(rest, fieldsAfter, [])
  const before = writer.length
  yield* documentSteps(components as Json, componentFields, [largeSchemas], writer)
  if (writer.length > before) writer.prefix(5, before)
  yield* documentSteps(rest, fieldsBefore, [largePaths], writer)
  return writer.finish()
}

const reference = message([
  ['$ref', 1, 'text'],
  ['summary', 2, 'text'],
  ['description', 3, 'text'],
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

const strings = named(1, (writer, value) => writer.text(String(value)))

const schemaLater: Write = (writer, value) => writeSchema(writer, value)
const schemaOrReference = orReference(1, schemaLater, 2, reference)

const schemaItems: Write = (writer, value) => {
  for (const item of [value].flat().reverse()) writeMessage(writer, 1, schemaOrReference, item)
}

// Only plain values have a place in the message: others are written as if there were none.
const defaultValue: Write = (writer, value) => {
  if (typeof value === 'number') {
    writer.double(value)
    writer.tag(1, 1)
  } else if (typeof value === 'boolean') writeBoolean(writer, 2, value)
  else if (typeof value === 'string') writeText(writer, 3, value)
}

const writeSchema: Write = (writer, value) => {
  const { default: fallback } = (value ?? {}) as Json
  const plain = typeof fallback === 'object' && fallback !== null ? { ...(value as Json), default: undefined } : value
  schemaFields(writer, plain)
}

const schemaFields = message(
  [
    ['nullable', 1, 'boolean'],
    [
      'discriminator',
      2,
      message(
        [
          ['propertyName', 1, 'text'],
          ['mapping', 2, strings],
        ],
        3,
      ),
    ],
    ['readOnly', 3, 'boolean'],
    ['writeOnly', 4, 'boolean'],
    ['xml', 5, xml],
    ['externalDocs', 6, externalDocs],
    ['example', 7, writeAny],
    ['deprecated', 8, 'boolean'],
    ['title', 9, 'text'],
    ['multipleOf', 10, 'double'],
    ['maximum', 11, 'double'],
    ['exclusiveMaximum', 12, 'boolean'],
    ['minimum', 13, 'double'],
    ['exclusiveMinimum', 14, 'boolean'],
    ['maxLength', 15, 'whole'],
    ['minLength', 16, 'whole'],
    ['pattern', 17, 'text'],
    ['maxItems', 18, 'whole'],
    ['minItems', 19, 'whole'],
    ['uniqueItems', 20, 'boolean'],
    ['maxProperties', 21, 'whole'],
    ['minProperties', 22, 'whole'],
    ['required', 23, 'texts'],
    ['enum', 24, [writeAny]],
    ['type', 25, 'text'],
    ['allOf', 26, [schemaOrReference]],
    ['oneOf', 27, [schemaOrReference]],
    ['anyOf', 28, [schemaOrReference]],
    ['not', 29, schemaLater],
    ['items', 30, schemaItems],
    ['properties', 31, named(1, schemaOrReference)],
    ['additionalProperties', 32, orBoolean(1, schemaOrReference, 2)],
    ['default', 33, defaultValue],
    ['description', 34, 'text'],
    ['format', 35, 'text'],
  ],
  36,
)

const example = orReference(
  1,
  message(
    [
      ['summary', 1, 'text'],
      ['description', 2, 'text'],
      ['value', 3, writeAny],
      ['externalValue', 4, 'text'],
    ],
    5,
  ),
  2,
  reference,
)

const mediaType = message(
  [
    ['schema', 1, schemaOrReference],
    ['example', 2, writeAny],
    ['examples', 3, named(1, example)],
  ],
  5,
)

const parameterForms: readonly (readonly [string, FieldForm[2]])[] = [
  ['description', 'text'],
  ['required', 'boolean'],
  ['deprecated', 'boolean'],
  ['allowEmptyValue', 'boolean'],
  ['style', 'text'],
  ['explode', 'boolean'],
  ['allowReserved', 'boolean'],
  ['schema', schemaOrReference],
  ['example', writeAny],
  ['examples', named(1, example)],
  ['content', named(1, mediaType)],
]
const numberedFrom = (first: number): readonly FieldForm[] => parameterForms.map(([key, form], i) => [key, first + i, form])

const header = orReference(1, message(numberedFrom(1), 12), 2, reference)
const parameter = orReference(1, message([['name', 1, 'text'], ['in', 2, 'text'], ...numberedFrom(3)], 14), 2, reference)

const requestBody = orReference(
  1,
  message(
    [
      ['description', 1, 'text'],
      ['content', 2, named(1, mediaType)],
      ['required', 3, 'boolean'],
    ],
    4,
  ),
  2,
  reference,
)

const response = orReference(
  1,
  message(
    [
      ['description', 1, 'text'],
      ['headers', 2, named(1, header)],
      ['content', 3, named(1, mediaType)],
    ],
    5,
  ),
  2,
  reference,
)

const responsesByCode = named(2, response, (key) => key === 'default' || key.startsWith('x-'))
const responseExtras = message([['default', 1, response]], 3)
const responses: Write = (writer, value) => {
  responsesByCode(writer, value)
  responseExtras(writer, value)
}

const server = message(
  [
    ['url', 1, 'text'],
    ['description', 2, 'text'],
  ],
  4,
)
const securityRequirement = named(1, stringArray)

const operation = message(
  [
    ['tags', 1, 'texts'],
    ['summary', 2, 'text'],
    ['description', 3, 'text'],
    ['externalDocs', 4, externalDocs],
    ['operationId', 5, 'text'],
    ['parameters', 6, [parameter]],
    ['requestBody', 7, requestBody],
    ['responses', 8, responses],
    ['deprecated', 10, 'boolean'],
    ['security', 11, [securityRequirement]],
    ['servers', 12, [server]],
  ],
  13,
)

const pathItem = message(
  [
    ['$ref', 1, 'text'],
    ['summary', 2, 'text'],
    ['description', 3, 'text'],
    ['get', 4, operation],
    ['put', 5, operation],
    ['post', 6, operation],
    ['delete', 7, operation],
    ['options', 8, operation],
    ['head', 9, operation],
    ['patch', 10, operation],
    ['trace', 11, operation],
    ['servers', 12, [server]],
    ['parameters', 13, [parameter]],
  ],
  14,
)

const securityScheme = orReference(
  1,
  message(
    [
      ['type', 1, 'text'],
      ['description', 2, 'text'],
      ['name', 3, 'text'],
      ['in', 4, 'text'],
      ['scheme', 5, 'text'],
      ['bearerFormat', 6, 'text'],
      ['openIdConnectUrl', 8, 'text'],
    ],
    9,
  ),
  2,
  reference,
)

const largeSchemas: LargePart = { key: 'schemas', entryNumber: 1, write: schemaOrReference }
const largePaths: LargePart = { key: 'paths', entryNumber: 1, write: pathItem }

const componentFields: readonly FieldForm[] = [
  ['schemas', 1, named(1, schemaOrReference)],
  ['responses', 2, named(1, response)],
  ['parameters', 3, named(1, parameter)],
  ['examples', 4, named(1, example)],
  ['requestBodies', 5, named(1, requestBody)],
  ['headers', 6, named(1, header)],
  ['securitySchemes', 7, named(1, securityScheme)],
]

const fieldsBefore: readonly FieldForm[] = [
  ['openapi', 1, 'text'],
  [
    'info',
    2,
    message(
      [
        ['title', 1, 'text'],
        ['description', 2, 'text'],
        ['termsOfService', 3, 'text'],
        ['version', 6, 'text'],
      ],
      7,
    ),
  ],
  ['servers', 3, [server]],
  ['paths', 4, named(1, pathItem)],
]

const fieldsAfter: readonly FieldForm[] = [
  ['security', 6, [securityRequirement]],
  [
    'tags',
    7,
    [
      message(
        [
          ['name', 1, 'text'],
          ['description', 2, 'text'],
          ['externalDocs', 3, externalDocs],
        ],
        4,
      ),
    ],
  ],
  ['externalDocs', 8, externalDocs],
]
