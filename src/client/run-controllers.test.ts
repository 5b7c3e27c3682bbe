import { describe, expect, test } from 'vitest'
import { conflict } from '#api/errors'
import type { ConfigMap as ConfigMapObject } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { keyOf } from '#api/object'
import { FakeClock } from '#base/fake-clock'
import type { SharedCache } from './cache.ts'
import type { Client } from './client.ts'
import type { Controller, ReconcileContext } from './controller.ts'
import type { InformerEvent } from './informer.ts'
import { makeObject } from './make-object.testing.ts'
import { runControllers } from './run-controllers.ts'

const object = (name: string, resourceVersion = '1') => makeObject(ConfigMap, { metadata: { name, resourceVersion } })

/** A cache that shows what the test puts into it, and a runner over it. */
function run(reconcile: (key: string, context: ReconcileContext) => Promise<number | undefined>, client: Partial<Client> = {}) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const objects = new Map<string, ConfigMapObject>()
  const subscribers = new Set<(event: InformerEvent<ConfigMapObject>) => void>()
  const failures: string[] = []
  let resourceVersion = '0'
  const informer = {
    kind: ConfigMap,
    get resourceVersion() {
      return resourceVersion
    },
    get: (key: string) => objects.get(key),
    subscribe(onEvent: (event: InformerEvent<ConfigMapObject>) => void) {
      subscribers.add(onEvent)
      return () => subscribers.delete(onEvent)
    },
  }
  const cache = {
    informer: () => informer,
    get: (_kind: Kind, key: string) => objects.get(key),
    has: () => true,
    untilSynced: async () => {},
  } as unknown as SharedCache
  const show = async (shown: ConfigMapObject): Promise<void> => {
    const old = objects.get(keyOf(shown))
    objects.set(keyOf(shown), shown)
    resourceVersion = shown.metadata.resourceVersion
    for (const subscriber of [...subscribers]) subscriber({ type: old === undefined ? 'added' : 'updated', object: shown, old })
    await clock.advance(0)
  }
  const controller: Controller = { name: 'test', watches: [{ kind: ConfigMap as Kind, keysOf: (of) => [keyOf(of)] }], reconcile }
  const ended = runControllers([controller], {
    cache,
    client: client as Client,
    clock,
    random: () => 0,
    recorder: () => ({ record: () => {}, flush: async () => {} }),
    signal: stop.signal,
    onError: (_name, key, error) => void failures.push(`${key}: ${(error as Error).message}`),
  })
  return { clock, show, failures, stop, ended }
}

describe('runControllers', () => {
  test('a key that was written is looked at again only when the cache shows the write', async () => {
    const seen: string[] = []
    const { show, clock } = run(
      async (key, { cache, client }) => {
        const found = cache.get(ConfigMap, key)
        seen.push(found?.metadata.resourceVersion ?? '')
        if (seen.length === 1) await client.update(ConfigMap, found!)
        return undefined
      },
      { update: (async () => object('a', '5')) as unknown as Client['update'] },
    )
    await clock.advance(0)
    await show(object('a', '1'))
    await show(object('a', '3'))
    expect(seen).toEqual(['1'])
    await show(object('a', '5'))
    expect(seen).toEqual(['1', '5'])
  })

  test('a broken watch holds a key back for five seconds at most', async () => {
    let reconciled = 0
    const { show, clock } = run(
      async (_key, { client }) => {
        if (++reconciled === 1) await client.create(ConfigMap, {})
        return undefined
      },
      { create: (async () => object('a', '50')) as unknown as Client['create'] },
    )
    await clock.advance(0)
    await show(object('a', '1'))
    await show(object('a', '2'))
    await clock.advance(4_900)
    expect(reconciled).toBe(1)
    await clock.advance(200)
    expect(reconciled).toBe(2)
  })

  test('a failure is told and tried again, longer apart each time; a conflict is only tried again', async () => {
    const times: number[] = []
    const { show, clock, failures } = run(async () => {
      times.push(clock.monotonic())
      if (times.length === 1) throw conflict({ group: '', resource: 'configmaps' }, 'a', 'stale')
      if (times.length < 4) throw new Error('broken')
      return undefined
    })
    await clock.advance(0)
    await show(object('a'))
    await clock.advance(10_000)
    expect([times, failures]).toEqual([
      [0, 20, 60, 140],
      ['default/a: broken', 'default/a: broken'],
    ])
  })

  test('a key is looked at again after the time that was asked for', async () => {
    const times: number[] = []
    const { show, clock } = run(async () => {
      times.push(clock.monotonic())
      return times.length < 3 ? 1_000 : undefined
    })
    await clock.advance(0)
    await show(object('a'))
    await clock.advance(10_000)
    expect(times).toEqual([0, 1_000, 2_000])
  })

  test('it ends with its signal, when the work in hand is done', async () => {
    let release = (): void => {}
    const { show, clock, stop, ended } = run(
      () =>
        new Promise((resolve) => {
          release = () => resolve(undefined)
        }),
    )
    await clock.advance(0)
    await show(object('a'))
    let over = false
    void ended.then(() => {
      over = true
    })
    stop.abort(new Error('over'))
    await clock.advance(0)
    expect(over).toBe(false)
    release()
    await ended
    expect(clock.pending).toBe(0)
  })
})
