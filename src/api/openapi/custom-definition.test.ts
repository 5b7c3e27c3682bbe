import { expect, test } from 'vitest'
import type { JSONSchemaProps } from '../generated/apiextensions-v1.ts'
import { customDefinition } from './custom-definition.ts'

const fields = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { $ref: '#/meta' } }
const definition = (schema: JSONSchemaProps | undefined, version: 'v2' | 'v3', preserveUnknownFields = false): object =>
  customDefinition({ schema, preserveUnknownFields }, version, fields)

const schema: JSONSchemaProps = {
  type: 'object',
  description: 'A shoe.',
  required: ['spec'],
  properties: {
    metadata: { type: 'object' },
    spec: {
      type: 'object',
      required: ['laces', 'sole'],
      properties: {
        laces: { type: 'integer', minimum: 1, anyOf: [{ minimum: 2 }] },
        sole: { type: 'string', nullable: true, description: 'or none' },
        any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { a: { type: 'string' } } },
      },
      'x-kubernetes-validations': [{ rule: 'true' }],
    },
  },
}

test('version 3 says all of it', () => {
  expect(definition(schema, 'v3')).toEqual({ ...schema, properties: { spec: schema.properties!['spec'], ...fields } })
})

test('version 2 leaves out what it cannot express, and what old clients would misread', () => {
  expect(definition(schema, 'v2')).toEqual({
    type: 'object',
    description: 'A shoe.',
    required: ['spec'],
    properties: {
      ...fields,
      spec: {
        type: 'object',
        required: ['laces'],
        properties: {
          laces: { type: 'integer', minimum: 1 },
          sole: { description: 'or none' },
          any: { 'x-kubernetes-preserve-unknown-fields': true },
        },
        'x-kubernetes-validations': [{ rule: 'true' }],
      },
    },
  })
})

test('where any field may come, version 2 lists none', () => {
  const open: JSONSchemaProps = { ...schema, 'x-kubernetes-preserve-unknown-fields': true }
  expect([definition(open, 'v2'), definition(undefined, 'v2'), definition(schema, 'v2', true)]).toEqual([
    { type: 'object' },
    { type: 'object' },
    { type: 'object' },
  ])
  expect(definition(open, 'v3')).toMatchObject({ required: ['spec'], properties: fields })
})

test('an embedded object has the fields of objects', () => {
  const embedding: JSONSchemaProps = { type: 'object', properties: { inner: { type: 'object', 'x-kubernetes-embedded-resource': true } } }
  expect(definition(embedding, 'v3')).toMatchObject({ properties: { inner: { required: ['kind', 'apiVersion'], properties: fields } } })
})
