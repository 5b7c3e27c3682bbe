import { expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { openTestCore } from '../api-core.testing.ts'
import { createWatchDeadlines, type Ending } from './watch-deadlines.ts'

test('watches end at their own times, in that order, by one timer', async () => {
  const clock = new FakeClock()
  const deadlines = createWatchDeadlines(clock)
  const ended: string[] = []
  const watch = (name: string, seconds: number): Ending => ({
    endsAtMs: clock.monotonic() + seconds * 1_000,
    timeUp: () => void ended.push(`${name} at ${clock.monotonic() / 1_000}`),
  })
  const gone = watch('gone', 10)
  for (const each of [watch('third', 1_800), watch('first', 5), gone, watch('second', 30), watch('beside second', 30)]) deadlines.add(each)
  expect(clock.pending).toBe(1)
  deadlines.remove(gone)
  await clock.advance(40_000)
  expect(ended).toEqual(['first at 5', 'second at 30', 'beside second at 30'])
  deadlines.add(watch('already', 0))
  await clock.advance(0)
  expect(ended.at(-1)).toBe('already at 40')
  await clock.advance(1_760_000)
  expect([ended.at(-1), clock.pending]).toEqual(['third at 1800', 0])
})

test('when the last one goes, so does the timer', () => {
  const clock = new FakeClock()
  const deadlines = createWatchDeadlines(clock)
  const watch: Ending = { endsAtMs: 1_000, timeUp: () => undefined }
  deadlines.add(watch)
  deadlines.remove(watch)
  deadlines.remove(watch)
  expect(clock.pending).toBe(0)
})

test('a watch lasts as long as it says; without a word once to twice the least time', async () => {
  const api = await openTestCore({ watchSecondsMin: 100 })
  const path = '/api/v1/namespaces/default/configmaps?watch=true'
  const lasted = async (query: string): Promise<number> => {
    const begin = api.clock.monotonic()
    const { ended } = await api.watch(path + query)
    let over = false
    void ended.then(() => {
      over = true
    })
    while (!over) await api.clock.advance(1_000)
    return (api.clock.monotonic() - begin) / 1_000
  }
  expect(await lasted('&timeoutSeconds=7')).toBe(7)
  const times: number[] = []
  for (let i = 0; i < 12; i++) times.push(await lasted(i % 2 === 0 ? '' : '&timeoutSeconds=0'))
  expect(Math.min(...times)).toBeGreaterThanOrEqual(100)
  expect(Math.max(...times)).toBeLessThanOrEqual(201)
  expect(new Set(times).size).toBeGreaterThan(3)
  await api.close()
})
