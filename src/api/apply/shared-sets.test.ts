import { describe, expect, test } from 'vitest'
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { fieldSetOf } from './field-set.ts'
import { managedFieldsText, sharedSet } from './shared-sets.ts'

const replicas = (): ReturnType<typeof fieldSetOf> => fieldSetOf(['f:spec', 'f:replicas'])

describe('shared sets', () => {
  test('sets that say the same are one', () => {
    const first = sharedSet(replicas())
    expect(sharedSet(replicas())).toBe(first)
    expect(sharedSet(fieldSetOf(['f:spec', 'f:paused']))).not.toBe(first)
  })

  test('sets that say the same in another order are two, as their texts are', () => {
    const one = sharedSet({ 'f:a': {}, 'f:b': {} })
    const other = sharedSet({ 'f:b': {}, 'f:a': {} })
    expect([JSON.stringify(one), JSON.stringify(other)]).toEqual(['{"f:a":{},"f:b":{}}', '{"f:b":{},"f:a":{}}'])
  })

  test.each<[string, ManagedFieldsEntry[]]>([
    ['no entries', []],
    ['an entry without a set', [{ manager: 'a', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }]],
    ['a set that is shared, for a subresource', [entry('a "quoted" name', sharedSet(replicas()), 'status')]],
    ['a set that is not shared', [entry('a', fieldSetOf(['f:spec', 'k:{"name":"not shared"}']), undefined)]],
    ['several', [entry('a', sharedSet(replicas()), undefined), entry('b', fieldSetOf(['f:x']), 'scale')]],
  ])('the text is what the engine makes of it: %s', (_, entries) => {
    expect(managedFieldsText(entries)).toBe(JSON.stringify(entries))
  })
})

function entry(manager: string, fieldsV1: object, subresource: string | undefined): ManagedFieldsEntry {
  const about = { manager, operation: 'Update', apiVersion: 'v1', time: '2026-01-02T03:04:05Z', fieldsType: 'FieldsV1' }
  return { ...about, fieldsV1, ...(subresource === undefined ? {} : { subresource }) } as ManagedFieldsEntry
}
