import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalMicroTimestamp, canonicalTimestamp, formatGoDuration, parseGoDuration } from './go-time.ts'

describe('times', () => {
  test.each([
    ['2024-05-06T07:08:09Z', '2024-05-06T07:08:09Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59Z'],
    ['2024-05-06T07:08:09.999Z', '2024-05-06T07:08:09Z'],
    ['2024-05-06T07:08:09+02:00', '2024-05-06T05:08:09Z'],
    ['2024-12-31T23:30:00-01:00', '2025-01-01T00:30:00Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
  ])('%s is written %s', (text, canonical) => {
    expect(canonicalTimestamp(text)).toBe(canonical)
  })

  test.each([
    ['', 'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"'],
    ['tomorrow', 'parsing time "tomorrow" as "2006-01-02T15:04:05Z07:00": cannot parse "tomorrow" as "2006"'],
    ['2024-05-06', 'parsing time "2024-05-06" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'],
    ['2024-05-06T07:08:09', 'parsing time "2024-05-06T07:08:09" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"'],
    ['2024-13-06T07:08:09Z', 'parsing time "2024-13-06T07:08:09Z": month out of range'],
    ['2023-02-29T07:08:09Z', 'parsing time "2023-02-29T07:08:09Z": day out of range'],
    ['2024-05-06T24:08:09Z', 'parsing time "2024-05-06T24:08:09Z": hour out of range'],
    ['2024-05-06T07:08:09Zx', 'parsing time "2024-05-06T07:08:09Zx": extra text: "x"'],
  ])('%j is refused', (text, message) => {
    expect(() => canonicalTimestamp(text)).toThrow(message)
  })

  test('micro times need six decimals', () => {
    expect(canonicalMicroTimestamp('2024-05-06T07:08:09.123456Z')).toBe('2024-05-06T07:08:09.123456Z')
    expect(canonicalMicroTimestamp('2024-05-06T07:08:09.123456+01:00')).toBe('2024-05-06T06:08:09.123456Z')
    expect(() => canonicalMicroTimestamp('2024-05-06T07:08:09Z')).toThrow('cannot parse "Z" as ".000000"')
  })

  test('times in UTC are their own canonical form', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2999-01-01'), noInvalidDate: true }), (date) => {
        const text = `${date.toISOString().slice(0, 19)}Z`
        expect(canonicalTimestamp(text)).toBe(text)
        expect(canonicalMicroTimestamp(`${text.slice(0, 19)}.000123Z`)).toBe(`${text.slice(0, 19)}.000123Z`)
      }),
    )
  })
})

describe('durations', () => {
  test.each([
    ['0', '0s'],
    ['90s', '1m30s'],
    ['1h', '1h0m0s'],
    ['1.5h', '1h30m0s'],
    ['300ms', '300ms'],
    ['1500us', '1.5ms'],
    ['-1m', '-1m0s'],
    ['.5s', '500ms'],
    ['1h2m3.5s', '1h2m3.5s'],
  ])('%s is written %s', (text, canonical) => {
    expect(formatGoDuration(parseGoDuration(text))).toBe(canonical)
  })

  test.each([
    ['', 'time: invalid duration ""'],
    ['5', 'time: missing unit in duration "5"'],
    ['5d', 'time: unknown unit "d" in duration "5d"'],
    ['x', 'time: invalid duration "x"'],
    ['9999999h', 'time: invalid duration "9999999h"'],
  ])('%j is refused', (text, message) => {
    expect(() => parseGoDuration(text)).toThrow(message)
  })

  test('reading what was written gives the same', () => {
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), (nanos) => parseGoDuration(formatGoDuration(nanos)) === nanos))
  })
})
