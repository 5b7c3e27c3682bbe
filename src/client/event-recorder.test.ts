import { describe, expect, test } from 'vitest'
import { notFound } from '#api/errors'
import type { Event as EventObject } from '#api/generated/core-v1'
import { ConfigMap } from '#api/kinds/core/config-map'
import { FakeClock } from '#base/fake-clock'
import type { Client } from './client.ts'
import { createEventRecorder } from './event-recorder.ts'
import { makeObject } from './make-object.testing.ts'

function recorder() {
  const clock = new FakeClock()
  const created: EventObject[] = []
  const patched: unknown[] = []
  const lost = new Set<string>()
  const client = {
    create: async (_kind: unknown, event: EventObject) => {
      created.push(event)
      return event
    },
    patch: async (_kind: unknown, { name }: { name: string }, _type: string, patch: unknown) => {
      if (lost.has(name)) throw notFound({ group: '', resource: 'events' }, name)
      patched.push(patch)
    },
  } as unknown as Client
  return {
    clock,
    created,
    patched,
    lost,
    events: createEventRecorder({ client, clock, random: () => 0.5, component: 'tester', host: 'node-1' }),
  }
}

const about = makeObject(ConfigMap, { metadata: { name: 'thing' } })

describe('event recorder', () => {
  test('says what it is about, who says it and when', async () => {
    const { events, created } = recorder()
    events.record({ object: about, fieldPath: 'data{a}' }, 'Warning', 'Broken', 'it broke')
    await events.flush()
    expect(created).toMatchObject([
      {
        metadata: { namespace: 'default' },
        involvedObject: {
          kind: 'ConfigMap',
          apiVersion: 'v1',
          name: 'thing',
          namespace: 'default',
          uid: 'uid-thing',
          fieldPath: 'data{a}',
        },
        type: 'Warning',
        reason: 'Broken',
        message: 'it broke',
        source: { component: 'tester', host: 'node-1' },
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        count: 1,
      },
    ])
    expect(created[0]?.metadata.name).toMatch(/^thing\.[0-9a-f]+$/)
  })

  test('names follow the order in which things happened, within a millisecond too', async () => {
    const { events, created, clock } = recorder()
    for (let i = 0; i < 12; i++) events.record(about, 'Normal', 'Counted', String(i))
    await events.flush()
    await clock.advance(1)
    events.record(about, 'Normal', 'Counted', '12')
    await events.flush()
    const names = created.map(({ metadata }) => metadata.name)
    expect([[...names].sort(), new Set(names).size]).toEqual([names, 13])
    expect(names[0]).toMatch(/^thing\.[0-9a-f]{16}$/)
  })

  test('a repeat is counted on the first, and made anew when that one is gone', async () => {
    const { events, created, patched, lost, clock } = recorder()
    events.record(about, 'Normal', 'Again', 'same')
    await events.flush()
    await clock.advance(5_000)
    events.record(about, 'Normal', 'Again', 'same')
    await events.flush()
    expect([created.length, patched]).toEqual([1, [{ count: 2, lastTimestamp: '2026-01-01T00:00:05Z' }]])
    lost.add(created[0]?.metadata.name ?? '')
    events.record(about, 'Normal', 'Again', 'same')
    await events.flush()
    expect(created.length).toBe(2)
  })

  test('after ten minutes of silence a repeat is news', async () => {
    const { events, created, clock } = recorder()
    events.record(about, 'Normal', 'Again', 'same')
    await events.flush()
    await clock.advance(600_001)
    events.record(about, 'Normal', 'Again', 'same')
    await events.flush()
    expect(created.length).toBe(2)
  })

  test('a flood about one object is cut off, and others are still heard', async () => {
    const { events, created, clock } = recorder()
    for (let i = 0; i < 100; i++) events.record(about, 'Normal', 'Flood', `message ${i}`)
    events.record(makeObject(ConfigMap, { metadata: { name: 'other' } }), 'Normal', 'Calm', 'x')
    await events.flush()
    expect(created.length).toBe(26)
    await clock.advance(300_000)
    for (let i = 0; i < 5; i++) events.record(about, 'Normal', 'Flood', `later ${i}`)
    await events.flush()
    expect(created.length).toBe(27)
  })
})
