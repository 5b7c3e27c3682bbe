// A cache over a store that reads at once: objects leave their bytes there.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Kind } from '#api/kind'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import type { Store } from '#storage/store'
import { CacheFeed } from './cache-feed.ts'
import type { EventWindowLimits } from './event-window.ts'
import type { ResourceCache } from './resource-cache.ts'
import { encodeStored } from './stored-json.ts'

const pods = Pod as unknown as Kind
const keyOf = (name: string): string => `/registry/pods/a/${name}`
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function bytesOf(name: string, { nodeName = 'n1', image = 'i' } = {}): Buffer {
  const spec = { nodeName, containers: [{ name: 'main', image }] }
  return encodeStored(pods, { kind: 'Pod', apiVersion: 'v1', metadata: { name, namespace: 'a' }, spec } as unknown as KubeObject)
}

async function openStore(values: Readonly<Record<string, Buffer>>): Promise<Store> {
  // Where flushing costs nothing, if there is such a place.
  const dir = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'navarch-lean-'))
  const store = await openLmdbStore({ dir, clock: systemClock })
  onTestFinished(async () => {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  })
  const writes = Object.entries(values).map(([name, value]) => ({ key: keyOf(name), value }))
  for (let i = 0; i < writes.length; i += 500) await store.writeAll(writes.slice(i, i + 500))
  return store
}

interface Opened {
  readonly cache: ResourceCache
  readonly told: string[]
}

async function openCache(store: Store, options: { warmBytesMax?: number; windowLimits?: EventWindowLimits } = {}): Promise<Opened> {
  const told: string[] = []
  const feed = new CacheFeed({ store, clock: systemClock, deepFreeze: true, log: (message) => told.push(message), ...options })
  const cache = feed.add(pods)
  await feed.start()
  onTestFinished(() => feed.close())
  return { cache, told }
}

const many = (count: number): Record<string, Buffer> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`p${String(i).padStart(4, '0')}`, bytesOf(`p${i}`, { nodeName: `n${i % 3}` })]),
  )

describe('a cache over a store that reads at once', () => {
  test('serves what was there before it began, by index too, although it has looked at little of it', async () => {
    const { cache } = await openCache(await openStore(many(1_300)))
    expect(cache.lean).toBe(true)
    expect(cache.candidates({ indexed: 'n1' }).length).toBe(433)
    expect(cache.candidates({}).length).toBe(1_300)
    expect(cache.get('a', 'p0007')!.object()).toMatchObject({ metadata: { name: 'p7', resourceVersion: '2' }, spec: { nodeName: 'n1' } })
  })

  test('keeps an object readable for whoever has it, when it was written over and history is forgotten', async () => {
    const store = await openStore({ one: bytesOf('one', { image: 'before' }), two: bytesOf('two', { image: 'before' }) })
    const { cache } = await openCache(store, { warmBytesMax: 1 })
    const one = cache.get('a', 'one')!
    const two = cache.get('a', 'two')!
    await store.write({ key: keyOf('one'), value: bytesOf('one', { image: 'after' }) })
    await store.write({ key: keyOf('two'), value: undefined })
    await store.compact(await store.currentRevision())
    for (let i = 0; i < 5; i++) await store.write({ key: keyOf('three'), value: bytesOf('three') })
    expect([one, two].map((object) => (object.json.toString().includes('"before"') ? object.revision : 0))).toEqual([2, 2])
    expect(cache.get('a', 'one')!.json.toString()).toContain('"after"')
    expect(cache.get('a', 'two')).toBeUndefined()
  })

  test('lets go of what has left the window, and has it again when it is asked', async () => {
    const store = await openStore({})
    const { cache } = await openCache(store, { warmBytesMax: 300, windowLimits: { eventsMax: 5, bytesMax: 1 << 20, ageMaxMs: 1e9 } })
    for (let i = 0; i < 50; i++) await store.write({ key: keyOf(`p${i}`), value: bytesOf(`p${i}`) })
    await turn()
    const objects = cache.candidates({}) as ReturnType<ResourceCache['get']>[]
    expect(objects.filter((object) => object!.heldBytes > 0).length).toBeLessThan(10)
    expect(objects.map((object) => object!.object().metadata.name).sort()).toEqual(Array.from({ length: 50 }, (_, i) => `p${i}`).sort())
    expect(objects.filter((object) => object!.heldBytes > 0).length).toBeLessThan(10)
  })

  test('puts what others wrote in another order into form; what cannot be read is left out, and told', async () => {
    const foreign = Buffer.from('{"metadata":{"namespace":"a","name":"f"},"apiVersion":"v1","spec":{"nodeName":"n9"},"kind":"Pod"}')
    const { cache, told } = await openCache(await openStore({ f: foreign, g: Buffer.from('{"kind"'), h: bytesOf('h') }))
    expect(cache.candidates({}).map((object) => object.name)).toEqual(['f', 'h'])
    expect(cache.candidates({ indexed: 'n9' }).map((object) => object.json.toString())).toEqual([
      '{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"2","name":"f","namespace":"a"},"spec":{"containers":null,"nodeName":"n9"},"status":{}}',
    ])
    expect(told).toEqual(['unreadable object /registry/pods/a/g'])
  })

  test('agrees with the store after any changes, while it still looks at what it loaded', async () => {
    const random = seededRandom(7)
    const store = await openStore(many(1_500))
    const limits = { eventsMax: 20, bytesMax: 1 << 20, ageMaxMs: 1e9 }
    const { cache } = await openCache(store, { warmBytesMax: 2_000, windowLimits: limits })
    for (let i = 0; i < 400; i++) {
      const name = `p${String(Math.floor(random() * 1_600)).padStart(4, '0')}`
      const value = random() < 0.2 ? undefined : bytesOf(name, { nodeName: `n${Math.floor(random() * 3)}`, image: `i${i}` })
      await store.write({ key: keyOf(name), value })
      if (i % 100 === 99) await store.compact((await store.currentRevision()) - 1)
    }
    await turn()
    const { items } = await store.range('/registry/pods/')
    const of = (stored: Buffer): string => stored.toString()
    expect(cache.candidates({}).map((object) => of((object as never as { stored: Buffer }).stored))).toEqual(
      items.map(({ value }) => of(value)),
    )
    for (const nodeName of ['n0', 'n1', 'n2']) {
      const expected = items.filter(({ value }) => of(value).includes(`"nodeName":"${nodeName}"`)).map(({ key }) => key)
      expect(cache.candidates({ indexed: nodeName }).map((object) => object.key)).toEqual(expected)
    }
  })
})
