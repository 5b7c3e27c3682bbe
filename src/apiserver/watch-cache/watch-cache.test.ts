import { afterEach, describe, expect, test } from 'vitest'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { FakeClock } from '#base/fake-clock'
import { openMemoryStore } from '#storage/memory/memory-store'
import type { Store } from '#storage/store'
import { CacheFeed } from './cache-feed.ts'
import type { EventWindowLimits } from './event-window.ts'
import type { ResourceCache } from './resource-cache.ts'
import { encodeStored } from './stored-json.ts'
import type { CacheSelector, CacheWatch, EventType } from './watch-cache.ts'

type Any = KubeObject & Record<string, unknown>

const pods: Kind = {
  ...(Pod as unknown as Kind),
  strategy: { selectableFields: { 'spec.nodeName': (pod) => ((pod as Any)['spec'] as { nodeName?: string }).nodeName ?? '' } },
}

function pod(namespace: string, name: string, options: { labels?: Record<string, string>; nodeName?: string } = {}): KubeObject {
  const metadata = { name, namespace, uid: `uid-${name}`, ...(options.labels === undefined ? {} : { labels: options.labels }) }
  const spec = { containers: [{ name: 'main', image: 'i"}' }], ...(options.nodeName === undefined ? {} : { nodeName: options.nodeName }) }
  return { kind: 'Pod', apiVersion: 'v1', metadata, spec } as unknown as KubeObject
}

interface Rig {
  readonly store: Store
  readonly clock: FakeClock
  readonly feed: CacheFeed
  readonly cache: ResourceCache
  put(object: KubeObject): Promise<number>
  remove(namespace: string, name: string): Promise<number>
}

const opened: { feed: CacheFeed; store: Store }[] = []

async function rig(before: KubeObject[] = [], windowLimits?: EventWindowLimits): Promise<Rig> {
  const store = openMemoryStore()
  const clock = new FakeClock()
  const keyOf = (namespace: string, name: string): string => `/registry/pods/${namespace}/${name}`
  const put = async (object: KubeObject): Promise<number> => {
    const written = await store.write({
      key: keyOf(object.metadata.namespace ?? '', object.metadata.name),
      value: encodeStored(pods, object),
    })
    return written.revision
  }
  for (const object of before) await put(object)
  const feed = new CacheFeed({ store, clock, deepFreeze: true, ...(windowLimits === undefined ? {} : { windowLimits }) })
  const cache = feed.add(pods)
  feed.add(ConfigMap)
  await feed.start()
  opened.push({ feed, store })
  return {
    store,
    clock,
    feed,
    cache,
    put,
    remove: async (namespace, name) => (await store.write({ key: keyOf(namespace, name), value: undefined })).revision,
  }
}

afterEach(async () => {
  for (const { feed, store } of opened.splice(0)) {
    feed.close()
    await store.close()
  }
})

interface Seen {
  readonly events: string[]
  readonly watch: CacheWatch
  readonly errors: string[]
}

// The store begins at revision 1: revisions here are counted from the first write.
function follow(cache: ResourceCache, after: number, selector: CacheSelector = {}, takes = Number.POSITIVE_INFINITY): Seen {
  const events: string[] = []
  const errors: string[] = []
  const watch = cache.watch(after + 1, selector, {
    onEvent(type: EventType, object) {
      events.push(`${type} ${object.namespace}/${object.name} @${object.revision - 1}`)
      return events.length % takes !== 0
    },
    onEnd: (error) => errors.push(error?.message ?? ''),
  })
  watch.resume()
  return { events, watch, errors }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('objects', () => {
  test('what was in the store before is there, as bytes with its revision', async () => {
    const { cache } = await rig([pod('a', 'one', { labels: { app: 'x' } })])
    const one = cache.get('a', 'one')!
    expect(one.json.toString()).toBe(
      '{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"2","name":"one","namespace":"a","uid":"uid-one","labels":{"app":"x"}},' +
        '"spec":{"containers":[{"name":"main","image":"i\\"}"}]}}',
    )
    expect(one.object().metadata.resourceVersion).toBe('2')
    expect(one.labels).toEqual({ app: 'x' })
    expect([one.namespace, one.name]).toEqual(['a', 'one'])
  })

  test('bytes of another writer, in another order, are put into ours', async () => {
    const { cache, store } = await rig()
    const foreign = Buffer.from('{"metadata":{"namespace":"a","name":"f"},"apiVersion":"v1","spec":{},"kind":"Pod"}')
    await store.write({ key: '/registry/pods/a/f', value: foreign })
    expect(cache.get('a', 'f')!.json.toString()).toBe(
      '{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"2","name":"f","namespace":"a"},"spec":{"containers":null},"status":{}}',
    )
  })

  test('the object that was written is the one that is read, not decoded again', async () => {
    const { cache, feed, store } = await rig()
    const object = pod('a', 'one')
    const value = encodeStored(pods, object)
    feed.decoded.leave(value, object)
    await store.write({ key: '/registry/pods/a/one', value })
    expect(cache.get('a', 'one')!.object()).toBe(object)
    expect(Object.isFrozen(object.metadata)).toBe(true)
  })

  test('objects bigger than all that may be held decoded are decoded all the same', async () => {
    const big = (name: string): KubeObject => {
      const object = pod('a', name) as KubeObject & { metadata: { annotations?: Record<string, string> } }
      object.metadata.annotations = { ballast: 'x'.repeat(1_300_000) }
      return object
    }
    const { cache } = await rig([big('one'), big('two')])
    for (const name of ['one', 'two', 'one']) expect(cache.get('a', name)?.object().metadata.name).toBe(name)
  })

  test('candidates come in key order, by namespace, name or node', async () => {
    const { cache, put, remove } = await rig([pod('b', 'x', { nodeName: 'n1' }), pod('a', 'z', { nodeName: 'n1' }), pod('a', 'y')])
    const keys = (selector: CacheSelector): string[] => cache.candidates(selector).map((o) => `${o.namespace}/${o.name}`)
    expect(keys({})).toEqual(['a/y', 'a/z', 'b/x'])
    expect(keys({ namespace: 'a' })).toEqual(['a/y', 'a/z'])
    expect(keys({ namespace: 'a', name: 'z' })).toEqual(['a/z'])
    expect(keys({ indexed: 'n1' })).toEqual(['a/z', 'b/x'])
    await put(pod('a', 'y', { nodeName: 'n1' }))
    await remove('b', 'x')
    expect(keys({ indexed: 'n1' })).toEqual(['a/y', 'a/z'])
    expect(keys({ namespace: 'a', indexed: '' })).toEqual([])
  })
})

describe('pages', () => {
  test('a page as of an older revision shows what was then, and how much follows', async () => {
    const { cache, put, remove } = await rig([pod('a', 'a'), pod('a', 'c'), pod('a', 'd')])
    await put(pod('a', 'b'))
    await put(pod('a', 'c', { labels: { new: 'yes' } }))
    await remove('a', 'd')
    const then = cache.page({}, { limit: 2, revision: 4 })
    expect([then.items.map((o) => `${o.name}@${o.revision - 1}`), then.remaining]).toEqual([['a@1', 'c@2'], 1])
    const rest = cache.page({}, { limit: 2, revision: 4, after: then.items[1]!.key })
    expect([rest.items.map((o) => `${o.name}@${o.revision - 1}`), rest.remaining]).toEqual([['d@3'], 0])
    expect(cache.page({}, {}).items.map((o) => `${o.name}@${o.revision - 1}`)).toEqual(['a@1', 'b@4', 'c@5'])
  })

  test('a revision before the window is expired', async () => {
    const { cache, put } = await rig([pod('a', 'a'), pod('a', 'b')])
    await put(pod('a', 'b'))
    expect(() => cache.page({}, { revision: 2 })).toThrow('The resourceVersion for the provided list is too old.')
  })
})

describe('watches', () => {
  test('see every later event once, in order', async () => {
    const { cache, put, remove } = await rig([pod('a', 'one')])
    const seen = follow(cache, 1)
    await put(pod('a', 'two'))
    await put(pod('a', 'one'))
    await remove('a', 'two')
    await turn()
    expect(seen.events).toEqual(['ADDED a/two @2', 'MODIFIED a/one @3', 'DELETED a/two @4'])
    expect(seen.watch.revision).toBe(5)
  })

  test('replay from the window what happened since the revision asked for', async () => {
    const { cache, put } = await rig()
    await put(pod('a', 'one'))
    await put(pod('a', 'two'))
    expect(follow(cache, 1).events).toEqual(['ADDED a/two @2'])
  })

  test('by namespace, name, node and labels get only their own', async () => {
    const { cache, put } = await rig()
    const b = follow(cache, 0, { namespace: 'b' })
    const one = follow(cache, 0, { namespace: 'a', name: 'one' })
    const node = follow(cache, 0, { indexed: 'n1' })
    const labelled = follow(cache, 0, { labels: (labels) => labels['app'] === 'x' })
    await put(pod('a', 'one'))
    await put(pod('b', 'two', { labels: { app: 'x' } }))
    await put(pod('a', 'one', { nodeName: 'n1' }))
    await put(pod('b', 'two'))
    await put(pod('a', 'one', { nodeName: 'n2' }))
    await turn()
    expect(b.events).toEqual(['ADDED b/two @2', 'MODIFIED b/two @4'])
    expect(one.events).toEqual(['ADDED a/one @1', 'MODIFIED a/one @3', 'MODIFIED a/one @5'])
    expect(node.events).toEqual(['ADDED a/one @3', 'DELETED a/one @5'])
    expect(labelled.events).toEqual(['ADDED b/two @2', 'DELETED b/two @4'])
  })

  test('that stop taking read on from the window when they resume', async () => {
    const { cache, put } = await rig()
    const slow = follow(cache, 0, {}, 1)
    for (let i = 0; i < 100; i++) await put(pod('a', `p${i}`))
    await turn()
    expect(slow.events).toEqual(['ADDED a/p0 @1'])
    expect(slow.watch.revision).toBe(2)
    while (slow.events.length < 100) slow.watch.resume()
    expect(slow.events.at(-1)).toBe('ADDED a/p99 @100')
    expect(new Set(slow.events).size).toBe(100)
  })

  test('that fall behind the window are told so, never skipped', async () => {
    const { cache, put } = await rig([], { eventsMax: 40, bytesMax: 1 << 20, ageMaxMs: 60_000 })
    const slow = follow(cache, 0, {}, 1)
    for (let i = 0; i < 100; i++) await put(pod('a', `p${i}`))
    slow.watch.resume()
    expect(slow.events).toEqual(['ADDED a/p0 @1'])
    expect(slow.errors).toEqual(['too old resource version: 2 (61)'])
    expect(() => follow(cache, 59)).toThrow('too old resource version: 60 (61)')
    expect(follow(cache, 60).events.length).toBe(40)
  })

  test('share what is encoded', async () => {
    const { cache, put } = await rig()
    const buffers: Buffer[] = []
    let made = 0
    for (let i = 0; i < 3; i++) {
      const watch = cache.watch(
        1,
        {},
        {
          onEvent(type, object, event) {
            buffers.push(
              event.encoded(`json ${type}`, () => {
                made++
                return object.json
              }),
            )
            return true
          },
          onEnd: () => {},
        },
      )
      watch.resume()
    }
    await put(pod('a', 'one'))
    await turn()
    expect([buffers.length, new Set(buffers).size, made]).toEqual([3, 1, 1])
  })

  test('a closed one hears nothing more', async () => {
    const { cache, put } = await rig()
    const seen = follow(cache, 0)
    seen.watch.close()
    await put(pod('a', 'one'))
    await turn()
    expect(seen.events).toEqual([])
    expect(cache.watcherCount).toBe(0)
  })
})

describe('freshness', () => {
  test('a reader waits for the revision it needs, but not for ever', async () => {
    const { cache, put, clock } = await rig()
    const signal = new AbortController().signal
    const fresh = cache.waitFor(2, signal)
    await put(pod('a', 'one'))
    await fresh
    const tooFar = cache.waitFor(9, signal)
    const outcome = tooFar.catch((error: Error) => error.message)
    await clock.advance(3_000)
    expect(await outcome).toBe('Timeout: Too large resource version: 9, current: 2')
    expect(clock.pending).toBe(0)
  })

  test('a kind that is added later is loaded and followed', async () => {
    const { feed, store } = await rig()
    await store.write({
      key: '/registry/secrets/a/s',
      value: Buffer.from('{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","namespace":"a"}}'),
    })
    const cache = feed.add({ ...ConfigMap, kind: 'Secret', id: 'core/v1/secrets', storagePrefix: '/registry/secrets' } as unknown as Kind)
    await cache.untilReady()
    expect(cache.get('a', 's')?.name).toBe('s')
  })

  test('a change is announced once for a burst', async () => {
    const { cache, put } = await rig()
    let told = 0
    const stop = cache.onChange(() => told++)
    await Promise.all([put(pod('a', 'one')), put(pod('a', 'two'))])
    await turn()
    expect(told).toBeGreaterThanOrEqual(1)
    expect(told).toBeLessThanOrEqual(2)
    stop()
    await put(pod('a', 'three'))
    expect(told).toBeLessThanOrEqual(2)
  })
})
