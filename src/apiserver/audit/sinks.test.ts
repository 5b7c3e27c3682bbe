// Where audit events go: within a size, and to another server, several at once.
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { fakeRequest } from '../fake-request.testing.ts'
import type { KindCatalog } from '../request.ts'
import { type AuditEvent, createAudit, lineOf } from './audit.ts'
import type { AuditLevel } from './policy.ts'
import { truncating } from './truncate.ts'
import { type AuditWebhookSettings, auditWebhook } from './webhook-sink.ts'

const event = (more: object = {}): AuditEvent => ({
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: 'a',
  ...more,
})

test.each<[AuditLevel, string[]]>([
  ['Metadata', ['mutation.webhook.admission.k8s.io/round_0_index_0']],
  ['Request', ['mutation.webhook.admission.k8s.io/round_0_index_0', 'patch.webhook.admission.k8s.io/round_0_index_0']],
])('at the level %s webhooks’ patches stand in an event when bodies do', async (level, expected) => {
  const events: AuditEvent[] = []
  const sink = { write: (_line: string, one: AuditEvent) => void events.push(one) }
  const policy = { rules: [{ level }], omitStages: ['RequestReceived'] as const }
  const { stage } = createAudit({ sink, policy, clock: new FakeClock(), catalog: {} as KindCatalog })
  await stage.run(fakeRequest('/version', { user: { name: 'jane', groups: [] } }), async (request) => {
    for (const name of ['mutation', 'patch']) request.auditAnnotations[`${name}.webhook.admission.k8s.io/round_0_index_0`] = '{}'
    return { status: 200, headers: {}, body: undefined }
  })
  expect(Object.keys(events[0]!['annotations'] as object)).toEqual(expected)
})

describe('events within a size', () => {
  const run = (eventBytesMax: number, of: AuditEvent) => {
    const lines: string[] = []
    const errors: string[] = []
    const sink = truncating(
      { write: (line) => void lines.push(line) },
      { eventBytesMax, onError: ({ message }) => void errors.push(message) },
    )
    sink.write(lineOf(of), of)
    return { events: lines.map((line) => JSON.parse(line)), errors }
  }

  test('small ones go as they are', () => {
    const small = event({ requestObject: { a: 1 } })
    expect(run(200, small)).toEqual({ events: [small], errors: [] })
  })

  test('large ones go without their bodies, and say so', () => {
    const large = event({ requestObject: 'x'.repeat(300), responseObject: 'y', annotations: { a: 'b' } })
    expect(run(200, large).events).toEqual([event({ annotations: { a: 'b', 'audit.k8s.io/truncated': 'true' } })])
  })

  test('those that are too large without bodies do not go', () => {
    const words = ['event is too large even after truncating']
    expect(run(200, event({ requestURI: 'x'.repeat(300) }))).toEqual({ events: [], errors: words })
    expect(run(200, event({ level: 'Metadata', requestURI: 'x'.repeat(300) }))).toEqual({ events: [], errors: words })
  })
})

describe('events that are sent', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  function open(settings: Partial<AuditWebhookSettings> = {}) {
    const clock = new FakeClock()
    const state = { sent: [] as string[][], up: true, tries: 0, lost: [] as string[], closed: false }
    const webhook = auditWebhook({
      poster: {
        async deliver(list) {
          state.tries++
          if (!state.up) throw new Error('down')
          const { kind, apiVersion, items } = list as { kind: string; apiVersion: string; items: AuditEvent[] }
          expect([kind, apiVersion]).toEqual(['EventList', 'audit.k8s.io/v1'])
          for (const item of items) expect(Object.keys(item)).not.toContain('kind')
          state.sent.push(items.map(({ auditID }) => String(auditID)))
        },
        close: () => {
          state.closed = true
        },
      },
      settings: { bufferMax: 5, batchMax: 3, batchBytesMax: Number.POSITIVE_INFINITY, batchWaitMs: 1_000, firstWaitMs: 100, ...settings },
      clock,
      random: () => 0,
      onError: ({ message }, events) => void state.lost.push(`${events}: ${message}`),
    })
    const write = (...ids: string[]): void => {
      for (const auditID of ids) webhook.write(lineOf(event({ auditID })), event({ auditID }))
    }
    return { clock, state, webhook, write }
  }

  test('a full batch goes at once, the rest after a while', async () => {
    const { clock, state, write } = open()
    write('a', 'b', 'c', 'd')
    await turn()
    expect(state.sent).toEqual([['a', 'b', 'c']])
    await clock.advance(1_000)
    expect(state.sent).toEqual([['a', 'b', 'c'], ['d']])
  })

  test('a batch is no larger than its bytes', async () => {
    const { clock, state, write } = open({ batchBytesMax: 2 * lineOf(event()).length })
    write('a', 'b', 'c')
    await turn()
    await clock.advance(1_000)
    expect(state.sent).toEqual([['a', 'b'], ['c']])
  })

  test('batches go no faster than they may', async () => {
    const { clock, state, write } = open({ batchMax: 1, bufferMax: 10, throttle: { perSecond: 2, burst: 2 } })
    write('a', 'b', 'c', 'd')
    await turn()
    expect(state.sent.flat()).toEqual(['a', 'b'])
    await clock.advance(500)
    expect(state.sent.flat()).toEqual(['a', 'b', 'c'])
    await clock.advance(500)
    expect(state.sent.flat()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('what fails is sent again, five times in all', async () => {
    const { clock, state, write } = open({ batchMax: 1 })
    state.up = false
    write('a')
    for (let i = 0; i < 10; i++) await clock.advance(100)
    expect(state.tries).toBe(5)
    expect(state.lost).toEqual(['1: down'])
    write('b')
    await turn()
    state.up = true
    await clock.advance(100)
    expect(state.sent).toEqual([['b']])
  })

  test('what does not fit into the buffer is lost; what waits goes at the end', async () => {
    const { state, webhook, write } = open({ throttle: { perSecond: 1, burst: 0 } })
    write('a', 'b', 'c', 'd', 'e', 'f')
    expect(state.lost).toEqual(['1: audit buffer queue blocked'])
    await webhook.close(1_000)
    expect(state.sent).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ])
    expect(state.closed).toBe(true)
    write('g')
    expect(state.lost.at(-1)).toBe('1: audit backend shut down')
  })
})
