import { describe, expect, test } from 'vitest'
import { applyJsonPatch, type JsonPatchOperation, jsonPatchCopiedMax } from './json-patch.ts'

const document = { a: { b: [1, 2, 3], 'c/d': { '~e': 1 } }, f: null }

describe('JSON patch', () => {
  test.each<[string, JsonPatchOperation[], unknown]>([
    ['adds a field', [{ op: 'add', path: '/g', value: 1 }], { ...document, g: 1 }],
    ['replaces a field that is there by adding', [{ op: 'add', path: '/a', value: 1 }], { a: 1, f: null }],
    ['inserts into a list', [{ op: 'add', path: '/a/b/1', value: 9 }], { ...document, a: { ...document.a, b: [1, 9, 2, 3] } }],
    ['appends to a list', [{ op: 'add', path: '/a/b/-', value: 9 }], { ...document, a: { ...document.a, b: [1, 2, 3, 9] } }],
    ['counts from the end', [{ op: 'replace', path: '/a/b/-1', value: 9 }], { ...document, a: { ...document.a, b: [1, 2, 9] } }],
    ['removes', [{ op: 'remove', path: '/a' }], { f: null }],
    ['removes from a list', [{ op: 'remove', path: '/a/b/0' }], { ...document, a: { ...document.a, b: [2, 3] } }],
    ['understands escapes', [{ op: 'replace', path: '/a/c~1d/~0e', value: 2 }], { ...document, a: { ...document.a, 'c/d': { '~e': 2 } } }],
    ['moves', [{ op: 'move', from: '/a/b/0', path: '/f' }], { a: { ...document.a, b: [2, 3] }, f: 1 }],
    [
      'copies',
      [
        { op: 'copy', from: '/a/b', path: '/g' },
        { op: 'remove', path: '/a' },
      ],
      { f: null, g: [1, 2, 3] },
    ],
    ['replaces the whole document', [{ op: 'replace', path: '', value: { x: 1 } }], { x: 1 }],
    ['tests', [{ op: 'test', path: '/a/b', value: [1, 2, 3] }], document],
    ['tests objects in any order of fields', [{ op: 'test', path: '', value: { f: null, a: document.a } }], document],
    ['tests for null where nothing is', [{ op: 'test', path: '/nothing', value: null }], document],
    ['allows null as a value', [{ op: 'add', path: '/a', value: null }], { a: null, f: null }],
  ])('%s', (_, operations, expected) => {
    const before = structuredClone(document)
    expect(applyJsonPatch(document, operations)).toEqual(expected)
    expect(document).toEqual(before)
  })

  test.each<[string, JsonPatchOperation]>([
    ['a field that is not there cannot be removed', { op: 'remove', path: '/x' }],
    ['nor replaced', { op: 'replace', path: '/x', value: 1 }],
    ['a parent must be there', { op: 'add', path: '/x/y', value: 1 }],
    ['a scalar has no fields', { op: 'add', path: '/a/b/0/x', value: 1 }],
    ['an index is in range', { op: 'add', path: '/a/b/4', value: 1 }],
    ['an index has no leading zeros', { op: 'add', path: '/a/b/01', value: 1 }],
    ['an index is a number', { op: 'remove', path: '/a/b/x' }],
    ['a test fails', { op: 'test', path: '/f', value: 1 }],
    ['a path begins with a slash', { op: 'add', path: 'a', value: 1 }],
    ['an operation is a known one', { op: 'increment', path: '/a', value: 1 }],
    ['an added value is there', { op: 'add', path: '/a' }],
    ['nothing moves into itself', { op: 'move', from: '/a', path: '/a/b/0' }],
    ['a copy has a source', { op: 'copy', path: '/a' }],
    ['inherited properties are no fields', { op: 'copy', from: '/constructor', path: '/a' }],
  ])('%s', (_, operation) => {
    expect(() => applyJsonPatch(document, [operation])).toThrow()
  })

  test('copies are bounded', () => {
    const operations = Array.from({ length: 40 }, () => ({ op: 'copy', from: '/x', path: '/x/-' }))
    expect(() => applyJsonPatch({ x: ['y'] }, operations)).toThrow(`exceeding the limit ${jsonPatchCopiedMax}`)
  })

  test('__proto__ is a field like any other', () => {
    const patched = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }])
    expect(JSON.stringify(patched)).toBe('{"__proto__":{"polluted":true}}')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})
