import { describe, expect, test } from 'vitest'
import { parseGoDuration } from './go-duration.ts'

describe('durations as Go writes them', () => {
  test.each([
    ['0', 0],
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['-2m', -120_000],
    ['.5ms', 0.5],
    ['2us', 0.002],
  ])('%s', (text, ms) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 9)
  })

  test.each([
    ['', 'time: invalid duration ""'],
    ['foo', 'time: invalid duration "foo"'],
    ['10', 'time: missing unit in duration "10"'],
    ['10x', 'time: unknown unit "x" in duration "10x"'],
    ['1s-', 'time: unknown unit "s-" in duration "1s-"'],
    ['99999999h', 'time: invalid duration "99999999h"'],
  ])('%j is none', (text, message) => {
    expect(() => parseGoDuration(text)).toThrow(message)
  })
})
