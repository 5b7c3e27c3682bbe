import { expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
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
