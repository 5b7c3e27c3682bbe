import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { duplicateFields, parseJson } from './json.ts'

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

  test('a text nested a million deep is parsed or refused, and never overflows the stack', () => {
    const text = '['.repeat(1_000_000)
    expect(() => parseJson(text)).toThrow('exceeded max depth')
    const closed = text + ']'.repeat(1_000_000)
    expect(duplicateFields(closed, parseJson(closed))).toEqual([])
  })

  test('a text nested to the bound needs no more of the stack than a flat one', () => {
    for (const unit of ['[', '{"a":']) {
      expect(() => withLittleStack(() => parseJson(unit.repeat(9_999)))).toThrow('unexpected end of JSON input')
    }
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
