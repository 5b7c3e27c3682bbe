// Reads at "latest" through an API server whose copy of the store lags: another one has written meanwhile.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { createFaultStore, type FaultStore } from '#storage/fault-store'
import { openMemoryStore } from '#storage/memory/memory-store'
import { type Answer, openTestCore, type TestCore } from './api-core.testing.ts'

const configMaps = '/api/v1/namespaces/default/configmaps'
const lagMs = 1_000

let clock: FakeClock
let writer: TestCore
let lagging: TestCore
let faults: FaultStore

beforeEach(async () => {
  clock = new FakeClock()
  const store = openMemoryStore()
  writer = await openTestCore({ store, clock })
  faults = createFaultStore({ inner: store, clock, random: seededRandom(1) })
  lagging = await openTestCore({ store: faults, clock })
  await writer.ok('POST', configMaps, { body: { metadata: { name: 'a' }, data: { turn: '0' } } })
  await settled(lagging.ok('GET', `${configMaps}/a`))
  faults.setFaults({ watchLag: 1, delayMsMax: lagMs })
})

afterEach(async () => {
  await lagging.core.close()
  await writer.close()
})

// Time passes until the answer is there.
async function settled(answer: Promise<Answer>): Promise<Answer> {
  let done = false
  void answer.finally(() => {
    done = true
  })
  for (let i = 0; i < 50 && !done; i++) await clock.advance(lagMs / 10)
  return answer
}

const turn = (i: number): object => ({ metadata: { name: 'a' }, data: { turn: String(i) } })

describe('MUSTHOLD 23: a read at latest is never older than a write that was acknowledged before, by whichever server', () => {
  test('get', async () => {
    for (let i = 1; i <= 10; i++) {
      const written = await writer.ok('PUT', `${configMaps}/a`, { body: turn(i) })
      const { json } = await settled(lagging.ok('GET', `${configMaps}/a`))
      expect([json.data.turn, json.metadata.resourceVersion]).toEqual([String(i), written.json.metadata.resourceVersion])
    }
  })

  test('get of what was deleted, and of what was created', async () => {
    await writer.ok('DELETE', `${configMaps}/a`)
    expect((await settled(lagging.call('GET', `${configMaps}/a`))).status).toBe(404)
    await writer.ok('POST', configMaps, { body: turn(1) })
    expect((await settled(lagging.call('GET', `${configMaps}/a`))).status).toBe(200)
  })

  test.each(['', '?limit=1', '?labelSelector=!x', '?fieldSelector=metadata.name=a'])('list%s', async (query) => {
    for (let i = 1; i <= 5; i++) {
      const written = await writer.ok('PUT', `${configMaps}/a`, { body: turn(i) })
      const { json } = await settled(lagging.ok('GET', `${configMaps}${query}`))
      const found = json.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === 'a')
      expect(found.data.turn).toBe(String(i))
      expect(Number(json.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(written.json.metadata.resourceVersion))
    }
  })

  test('a change is made from what was written last, not from what this server has heard of', async () => {
    for (let i = 1; i <= 5; i++) {
      await writer.ok('PUT', `${configMaps}/a`, { body: turn(i) })
      const headers = { 'content-type': 'application/merge-patch+json' }
      const patch = { metadata: { annotations: { [`seen-${i}`]: 'true' } } }
      const { json } = await settled(lagging.ok('PATCH', `${configMaps}/a`, { body: patch, headers }))
      expect(json.data.turn).toBe(String(i))
    }
  })
})
