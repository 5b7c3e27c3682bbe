// An OpenAPI v2 document as one of version 3, for servers that only have the former. What version 2 cannot say stays unsaid.
import type { Json } from './definitions.ts'

/** The same in version 3. Throws a RangeError for a document that is nested too deeply. */
export function convertToV3(document: Json): Json {
  const paths = Object.entries(objectOf(document['paths'])).map(([path, item]) => [path, pathOf(objectOf(item), document)])
  return {
    openapi: '3.0.0',
    ...(document['info'] !== undefined && { info: document['info'] }),
    paths: Object.fromEntries(paths),
    components: {
      schemas: mapValues(objectOf(document['definitions']), schemaOf),
      securitySchemes: objectOf(document['securityDefinitions']),
    },
    ...(document['security'] !== undefined && { security: document['security'] }),
  }
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function mapValues(object: Json, convert: (value: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, convert(value)]))
}

// Version 3 ignores what stands beside a reference.
function schemaOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(schemaOf)
  const { $ref, ...rest } = value as Json
  if (typeof $ref !== 'string') return mapValues(value as Json, schemaOf)
  const reference = { $ref: $ref.replace('#/definitions/', '#/components/schemas/') }
  return Object.keys(rest).length === 0 ? reference : { ...mapValues(rest, schemaOf), allOf: [reference] }
}

const methods = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch'])

function pathOf(item: Json, document: Json): Json {
  const { parameters } = item
  const converted = Object.fromEntries(
    Object.entries(item)
      .filter(([key]) => methods.has(key))
      .map(([method, operation]) => [method, operationOf(objectOf(operation), document)]),
  )
  const others = parametersOf(parameters, document).filter(({ in: place }) => place !== 'body')
  return { ...converted, ...(others.length > 0 && { parameters: others.map(parameterOf) }) }
}

function operationOf(operation: Json, document: Json): Json {
  const { consumes, produces, schemes: _schemes, parameters, responses, ...rest } = operation
  const all = parametersOf(parameters, document)
  const body = all.find(({ in: place }) => place === 'body')
  const others = all.filter(({ in: place }) => place !== 'body')
  const content = (types: unknown, schema: unknown): Json =>
    Object.fromEntries(listOf(types ?? document['consumes']).map((type) => [type, { schema: schemaOf(schema) }]))
  return {
    ...rest,
    ...(others.length > 0 && { parameters: others.map(parameterOf) }),
    ...(body !== undefined && { requestBody: { content: content(consumes, body['schema']) } }),
    responses: mapValues(objectOf(responses), (response) => {
      const { schema, ...said } = objectOf(response)
      return { ...said, ...(schema !== undefined && { content: content(produces ?? document['produces'], schema) }) }
    }),
  }
}

function parametersOf(parameters: unknown, document: Json): Json[] {
  return listOf(parameters).map((parameter) => {
    const { $ref } = objectOf(parameter)
    if (typeof $ref !== 'string') return objectOf(parameter)
    return objectOf(objectOf(document['parameters'])[$ref.replace('#/parameters/', '')])
  })
}

const parameterKeys = new Set(['name', 'in', 'description', 'required', 'allowEmptyValue'])

// What is said of the value stands in a schema of its own.
function parameterOf(parameter: Json): Json {
  const isOwn = ([key]: [string, unknown]): boolean => parameterKeys.has(key) || key.startsWith('x-')
  const entries = Object.entries(parameter)
  return { ...Object.fromEntries(entries.filter(isOwn)), schema: Object.fromEntries(entries.filter((entry) => !isOwn(entry))) }
}
