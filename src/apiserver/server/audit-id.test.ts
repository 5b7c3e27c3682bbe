import { expect, test } from 'vitest'
import { newAuditId } from './audit-id.ts'

test('audit ids are UUIDs of version 4, each another', () => {
  const ids = Array.from({ length: 10_000 }, newAuditId)
  expect(ids.filter((id) => !/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
})
