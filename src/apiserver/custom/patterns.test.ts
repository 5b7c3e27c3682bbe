// Patterns: the same meaning whichever engine matches them, and linear time in both.
import { beforeAll, describe, expect, test } from 'vitest'
import { boundRegularExpressions, linearExpression } from '#platform/regular-expressions'
import { loadRegexEngine } from '../cel/functions/regex.ts'
import { checkPatterns, patternOf, translate } from './patterns.ts'

beforeAll(async () => {
  boundRegularExpressions()
  await loadRegexEngine()
})

describe('a pattern', () => {
  test.each([
    ['a label', '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', ['web-1', 'a'], ['-a', 'A', 'a\n', '']],
    ['bounded repetition', '^[a-z]{1,63}$', ['a'.repeat(63)], ['a'.repeat(64), '']],
    ['is found anywhere', 'b+', ['abba'], ['aa']],
    ['any character is one, also beyond the basic plane', '^.{2}$', ['ab', '🙂🙂', '\r\u2028'], ['🙂', 'a\n', 'abc']],
    ['so is any but some', '^[^a]$', ['🙂', '\n', 'b'], ['a', 'bb']],
    ['and what is no digit', String.raw`^\D\W$`, ['🙂🙂', 'a '], ['1 ', 'aa']],
    ['white space is RE2’s', String.raw`^\s$`, [' ', '\t', '\r'], ['\u00a0', '\v']],
    ['the end is the end of the text', 'a$', ['a'], ['a\n']],
    ['classes of POSIX', '^[[:alpha:]]+$', ['abc'], ['a1']],
    ['flags', '(?i)^web$', ['WEB'], ['WEBS']],
    ['the end by its other name', String.raw`^a\z`, ['a'], ['az']],
    ['letters of any script', String.raw`^\p{L}+$`, ['añé'], ['a1']],
    ['escaped punctuation', String.raw`^\d+\.\d+\/\-$`, ['1.2/-'], ['1x2/-']],
    ['alternatives and groups', '^(?:a|bc)(d)?$', ['a', 'bcd'], ['bd']],
  ])('%s: %s', (_, source, matching, others) => {
    expect([...matching, ...others].map((text) => patternOf(source)?.test(text))).toEqual([
      ...matching.map(() => true),
      ...others.map(() => false),
    ])
  })

  test.each([
    ['(a+)+$'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$'],
    ['^[a-z]{1,63}[a-z]{1,63}[a-z]{1,63}[a-z]{1,63}[a-z]{1,63}[a-z]{1,63}$'],
    ['(.*)*x'],
    [`${'(a?)'.repeat(50)}${'a'.repeat(50)}b`],
    [String.raw`(\D{0,30}){0,30}x`],
  ])('MUSTHOLD 11: %s does not backtrack for years', (source) => {
    expect(patternOf(source)?.test(`${'a'.repeat(2_000)}!`)).toBe(false)
  })

  test.each([
    ['^[a-z]+$', '^[a-z]+$'],
    ['[[:alpha:]]', undefined],
    ['a**', undefined],
    ['*a', undefined],
    ['(?=a)', undefined],
    ['(?P<x>a)', undefined],
    [String.raw`\pL`, undefined],
    ['[]a]', undefined],
    ['a{', undefined],
    ['🙂', undefined],
  ])('%s: what V8 would take for something else is not given to it', (source, translated) => {
    expect(translate(source)).toBe(translated)
  })

  test('that cannot be matched in linear time is told apart', () => {
    expect(['^[a-z]+$', 'a{1,63}', '(?=a)', '('].map((source) => linearExpression(source) !== undefined)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test('that is none is an error of its schema, and matches everything where it is stored already', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string', pattern: '(?=a)' }, b: { type: 'string', pattern: '^b$' } } }
    const errors = await checkPatterns(schema, 'spec.schema')
    expect(errors).toMatchObject([{ field: 'spec.schema.properties[a].pattern', type: 'FieldValueInvalid' }])
    expect(errors[0]?.detail).toContain("must be a valid regular expression, but isn't: error parsing regexp: ")
    expect(patternOf('(?=a)')).toBeUndefined()
  })
})
