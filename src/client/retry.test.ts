import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { withRetries } from './retry.ts'
import type { Transport, TransportRequest } from './transport.ts'

type Answer = readonly [status: number, retryAfter?: string]

function over(answers: Answer[]) {
  const clock = new FakeClock()
  const sentAt: number[] = []
  const inner: Transport = {
    async send() {
      sentAt.push(clock.monotonic() / 1000)
      const [status, retryAfter] = answers.length > 1 ? answers.shift()! : answers[0]!
      const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
      return { status, headers, body: (async function* () {})() }
    },
    close: async () => undefined,
  }
  const transport = withRetries(inner, clock)
  const ask = (more: Partial<TransportRequest> = {}): Promise<number> =>
    transport.send({ method: 'POST', path: '/api/v1/pods', ...more }).then(({ status }) => status)
  return { clock, sentAt, ask }
}

describe('a server that says when to come back', () => {
  test.each<[what: string, answers: Answer[], status: number, sentAt: number[]]>([
    ['is asked again then', [[429, '2'], [503, '1'], [201]], 201, [0, 2, 3]],
    ['is asked again at once when it says so', [[500, '0'], [200]], 200, [0, 0]],
    ['but not when it does not say when', [[429], [200]], 429, [0]],
    ['nor when it names a date', [[503, 'Wed, 21 Oct 2015 07:28:00 GMT'], [200]], 503, [0]],
    ['nor when it wants to be left alone for long', [[503, '3600'], [200]], 503, [0]],
    ['nor when the answer is one', [[409, '1'], [200]], 409, [0]],
  ])('%s', async (_what, answers, status, expected) => {
    const { clock, sentAt, ask } = over(answers)
    const answer = ask()
    await clock.advance(10_000)
    expect([await answer, sentAt]).toEqual([status, expected])
  })

  test('is asked ten times more at most', async () => {
    const { clock, sentAt, ask } = over([[429, '1']])
    const answer = ask()
    await clock.advance(60_000)
    expect([await answer, sentAt.length]).toEqual([429, 11])
  })

  test('is waited for only as long as somebody wants the answer', async () => {
    const { clock, sentAt, ask } = over([[429, '5'], [200]])
    const stop = new AbortController()
    const answer = ask({ signal: stop.signal })
    await clock.advance(1_000)
    stop.abort(new Error('gone'))
    await expect(answer).rejects.toThrow()
    await clock.advance(10_000)
    expect(sentAt).toEqual([0])
  })
})
