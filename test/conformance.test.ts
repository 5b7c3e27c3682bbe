// docs/conformance.md says what the tests say, and the tests claim only what there is.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { claimsIn, readBehaviours, readClaims, renderConformance, strangeClaims } from './tools/conformance.ts'

test('claims are read from above tests, several for one', () => {
  const text = "// covers: [sig-a] one [Conformance]\n  // covers: [sig-a] two\n  test.each(kinds)('does it', () => {})\n// covers: lost\n"
  expect(claimsIn(text, 'a.test.ts')).toEqual([
    { name: '[sig-a] one [Conformance]', file: 'a.test.ts', test: 'does it' },
    { name: '[sig-a] two', file: 'a.test.ts', test: 'does it' },
    { name: 'lost', file: 'a.test.ts', test: '' },
  ])
})

test('every claim names a behaviour and stands above a test', () => {
  expect(strangeClaims(readClaims(), readBehaviours())).toEqual([])
})

test('docs/conformance.md is up to date (npm run conformance)', () => {
  expect(readFileSync(join(import.meta.dirname, '../docs/conformance.md'), 'utf8')).toBe(renderConformance(readBehaviours(), readClaims()))
})
