import { expect, test } from 'vitest'
import { convertToV3 } from './convert.ts'

test('a document of version 2 says the same in version 3', () => {
  const widget = { $ref: '#/definitions/Widget' }
  const converted = convertToV3({
    swagger: '2.0',
    info: { title: 'Widgets' },
    paths: {
      '/apis/example.com/v1/widgets': {
        post: {
          operationId: 'createWidget',
          consumes: ['application/json'],
          produces: ['application/json', 'application/yaml'],
          schemes: ['https'],
          parameters: [
            { name: 'body', in: 'body', required: true, schema: widget },
            { $ref: '#/parameters/dryRun' },
            { name: 'limit', in: 'query', type: 'integer', uniqueItems: true, description: 'How many.' },
          ],
          responses: { '200': { description: 'OK', schema: widget }, '401': { description: 'Unauthorized' } },
          'x-kubernetes-action': 'post',
        },
        parameters: [{ name: 'namespace', in: 'path', required: true, type: 'string' }],
      },
    },
    definitions: { Widget: { type: 'object', properties: { inner: { description: 'More.', $ref: '#/definitions/Widget' } } } },
    parameters: { dryRun: { name: 'dryRun', in: 'query', type: 'string' } },
    securityDefinitions: { BearerToken: { type: 'apiKey' } },
    security: [{ BearerToken: [] }],
  })
  const reference = { $ref: '#/components/schemas/Widget' }
  expect(converted).toEqual({
    openapi: '3.0.0',
    info: { title: 'Widgets' },
    paths: {
      '/apis/example.com/v1/widgets': {
        post: {
          operationId: 'createWidget',
          parameters: [
            { name: 'dryRun', in: 'query', schema: { type: 'string' } },
            { name: 'limit', in: 'query', description: 'How many.', schema: { type: 'integer', uniqueItems: true } },
          ],
          requestBody: { content: { 'application/json': { schema: reference } } },
          responses: {
            '200': {
              description: 'OK',
              content: { 'application/json': { schema: reference }, 'application/yaml': { schema: reference } },
            },
            '401': { description: 'Unauthorized' },
          },
          'x-kubernetes-action': 'post',
        },
        parameters: [{ name: 'namespace', in: 'path', required: true, schema: { type: 'string' } }],
      },
    },
    components: {
      schemas: { Widget: { type: 'object', properties: { inner: { description: 'More.', allOf: [reference] } } } },
      securitySchemes: { BearerToken: { type: 'apiKey' } },
    },
    security: [{ BearerToken: [] }],
  })
})
