import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { finish } from './encode.ts'
import { parseYaml } from './yaml.ts'

const yaml = { media: 'yaml', as: 'object', metaVersion: 'v1', pretty: false } as const

describe('scalars that YAML 1.1 and Kubernetes read differently', () => {
  test.each<[string, unknown]>([
    ['2026-01-01', '2026-01-01'],
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    ['22:22', '22:22'],
    ['1:30.5', '1:30.5'],
    ['.', '.'],
    ['-.', '-.'],
    ['.5', 0.5],
    ['5.5', 5.5],
    ['yes', true],
    ['off', false],
    ['0777', 511],
    ['~', null],
  ])('%s', (text, value) => {
    expect(parseYaml(`a: ${text}`, false).value).toEqual({ a: value })
  })

  test('also as keys', () => {
    expect(parseYaml('.: {}\n2026-01-01: x\n1:30: z\n', false).value).toEqual({ '.': {}, '2026-01-01': 'x', '1:30': 'z' })
  })
})

describe('MUSTHOLD 11: a text', () => {
  test.each([
    ['of many lines', 'a: b\n'.repeat(60_000)],
    ['of many comments', '# c\n'.repeat(60_000)],
    ['of many items', `{${'a,'.repeat(60_000)}}`],
  ])('%s is refused before it is parsed', (_what, text) => {
    expect(() => parseYaml(text, false)).toThrow(/50000 (?:lines|fields) and items/)
  })

  test('of as many lines and items in JSON is none of it', () => {
    const text = JSON.stringify({ a: Array.from({ length: 40_000 }, (_, i) => i) }, null, 1)
    expect((parseYaml(text, true).value as { a: number[] }).a).toHaveLength(40_000)
  })
})

describe('answers in YAML', () => {
  test('come back as what they were', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'yes',
        'n',
        'on',
        'null',
        '~',
        '1:30',
        '.',
        '0777',
        '0o17',
        '1_000',
        '2026-01-01',
        '2026-01-01T00:00:00Z',
        '=',
        '1e3',
        '.inf',
        '<<',
      ),
    )
    const value = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text)))
    fc.assert(
      fc.property(value, (object) => {
        const plain = JSON.parse(JSON.stringify(object)) as unknown
        const written = finish(JSON.stringify(plain), yaml)
        expect(parseYaml(Buffer.concat([written as Uint8Array]).toString(), false).value).toEqual(plain)
      }),
    )
  })
})
