import { expect, test } from 'vitest'
import { ChunkPool } from './chunk-pool.ts'

test('a chunk that was given back is taken again; those of other sizes, and too many, are not kept', () => {
  const pool = new ChunkPool(100, 2)
  const [a, b, c] = [pool.take(1), pool.take(100), pool.take(50)]
  expect([a, b, c].map(({ length }) => length)).toEqual([100, 100, 100])
  for (const chunk of [Buffer.alloc(101), a, b, c]) pool.giveBack(chunk)
  expect([pool.take(10), pool.take(10)]).toEqual([b, a])
  expect([a, b, c]).not.toContain(pool.take(10))
  expect(pool.take(101)).toHaveLength(101)
})
