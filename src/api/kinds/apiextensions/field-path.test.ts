import { expect, test } from 'vitest'
import type { JSONSchemaProps } from '../../generated/apiextensions-v1.ts'
import { findField } from './field-path.ts'

const number = { type: 'number' }
const object = (properties: Record<string, JSONSchemaProps>): JSONSchemaProps => ({ type: 'object', properties })
const schema = object({
  foo: { type: 'object', additionalProperties: object({ subAdd: number }) },
  'white space': number,
  "'foo'bar": number,
  a: object({
    "foo's": number,
    'test\u0007': number,
    'bb[b': number,
    bbb: object({ c: number, 34: number }),
    'bbb.c': object({ "a-b.3'4": number }),
  }),
  list: { type: 'array', items: object({ a: number, "a-b.3'4": number }) },
})

// Kubernetes' own cases.
test.each<[string, string]>([
  ['.a', 'a'],
  ["['\\'foo\\'bar']", "'foo'bar"],
  ['.white space', 'white space'],
  ["['white space']", 'white space'],
  [".a['bbb.c']", 'a.bbb.c'],
  ['.foo.subAdd', 'foo[subAdd]'],
  [".foo['subAdd']", 'foo[subAdd]'],
  [".a.foo's", "a.foo's"],
  [".a['foo\\'s']", "a.foo's"],
  [".a['test\\a']", 'a.test\u0007'],
  ['.a.bbb.34', 'a.bbb.34'],
  [".a.bbb['34']", 'a.bbb.34'],
  ['.list', 'list'],
])('%s is a field', (path, found) => {
  expect(findField(path, schema, true)).toMatchObject({ path: found })
})

test.each([
  [".\\'foo\\'bar", 'does not refer to a valid field'],
  ['. a', 'does not refer to a valid field'],
  ['.a.bb[b', 'does not refer to a valid field'],
  [".a['bbb.c'", 'unexpected end of JSON path'],
  ['.', 'unexpected end of JSON path'],
  ['.a.foo', 'does not refer to a valid field'],
  ['.a.bbb[0]', 'expected single quoted string but got 0'],
  ['.list[0]', 'expected single quoted string but got 0'],
  ['.list. a', 'does not refer to a valid field'],
  [".list['a']", 'does not refer to a valid field'],
  ['a', 'expected [ or . but got: a'],
  ['.c', 'does not refer to a valid field'],
  ['.a..b', 'does not refer to a valid field'],
  ['.list.a-b.34', 'does not refer to a valid field'],
])('%s is none', (path, why) => {
  expect(findField(path, schema, true)).toMatchObject({ error: expect.stringContaining(why) })
})
