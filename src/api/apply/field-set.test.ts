import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  difference,
  type FieldSet,
  fieldSetOf,
  forEachPath,
  hasPath,
  intersection,
  pathText,
  recursiveDifference,
  sortedFieldSet,
  union,
} from './field-set.ts'

const elements = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1')
const paths = fc.array(fc.array(elements, { minLength: 1, maxLength: 3 }), { maxLength: 6 })

/** The set as texts, the plain way. */
function textsOf(set: FieldSet | undefined): Set<string> {
  const found = new Set<string>()
  forEachPath(set, (path) => found.add(path.join('/')))
  return found
}

function setOf(list: string[][]): FieldSet | undefined {
  return list.length === 0 ? undefined : fieldSetOf(...list)
}

describe('set algebra is that of sets of paths', () => {
  test.each<[string, (a?: FieldSet, b?: FieldSet) => FieldSet | undefined, (a: Set<string>, b: Set<string>) => string[]]>([
    ['union', union, (a, b) => [...new Set([...a, ...b])]],
    ['intersection', intersection, (a, b) => [...a].filter((path) => b.has(path))],
    ['difference', difference, (a, b) => [...a].filter((path) => !b.has(path))],
    [
      'recursive difference',
      recursiveDifference,
      (a, b) => [...a].filter((path) => ![...b].some((p) => path === p || path.startsWith(`${p}/`))),
    ],
  ])('%s', (_, operation, expected) => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        const left = setOf(a)
        const right = setOf(b)
        const before = JSON.stringify([left, right])
        const result = operation(left, right)
        expect([...textsOf(result)].sort()).toEqual(expected(textsOf(left), textsOf(right)).sort())
        expect(JSON.stringify([left, right])).toBe(before)
        if (result !== undefined) expect(textsOf(result).size).toBeGreaterThan(0)
      }),
    )
  })

  test('what takes nothing away gives the set itself', () => {
    const set = fieldSetOf(['f:a', 'f:b'], ['f:a'])
    expect(difference(set, fieldSetOf(['f:b']))).toBe(set)
    expect(union(set, fieldSetOf(['f:a', 'f:b']))).toBe(set)
  })

  test('membership', () => {
    const set = fieldSetOf(['f:a', 'f:b'], ['f:c'])
    expect(hasPath(set, ['f:a', 'f:b'])).toBe(true)
    expect(hasPath(set, ['f:a'])).toBe(false)
    expect(hasPath(set, ['f:constructor'])).toBe(false)
  })
})

describe('order and text', () => {
  test('elements are sorted as Kubernetes sorts them', () => {
    const set: FieldSet = {
      'v:"b"': {},
      'v:10': {},
      'v:9': {},
      'k:{"port":443}': {},
      'k:{"port":80}': { 'f:b': {}, '.': {} },
      'f:z': {},
      'f:a': {},
      'i:2': {},
      'i:10': {},
    }
    expect(JSON.stringify(sortedFieldSet(set))).toBe(
      '{"f:a":{},"f:z":{},"k:{\\"port\\":80}":{".":{},"f:b":{}},"k:{\\"port\\":443}":{},"v:9":{},"v:10":{},"v:\\"b\\"":{},"i:2":{},"i:10":{}}',
    )
    const sorted = sortedFieldSet(set)
    expect(sortedFieldSet(sorted)).toBe(sorted)
  })

  test('paths read as messages show them', () => {
    expect(pathText(['f:spec', 'f:ports', 'k:{"containerPort":80,"protocol":"TCP"}', 'f:name'])).toBe(
      '.spec.ports[containerPort=80,protocol="TCP"].name',
    )
    expect(pathText(['f:finalizers', 'v:"a"', 'i:0'])).toBe('.finalizers[="a"][0]')
  })
})
