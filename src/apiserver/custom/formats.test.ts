import { expect, test } from 'vitest'
import { unrecognizedFormats } from '#api/kinds/apiextensions/formats'
import { hasFormat } from './formats.ts'

test.each<[string, string[], string[]]>([
  ['bsonobjectid', ['507f1f77bcf86cd799439011'], ['507f1f77']],
  ['uri', ['https://a.example/b?c', '/only/a/path'], ['a', '', 'https:// a']],
  ['email', ['a@b.example', 'A B <a@b.example>'], ['a', 'a@', '@b']],
  ['hostname', ['a.example', 'A-1'], ['-a', 'a..b', '']],
  ['ipv4', ['192.0.2.1'], ['192.0.2', '::1']],
  ['ipv6', ['::1'], ['192.0.2.1']],
  ['cidr', ['192.0.2.0/24', 'fd00::/8'], ['192.0.2.0']],
  ['mac', ['01:02:03:04:05:ab', '0102.0304.05ab'], ['01:02']],
  ['uuid', ['7c1e1d2e-4c7e-0f6a-9d3b-000000000000', '7C1E1D2E4C7E0F6A9D3B000000000000'], ['7c1e1d2e']],
  ['uuid4', ['7c1e1d2e-4c7e-4f6a-9d3b-000000000000'], ['7c1e1d2e-4c7e-3f6a-9d3b-000000000000']],
  ['isbn', ['0321751043', '978-0321751041'], ['0321751044', '978-0321751042']],
  ['creditcard', ['4111 1111 1111 1111'], ['4111 1111 1111 1112']],
  ['ssn', ['111-22-3333'], ['111-22']],
  ['hexcolor', ['#FFF', 'aabbcc'], ['#ab', 'ggg']],
  ['rgbcolor', ['rgb(0, 255,10)'], ['rgb(256,0,0)']],
  ['byte', ['aGVsbG8=', ''], ['a', '!!!!']],
  ['date', ['2024-02-29'], ['2023-02-29', '2024-2-1']],
  ['date-time', ['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.5+01:00'], ['2024-02-30T12:00:00Z', '2024-02-29']],
  ['duration', ['1h30m', '-1.5s', '22 ns', '3 days'], ['1', 'h', '1 fortnight']],
  ['k8s-short-name', ['a-1'], ['A', 'a.b', '-a']],
  ['k8s-long-name', ['a.b-1'], ['A', 'a..b']],
  ['password', ['anything'], []],
  ['unheard-of', ['anything'], []],
])('texts of format %s', (format, matching, others) => {
  expect([...matching, ...others].map((text) => hasFormat(text, format))).toEqual([...matching.map(() => true), ...others.map(() => false)])
})

test('formats that nothing is checked by are found wherever they stand', () => {
  const schema = {
    type: 'object',
    format: 'odd',
    properties: {
      a: { type: 'string', format: 'date-time' },
      b: { type: 'array', items: { type: 'integer', format: 'int8' } },
      c: { type: 'object', additionalProperties: { type: 'number', format: 'double', not: { format: 'strange' } } },
    },
  }
  expect(unrecognizedFormats(schema)).toEqual(['odd', 'int8', 'strange'])
})
