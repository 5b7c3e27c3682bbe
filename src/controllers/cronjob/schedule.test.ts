import { describe, expect, test } from 'vitest'
import { CronJob } from '#api/kinds/batch/cron-job'
import { makeObject } from '#client/make-object.testing'
import { dueTime, jobFor } from './plan-cron-job.ts'
import { parseSchedule } from './schedule.ts'

const at = (text: string): number => Date.parse(text)
const shown = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().replace(':00.000Z', 'Z')

describe('next', () => {
  test.each([
    ['every minute', '* * * * *', undefined, '2026-01-01T00:00:30Z', '2026-01-01T00:01Z'],
    ['never the same time again', '0 * * * *', undefined, '2026-01-01T01:00:00Z', '2026-01-01T02:00Z'],
    ['steps', '*/15 8-10 * * *', undefined, '2026-01-01T10:46:00Z', '2026-01-02T08:00Z'],
    ['lists and names', '30 6 * mar,NOV mon-fri', undefined, '2026-01-01T00:00:00Z', '2026-03-02T06:30Z'],
    ['a day of the month or of the week', '0 0 13 * fri', undefined, '2026-01-01T00:00:00Z', '2026-01-02T00:00Z'],
    ['leap days', '0 0 29 2 *', undefined, '2026-01-01T00:00:00Z', '2028-02-29T00:00Z'],
    ['never', '0 0 31 2 *', undefined, '2026-01-01T00:00:00Z', undefined],
    ['by name', '@monthly', undefined, '2026-01-15T00:00:00Z', '2026-02-01T00:00Z'],
    ['by period', '@every 1h30m', undefined, '2026-01-01T00:00:00Z', '2026-01-01T01:30Z'],
    ['in a time zone', '0 9 * * *', 'Asia/Kolkata', '2026-01-01T00:00:00Z', '2026-01-01T03:30Z'],
    ['a time that summer time leaves out is skipped', '30 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', '2026-03-09T06:30Z'],
    ['a time that it repeats comes first', '30 1 * * *', 'America/New_York', '2026-11-01T00:00:00Z', '2026-11-01T05:30Z'],
    ['and again', '30 1 * * *', 'America/New_York', '2026-11-01T05:30:00Z', '2026-11-01T06:30Z'],
    ['midnight after a day of 23 hours', '0 0 9 3 *', 'America/New_York', '2026-03-01T00:00:00Z', '2026-03-09T04:00Z'],
  ])('%s', (_name, schedule, zone, after, wanted) => expect(shown(parseSchedule(schedule, zone).next(at(after)))).toBe(wanted))
})

describe('dueTime', () => {
  const cron = (status: object = {}, spec: object = {}) =>
    makeObject(CronJob, {
      metadata: { name: 'tick' },
      spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: { spec: { containers: [] } } } }, ...spec },
      status,
    })
  const due = (of: ReturnType<typeof cron>, now: string) => {
    const { dueMs, missed } = dueTime(of, parseSchedule(of.spec.schedule), at(now))
    return [shown(dueMs), missed]
  }
  test('nothing yet', () => expect(due(cron(), '2026-01-01T00:04:59Z')).toEqual([undefined, 0]))
  test('the latest of those missed', () => expect(due(cron(), '2026-01-01T00:17:00Z')).toEqual(['2026-01-01T00:15Z', 3]))
  test('since the last one', () =>
    expect(due(cron({ lastScheduleTime: '2026-01-01T00:10:00Z' }), '2026-01-01T00:17:00Z')).toEqual(['2026-01-01T00:15Z', 1]))
  test('within the deadline', () => expect(due(cron({}, { startingDeadlineSeconds: 60 }), '2026-01-01T00:17:00Z')).toEqual([undefined, 0]))
  test('years are not walked through', () => {
    const [latest, missed] = due(cron(), '2029-01-01T00:02:00Z')
    expect([latest, (missed as number) > 300_000]).toEqual(['2029-01-01T00:00Z', true])
  })
  test('a Job is named after its time, and says it in its zone', () => {
    const { metadata } = jobFor(cron({}, { timeZone: 'Asia/Kolkata' }), at('2026-01-01T00:05:00Z'))
    expect([metadata.name, metadata.annotations]).toEqual([
      'tick-29453765',
      { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T05:35:00+05:30' },
    ])
  })
})
