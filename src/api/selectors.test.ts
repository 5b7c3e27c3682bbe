import { describe, expect, test } from 'vitest'
import {
  escapeFieldValue,
  exactLabel,
  fieldsMatch,
  formatFieldSelector,
  formatLabelSelectorText,
  labelsMatch,
  parseFieldSelector,
  parseLabelSelector,
} from './selectors.ts'

describe('label selectors', () => {
  test.each([
    ['', ''],
    ['a=b', 'a=b'],
    ['a==b', 'a==b'],
    [' z = 1 , a != b ', 'a!=b,z=1'],
    ['x in (c,a , b)', 'x in (a,b,c)'],
    ['x notin (a)', 'x notin (a)'],
    ['!x,y', '!x,y'],
    ['x in ()', 'x in ()'],
    ['x in (,a)', 'x in (,a)'],
    ['x in (a,,b)', 'x in (,a,b)'],
    ['x=', 'x='],
    ['x=,y', 'x=,y'],
    ['n>5', 'n>5'],
    ['n<5', 'n<5'],
    ['in in (in,notin)', 'in in (in,notin)'],
    ['a=in', 'a=in'],
    ['kubernetes.io/os=linux', 'kubernetes.io/os=linux'],
  ])('%j reads back as %j', (text, formatted) => {
    expect(formatLabelSelectorText(parseLabelSelector(text))).toBe(formatted)
  })

  test.each([
    ['a=b,', "found '', expected: identifier after ','"],
    [',a', "found ',', expected: !, identifier, or 'end of string'"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['x in a', "unable to parse requirement: found 'a' expected: '('"],
    ['x in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['x in (=)', "unable to parse requirement: found '=', expected: ',', ')' or identifier"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    ['a==(', "unable to parse requirement: found '(', expected: identifier"],
    ['n>x', "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"],
  ])('%j is refused', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(new Error(message).message)
  })

  test('bad keys and values are named', () => {
    expect(() => parseLabelSelector('_a=b')).toThrow(/^unable to parse requirement: <nil>: Invalid value: "_a": /)
    expect(() => parseLabelSelector('a=_b')).toThrow(
      /^unable to parse requirement: values\[0\]\[a\]: Invalid value: "_b": a valid label must be/,
    )
  })

  test.each([
    ['a=1', true],
    ['a=2', false],
    ['a!=2', true],
    ['b!=2', true],
    ['a in (1,2)', true],
    ['a notin (1,2)', false],
    ['b notin (1)', true],
    ['a', true],
    ['!a', false],
    ['constructor', false],
    ['!constructor', true],
    ['a>0', true],
    ['a>1', false],
    ['a<2', true],
    ['word>0', false],
    ['a=1,word=x', true],
    ['a=1,word=y', false],
  ])('%s on {a: 1, word: x} is %s', (text, expected) => {
    expect(labelsMatch(parseLabelSelector(text), { a: '1', word: 'x' })).toBe(expected)
  })

  test('no labels at all meet only what asks for absence', () => {
    expect(labelsMatch(parseLabelSelector('!a,b!=1'), undefined)).toBe(true)
    expect(labelsMatch(parseLabelSelector('a'), undefined)).toBe(false)
  })

  test('the exact value of a label can be asked for', () => {
    expect(exactLabel(parseLabelSelector('a=1,b in (x),c in (x,y)'), 'a')).toBe('1')
    expect(exactLabel(parseLabelSelector('a=1,b in (x),c in (x,y)'), 'b')).toBe('x')
    expect(exactLabel(parseLabelSelector('a=1,b in (x),c in (x,y)'), 'c')).toBeUndefined()
  })
})

describe('field selectors', () => {
  test('terms are split at commas, escapes apart', () => {
    expect(parseFieldSelector('spec.nodeName=n1,status.phase!=Running,metadata.name==x')).toEqual([
      { field: 'metadata.name', operator: '=', value: 'x' },
      { field: 'spec.nodeName', operator: '=', value: 'n1' },
      { field: 'status.phase', operator: '!=', value: 'Running' },
    ])
    expect(parseFieldSelector('a=b\\,c\\=d\\\\')).toEqual([{ field: 'a', operator: '=', value: 'b,c=d\\' }])
    expect(parseFieldSelector(',,')).toEqual([])
  })

  test.each([
    ['a', "invalid selector: 'a'; can't understand 'a'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
    ['a=\\', 'invalid field selector: invalid escape sequence: \\'],
  ])('%j is refused', (text, message) => {
    expect(() => parseFieldSelector(text)).toThrow(message)
  })

  test('text and parsing agree', () => {
    const text = formatFieldSelector([{ field: 'a', operator: '!=', value: 'x,=\\' }])
    expect(text).toBe('a!=x\\,\\=\\\\')
    expect(parseFieldSelector(text)).toEqual([{ field: 'a', operator: '!=', value: 'x,=\\' }])
    expect(escapeFieldValue('a=b')).toBe('a\\=b')
  })

  test('absent fields are empty', () => {
    expect(fieldsMatch(parseFieldSelector('spec.nodeName='), () => '')).toBe(true)
    expect(fieldsMatch(parseFieldSelector('spec.nodeName!='), () => '')).toBe(false)
  })
})
