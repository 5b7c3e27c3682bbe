// The stages one by one: order, faults, warnings, bounds on what is under way.
import { describe, expect, test } from 'vitest'
import { notFound } from '#api/errors'
import { FakeClock } from '#base/fake-clock'
import { fakeRequest } from '../fake-request.testing.ts'
import type { ApiReply, Stage } from '../request.ts'
import { answerPanics } from './answer-panics.ts'
import { authenticate } from './authenticate.ts'
import { holdUntilSynced } from './hold-until-synced.ts'
import { runStages } from './run-stages.ts'
import { shareFairly } from './share-fairly.ts'

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

describe('shareFairly', () => {
  const list = () => fakeRequest('/api/v1/pods', { user: { name: 'a', groups: [] } })

  test('beyond the bound of its kind a request is told to come back', async () => {
    const { stage, counts } = shareFairly({ readOnlyMax: 1, mutatingMax: 1 })
    let release = (): void => undefined
    const waiting = stage.run(
      list(),
      () =>
        new Promise((resolve) => {
          release = () => resolve({ status: 200, headers: {}, body: undefined })
        }),
    )
    await expect(stage.run(list(), ok)).rejects.toMatchObject({
      status: { code: 429, message: 'Too many requests, please try again later.', details: { retryAfterSeconds: 1 } },
    })
    const write = fakeRequest('/api/v1/namespaces/a/pods', { method: 'POST', user: { name: 'a', groups: [] } })
    expect((await stage.run(write, ok)).status).toBe(200)
    const watch = fakeRequest('/api/v1/pods?watch=1', { user: { name: 'a', groups: [] } })
    expect((await stage.run(watch, ok)).status).toBe(200)
    const admin = fakeRequest('/api/v1/pods', { user: { name: 'root', groups: ['system:masters'] } })
    expect((await stage.run(admin, ok)).status).toBe(200)
    release()
    await waiting
    expect(counts).toEqual({ readOnly: 0, mutating: 0, longRunning: 0 })
  })

  test('a streamed answer keeps its place until it is written, whatever becomes of it', async () => {
    const { stage, counts } = shareFairly()
    for (const fails of [false, true]) {
      const { body } = await stage.run(list(), async () => ({
        status: 200,
        headers: {},
        body: async () => {
          if (fails) throw new Error('broken')
        },
      }))
      expect(counts.readOnly).toBe(1)
      const sink = { write: () => true, drained: async () => undefined, flush: () => undefined }
      await (body as (to: typeof sink, signal: AbortSignal) => Promise<void>)(sink, new AbortController().signal).catch(() => undefined)
      expect(counts.readOnly).toBe(0)
    }
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
