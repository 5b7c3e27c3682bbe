import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { builtinSchema } from './builtin.ts'
import { duplicateFields, parseJson, parseStored, strictProblems } from './json.ts'
import { JsonReader, numberOf } from './json-reader.ts'
import { NumberLiteral } from './scalars.ts'
import { stringifyJson } from './stringify.ts'

function duplicatesIn(text: string): string[] {
  return duplicateFields(text, parseJson(text))
}

describe('duplicate fields', () => {
  test('are named with their path, once each', () => {
    expect(duplicatesIn('{"spec":{"replicas":1,"replicas":2,"replicas":3},"a":[{"b":{"c":1,"c":2}},{"d":1}],"a":[]}')).toEqual([
      'duplicate field "spec.replicas"',
      'duplicate field "a[0].b.c"',
      'duplicate field "a"',
    ])
  })

  test('escapes are seen through', () => {
    expect(duplicatesIn('{"a":1,"\\u0061":2}')).toEqual(['duplicate field "a"'])
  })

  test('colons and quotes in strings do not count', () => {
    expect(duplicatesIn('{"a":"x:y\\":z","b\\\\":"::","c":[":",{"d":":"}]}')).toEqual([])
  })

  test('no text that JSON.stringify made has any', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value)
        expect(duplicateFields(text, JSON.parse(text))).toEqual([])
      }),
    )
  })
})

describe('syntax errors in the words of Go', () => {
  test.each([
    ['', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['tru', 'unexpected end of JSON input'],
    ['trux', "invalid character 'x' in literal true (expecting 'e')"],
    ['-', 'unexpected end of JSON input'],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1e', 'unexpected end of JSON input'],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['{} {}', "invalid character '{' after top-level value"],
    ['apiVersion: v1', "invalid character 'a' looking for beginning of value"],
  ])('%j', (text, message) => {
    expect(() => parseJson(text)).toThrow(message)
  })

  test('a text nested a million deep is refused, closed or not', () => {
    const text = '['.repeat(1_000_000)
    expect(() => parseJson(text)).toThrow('exceeded max depth')
    expect(() => parseJson(text + ']'.repeat(1_000_000))).toThrow('exceeded max depth')
  })

  test('a text nested to the bound needs no more of the stack than a flat one', () => {
    for (const unit of ['[', '{"a":']) {
      expect(() => withLittleStack(() => parseJson(unit.repeat(9_999)))).toThrow('unexpected end of JSON input')
    }
  })
})

describe('numbers', () => {
  test.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -9223372036854775808n],
    ['9223372036854775807', 9223372036854775807n],
    // Beyond 64 bits there are only floats.
    ['9223372036854775808', 2 ** 63],
    ['1e3', 1000],
    ['1.0', 1],
    ['1.50', 1.5],
    ['-0', -0],
    ['12345678901234567.5', Number('12345678901234568')],
  ])('%s is what Go makes of it', (text, value) => {
    expect(parseJson(`{"a":[${text}]}`)).toEqual({ a: [value] })
    expect(parseJson(text)).toBe(value)
  })

  test('whole numbers of 64 bits are written as they were read', () => {
    const text = '{"a":9223372036854775807,"b":["x",{"c":-9007199254740993,"d":null}]}'
    expect(stringifyJson(parseJson(text))).toBe(text)
    expect(stringifyJson(parseStored(text))).toBe(text)
  })

  test('digits in strings are no numbers', () => {
    const text = '{"a":"12345678901234567890","b\\"1.0":"x 99999999999999999999"}'
    expect(parseJson(text)).toEqual(JSON.parse(text))
    expect(parseStored(text)).toEqual(JSON.parse(text))
  })

  test('how they were written is kept when it is asked for', () => {
    expect(parseJson('[1.0,1e3,5,1.5,99999999999999999999]', 'literals')).toEqual([
      new NumberLiteral('1.0'),
      new NumberLiteral('1e3'),
      5,
      1.5,
      new NumberLiteral('99999999999999999999'),
    ])
    expect(numberOf('1'.repeat(1_000_000), true, 'values')).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('our own parser', () => {
  test('makes of every text what the engine makes of it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value)
        const reader = new JsonReader(text, { numbers: 'values', report: true })
        while (!reader.run(1));
        expect(stringifyJson(reader.value)).toBe(text)
        expect(reader.problems).toEqual([])
      }),
    )
  })

  test('keys that mean something to JavaScript are keys like others', () => {
    const text = '{"__proto__":{"a":1.0},"constructor":2,"":{"":3}}'
    expect(JSON.stringify(parseJson(text))).toBe('{"__proto__":{"a":1},"constructor":2,"":{"":3}}')
  })
})

describe('strict decoding', () => {
  const deployment = builtinSchema('apps/v1', 'Deployment')

  test('names unknown and doubled fields in the order of the text, each once', () => {
    const text = `{"spec":{"unknown1":{"a":1,"a":2},"unknownDupe":1,"unknownDupe":2,"paused":true,"paused":false,"paused":true,
      "template":{"metadata":{"labels":{"a":"b","a":"c"}},"spec":{"containers":[{"unknownNested":1,"image":"a","image":"b"}]}}}}`
    expect(strictProblems(text, deployment)).toEqual([
      'unknown field "spec.unknown1"',
      'unknown field "spec.unknownDupe"',
      'duplicate field "spec.paused"',
      'duplicate field "spec.template.metadata.labels.a"',
      'unknown field "spec.template.spec.containers[0].unknownNested"',
      'duplicate field "spec.template.spec.containers[0].image"',
    ])
  })

  test('without a type sees every key, also below those that a type would not know', () => {
    expect(strictProblems('{"a":{"b":[{"c":1,"c":2}]},"a":{"d":1,"d":1}}')).toEqual([
      'duplicate field "a.b[0].c"',
      'duplicate field "a"',
      'duplicate field "a.d"',
    ])
  })

  test('says no more than a hundred things', () => {
    const text = `{${Array.from({ length: 200 }, (_, i) => `"x${i}":1`).join(',')}}`
    expect(strictProblems(text, deployment)).toHaveLength(100)
  })
})

// Runs with nine tenths of the stack taken by calls.
function withLittleStack<R>(run: () => R): R {
  const depthOf = (depth: number): number => {
    try {
      return depthOf(depth + 1)
    } catch {
      return depth
    }
  }
  const dive = (depth: number): R => (depth > 0 ? dive(depth - 1) : run())
  return dive(Math.floor(depthOf(0) * 0.9))
}
