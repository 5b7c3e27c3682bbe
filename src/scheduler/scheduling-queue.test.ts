import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { pod } from './cluster.testing.ts'
import { podInfo } from './node-info.ts'
import { defaultPlugins } from './plugins/all.ts'
import { SchedulingQueue } from './scheduling-queue.ts'

function queueOf(...pods: Parameters<typeof pod>[]) {
  const clock = new FakeClock()
  const queue = new SchedulingQueue(clock, defaultPlugins())
  for (const args of pods) queue.set(podInfo(pod(...args)))
  const next = async (): Promise<string | undefined> => {
    let taken: string | undefined
    void queue.take().then((found) => {
      taken = found?.info.pod.metadata.name
    })
    await clock.advance(0)
    return taken
  }
  return { clock, queue, next }
}

describe('SchedulingQueue', () => {
  test('the most important first, then in order of arrival', async () => {
    const { next } = queueOf(['a'], ['b', { priority: 5 }], ['c'])
    expect([await next(), await next(), await next()]).toEqual(['b', 'a', 'c'])
  })

  test('a pod that fits nowhere waits for a change that could help, and no shorter than its backoff', async () => {
    const { clock, queue } = queueOf(['a'])
    const tried = (await queue.take())!
    queue.failed(tried, new Set(['NodeResourcesFit']))
    queue.note('namespaceChanged')
    await clock.advance(60_000)
    let again = false
    void queue.take().then(() => {
      again = true
    })
    await clock.advance(0)
    expect(again).toBe(false)
    queue.note('podRemoved')
    await clock.advance(0)
    expect(again).toBe(true)
  })

  test('backoff grows from one second to ten', async () => {
    const { clock, queue } = queueOf(['a'])
    const waits: number[] = []
    let tried = (await queue.take())!
    for (let i = 0; i < 6; i++) {
      const at = clock.monotonic()
      queue.failed(tried, new Set(['NodeResourcesFit']))
      queue.note('nodeAdded')
      let taken: typeof tried | undefined
      void queue.take().then((found) => {
        taken = found
      })
      while (taken === undefined) await clock.advance(500)
      tried = taken
      waits.push(clock.monotonic() - at)
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  })

  test('a change during the attempt is not missed', async () => {
    const { clock, queue, next } = queueOf(['a'])
    const tried = (await queue.take())!
    queue.note('nodeAdded')
    queue.failed(tried, new Set(['NodeResourcesFit']))
    await clock.advance(1_000)
    expect(await next()).toBe('a')
  })

  test('after five minutes it is tried in any case', async () => {
    const { clock, queue } = queueOf(['a'])
    queue.failed((await queue.take())!, new Set(['NodeAffinity']))
    let again = false
    void queue.take().then(() => {
      again = true
    })
    await clock.advance(299_000)
    expect(again).toBe(false)
    await clock.advance(1_000)
    expect(again).toBe(true)
  })

  test('what was removed does not come back', async () => {
    const { clock, queue, next } = queueOf(['a'], ['b'])
    queue.remove('uid-a')
    const tried = (await queue.take())!
    queue.remove('uid-b')
    queue.failed(tried, new Set())
    await clock.advance(300_000)
    expect([await next(), queue.length, clock.pending]).toEqual([undefined, 0, 0])
  })

  test('closing releases the taker', async () => {
    const { queue } = queueOf()
    const taker = queue.take()
    queue.close()
    expect([await taker, await queue.take()]).toEqual([undefined, undefined])
  })
})
