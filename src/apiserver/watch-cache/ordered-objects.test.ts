import { expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { OrderedObjects } from './ordered-objects.ts'

test('it agrees with a sorted array, whatever is put in and taken out', () => {
  const random = seededRandom(7)
  const ordered = new OrderedObjects<{ key: string; value: number }>()
  const plain = new Map<string, number>()
  for (let step = 0; step < 20_000; step++) {
    const key = `/r/${Math.floor(random() * 4)}/${Math.floor(random() * 1500)}`
    if (random() < 0.35) {
      ordered.delete(key)
      plain.delete(key)
    } else {
      ordered.set({ key, value: step })
      plain.set(key, step)
    }
    if (step % 500 !== 0) continue
    const sorted = [...plain].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, value]) => ({ key: k, value }))
    const prefix = `/r/${Math.floor(random() * 4)}/`
    const after = sorted[Math.floor(random() * sorted.length)]?.key ?? ''
    const limit = 1 + Math.floor(random() * 50)
    const within = sorted.filter((item) => item.key.startsWith(prefix) && item.key > after)
    expect(ordered.size).toBe(sorted.length)
    expect(ordered.range('/r/')).toEqual(sorted)
    expect(ordered.range(prefix, after, limit)).toEqual(within.slice(0, limit))
    expect(ordered.count(prefix, after)).toBe(within.length)
  }
})
