import { describe, expect, test } from 'vitest'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Pod } from '#api/kinds/core/pod'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { ReadyLists } from './ready-lists.ts'

describe('lists that are ready', () => {
  const [pods, maps] = [Pod as Kind, ConfigMap as Kind]
  const object = (name: string, revision: number): StoredObject => ({ key: `/registry/${name}`, revision }) as StoredObject
  const [a, b, c] = [object('a', 1), object('b', 2), object('c', 3)]
  const bytes = Buffer.alloc(10)

  test('a list is wanted from the second time on', () => {
    const lists = new ReadyLists()
    expect([lists.isWanted(pods, [a, b], 10), lists.isWanted(pods, [a, b], 10)]).toEqual([false, true])
    expect(lists.isWanted(pods, [a, object('b', 4)], 10)).toBe(false)
    expect(lists.isWanted(pods, [], 0)).toBe(false)
  })

  test.each<[string, boolean, Kind, StoredObject[]]>([
    ['the same objects', true, pods, [a, b]],
    ['as another kind', false, maps, [a, b]],
    ['in another order', false, pods, [b, a]],
    ['one more', false, pods, [a, b, c]],
    ['one less', false, pods, [a]],
    ['one of another revision', false, pods, [a, object('b', 4)]],
    ['equal ones that are others', false, pods, [a, object('b', 2)]],
  ])('%s: %s', (_what, found, kind, items) => {
    const lists = new ReadyLists()
    lists.keep(pods, [a, b], bytes)
    expect(lists.find(kind, items)).toBe(found ? bytes : undefined)
  })

  test('those that nobody asked for longest go when there are too many bytes', () => {
    const lists = new ReadyLists(30)
    for (const one of [a, b, c]) lists.keep(pods, [one], bytes)
    expect(lists.find(pods, [a])).toBe(bytes)
    lists.keep(maps, [a], bytes)
    expect([a, b, c].map((one) => lists.find(pods, [one]) !== undefined)).toEqual([true, false, true])
    expect(lists.bytes).toBe(30)
  })

  test('a long one is not wanted', () => {
    const lists = new ReadyLists(30)
    expect([lists.isWanted(pods, [a], 16), lists.isWanted(pods, [a], 16)]).toEqual([false, false])
  })
})
