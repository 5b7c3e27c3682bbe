// The stages one by one: order, faults, warnings, bounds on what is under way.
import { describe, expect, test } from 'vitest'
import { notFound } from '#api/errors'
import { FakeClock } from '#base/fake-clock'
import { fakeRequest } from '../fake-request.testing.ts'
import type { ApiReply, Stage } from '../request.ts'
import { answerPanics } from './answer-panics.ts'
import { authenticate } from './authenticate.ts'
import { holdUntilSynced } from './hold-until-synced.ts'
import { limitTime } from './limit-time.ts'
import { runStages } from './run-stages.ts'

const ok = async (): Promise<ApiReply> => ({ status: 200, headers: {}, body: Buffer.from('ok') })

function textOf({ body }: ApiReply): string {
  return Buffer.from(body as Uint8Array).toString()
}

describe('stages', () => {
  test('run in the order of the list, around what follows', async () => {
    const order: string[] = []
    const stage = (name: string): Stage => ({
      name,
      async run(request, next) {
        order.push(`${name} in`)
        const reply = await next(request)
        order.push(`${name} out`)
        return reply
      },
    })
    await runStages([stage('a'), stage('b')], ok)(fakeRequest('/'))
    expect(order).toEqual(['a in', 'b in', 'b out', 'a out'])
  })
})

describe('answerPanics', () => {
  const faults: unknown[] = []
  const stage = answerPanics({ onFault: (_request, error) => void faults.push(error) })

  test('an ApiError is its Status, in the form the client reads', async () => {
    const fail = async (): Promise<ApiReply> => {
      throw notFound({ group: '', resource: 'pods' }, 'web')
    }
    const json = await stage.run(fakeRequest('/'), fail)
    expect([json.status, JSON.parse(textOf(json)).message]).toEqual([404, 'pods "web" not found'])
    const yaml = await stage.run(fakeRequest('/', { headers: { accept: 'application/yaml' } }), fail)
    expect([yaml.headers['content-type'], textOf(yaml)]).toEqual(['application/yaml', expect.stringContaining('reason: NotFound')])
    const curl = await stage.run(fakeRequest('/', { headers: { 'user-agent': 'curl/8' } }), fail)
    expect(textOf(curl)).toContain('\n  "status": "Failure"')
    const odd = await stage.run(fakeRequest('/', { headers: { accept: 'image/png' } }), fail)
    expect([odd.status, odd.headers['content-type']]).toEqual([404, 'application/json'])
    expect(faults).toEqual([])
  })

  test('a fault of ours is told to the log, and to the client only that it happened', async () => {
    const reply = await stage.run(fakeRequest('/'), async () => {
      throw new Error('password=hunter2')
    })
    expect([reply.status, textOf(reply)]).toEqual([500, expect.not.stringContaining('hunter2')])
    expect(faults).toHaveLength(1)
  })

  test('warnings are one header, quoted, each once', async () => {
    const request = fakeRequest('/')
    request.warnings.push('say "no"', 'say "no"', 'second\nline')
    expect((await stage.run(request, ok)).headers['warning']).toBe('299 - "say \\"no\\"", 299 - "second line"')
  })
})

describe('authenticate', () => {
  test('nobody’s connection ends with the answer', async () => {
    const stage = authenticate({ name: 'x', authenticate: () => ({ name: 'system:anonymous', groups: [] }) })
    expect((await stage.run(fakeRequest('/'), ok)).headers).toEqual({ connection: 'close' })
  })
})

describe('limitTime', () => {
  const clock = new FakeClock()
  const stage = limitTime({ clock })
  const never = (): Promise<ApiReply> => new Promise(() => undefined)
  const late = {
    status: {
      code: 504,
      reason: 'Timeout',
      message: 'Timeout: request did not complete within the allotted timeout',
      details: {},
    },
  }
  const runs = async (target: string, ms: number): Promise<boolean> => {
    let ended = false
    const run = Promise.resolve(stage.run(fakeRequest(target), never)).catch((error) => {
      ended = true
      expect(error).toMatchObject(late)
    })
    await clock.advance(ms)
    if (ended) await run
    return !ended
  }

  test.each<[string, string, number, boolean]>([
    ['a minute is the most', '/api/v1/pods', 60_000, false],
    ['less is in time', '/api/v1/pods', 59_999, true],
    ['a client may ask for less', '/api/v1/pods?timeout=2s', 2_000, false],
    ['and has it to the end', '/api/v1/pods?timeout=2s', 1_999, true],
    ['more than the most is the most', '/api/v1/pods?timeout=1h', 60_000, false],
    ['zero is no limit of the client’s own', '/api/v1/pods?timeout=0s', 59_999, true],
    ['a watch has none', '/api/v1/pods?watch=1&timeout=1s', 3_600_000, true],
    ['nor has a log', '/api/v1/namespaces/a/pods/b/log?timeout=nonsense', 3_600_000, true],
  ])('%s', async (_what, target, ms, goesOn) => {
    expect(await runs(target, ms)).toBe(goesOn)
  })

  test('what is there at once is handed on as it is, however little time its client gives', () => {
    const reply: ApiReply = { status: 200, headers: {}, body: undefined }
    expect(stage.run(fakeRequest('/api/v1/nodes/a?timeout=1ms'), () => reply)).toBe(reply)
  })

  test.each([
    ['foo', 'time: invalid duration "foo"'],
    ['10', 'time: missing unit in duration "10"'],
  ])('%s is no time', async (text, why) => {
    await expect(async () => stage.run(fakeRequest(`/api/v1/pods?timeout=${text}`), ok)).rejects.toMatchObject({
      status: { code: 400, message: `invalid timeout specified in the request URL - ${why}` },
    })
  })

  test('an answer that has begun is cut off', async () => {
    const reply = await stage.run(fakeRequest('/api/v1/pods?timeout=5s'), async () => ({
      status: 200,
      headers: {},
      body: () => new Promise<void>(() => undefined),
    }))
    const sink = { write: () => true, drained: async () => undefined, flush: () => undefined }
    const sent = (reply.body as (to: typeof sink, signal: AbortSignal) => Promise<void>)(sink, new AbortController().signal)
    const cut = expect(sent).rejects.toMatchObject(late)
    await clock.advance(5_000)
    await cut
  })
})

describe('holdUntilSynced', () => {
  function held(usable = false) {
    const clock = new FakeClock()
    let synced = false
    let release = (): void => undefined
    const whenSynced = new Promise<void>((resolve) => {
      release = () => {
        synced = true
        resolve()
      }
    })
    return { clock, release, stage: holdUntilSynced({ synced: () => synced, untilSynced: () => whenSynced, usable: () => usable, clock }) }
  }

  test('requests wait until the server knows its roles, and then go on', async () => {
    const { clock, release, stage } = held()
    const waiting = stage.run(fakeRequest('/api/v1/pods'), ok)
    expect((await stage.run(fakeRequest('/readyz'), ok)).status).toBe(200)
    release()
    expect((await waiting).status).toBe(200)
    expect(clock.pending).toBe(0)
    expect((await stage.run(fakeRequest('/api/v1/pods'), ok)).status).toBe(200)
  })

  test('after a while they are told to come back', async () => {
    const { clock, stage } = held()
    const waiting = stage.run(fakeRequest('/api/v1/pods'), ok)
    const refused = expect(waiting).rejects.toMatchObject({ status: { code: 503, details: { retryAfterSeconds: 1 } } })
    await clock.advance(15_000)
    await refused
  })

  test('a server that will not be whole for a while answers what it can, and lets nobody wait twice', async () => {
    const { clock, stage } = held(true)
    const waiting = stage.run(fakeRequest('/api/v1/pods'), ok)
    await clock.advance(15_000)
    expect((await waiting).status).toBe(200)
    expect((await stage.run(fakeRequest('/api/v1/pods'), ok)).status).toBe(200)
  })
})
