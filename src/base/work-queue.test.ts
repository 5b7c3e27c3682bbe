import { describe, expect, test } from 'vitest'
import { FakeClock } from './fake-clock.ts'
import { WorkQueue } from './work-queue.ts'

describe('WorkQueue', () => {
  test('a key added twice before it is taken comes out once', async () => {
    const queue = new WorkQueue<string>({ clock: new FakeClock() })
    queue.add('a')
    queue.add('a')
    queue.add('b')
    expect([await queue.take(), await queue.take(), queue.length]).toEqual(['a', 'b', 0])
  })

  test('a key added while in work comes out again only after it is done', async () => {
    const queue = new WorkQueue<string>({ clock: new FakeClock() })
    queue.add('a')
    await queue.take()
    queue.add('a')
    queue.add('a')
    expect(queue.length).toBe(0)
    queue.done('a')
    expect([queue.length, await queue.take()]).toEqual([1, 'a'])
  })

  test('what came before the work began is not worked on twice', async () => {
    const queue = new WorkQueue<string>({ clock: new FakeClock() })
    queue.add('a')
    await queue.take()
    queue.add('a')
    queue.beginNow('a')
    queue.done('a')
    expect(queue.length).toBe(0)
  })

  test('a waiting taker gets the key at once, and two workers never hold the same key', async () => {
    const queue = new WorkQueue<string>({ clock: new FakeClock() })
    const first = queue.take()
    const second = queue.take()
    queue.add('a')
    queue.add('a')
    expect(await first).toBe('a')
    queue.done('a')
    expect(await second).toBe('a')
  })

  test('the earliest of several delays counts', async () => {
    const clock = new FakeClock()
    const queue = new WorkQueue<string>({ clock })
    queue.addAfter('a', 1_000)
    queue.addAfter('a', 100)
    queue.addAfter('a', 5_000)
    await clock.advance(99)
    expect(queue.length).toBe(0)
    await clock.advance(1)
    expect([queue.length, clock.pending]).toEqual([1, 0])
  })

  test('delays grow with each failure until the key is forgotten', () => {
    const queue = new WorkQueue<string>({ clock: new FakeClock(), backoff: { initialMs: 10, maxMs: 50 } })
    const delays = [1, 2, 3, 4].map(() => queue.addAfterFailure('a'))
    queue.forget('a')
    expect([...delays, queue.addAfterFailure('a')]).toEqual([10, 20, 40, 50, 10])
  })

  test('closing releases the takers and drops what was delayed', async () => {
    const clock = new FakeClock()
    const queue = new WorkQueue<string>({ clock })
    const taker = queue.take()
    queue.addAfter('a', 10)
    queue.close()
    expect([await taker, await queue.take(), clock.pending]).toEqual([undefined, undefined, 0])
  })
})
