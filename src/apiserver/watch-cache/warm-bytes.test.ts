import { expect, test } from 'vitest'
import { type Coolable, WarmBytes } from './warm-bytes.ts'

function item(bytes: number): Coolable & { cooled: boolean } {
  return {
    wanted: false,
    warm: false,
    cooled: false,
    heldBytes: bytes,
    cool() {
      this.cooled = true
    },
  }
}

test('beyond the bound the oldest goes, unless it was wanted since', () => {
  const warm = new WarmBytes(30)
  const items = Array.from({ length: 3 }, () => item(10))
  for (const each of items) warm.hold(each)
  expect([warm.hasRoom, items.map((each) => each.cooled)]).toEqual([false, [false, false, false]])
  items[0]!.wanted = true
  warm.hold(item(10))
  expect(items.map((each) => each.cooled)).toEqual([false, true, false])
  warm.hold(item(10))
  expect(items.map((each) => each.cooled)).toEqual([false, true, true])
})

test('one that is larger than the bound is held until the next', () => {
  const warm = new WarmBytes(30)
  const large = item(100)
  warm.hold(large)
  expect(large.cooled).toBe(false)
  warm.hold(item(1))
  expect([large.cooled, warm.hasRoom]).toEqual([true, true])
})

test('thousands come and go', () => {
  const warm = new WarmBytes(1_000)
  const items = Array.from({ length: 5_000 }, () => item(10))
  for (const each of items) warm.hold(each)
  expect(items.filter((each) => !each.cooled).length).toBe(100)
})
