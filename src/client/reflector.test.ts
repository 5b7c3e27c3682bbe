import { describe, expect, test } from 'vitest'
import { type ApiError, expired } from '#api/errors'
import type { ConfigMap as ConfigMapObject } from '#api/generated/core-v1'
import { ConfigMap } from '#api/kinds/core/config-map'
import { FakeClock } from '#base/fake-clock'
import type { Client, WatchEvent } from './client.ts'
import type { InformerOptions } from './informer.ts'
import { makeObject } from './make-object.testing.ts'
import { startInformer } from './reflector.ts'

const object = (name: string, resourceVersion: string, data: Record<string, string> = {}, namespace = 'default') =>
  structuredClone(makeObject(ConfigMap, { metadata: { name, namespace, resourceVersion }, data })) as ConfigMapObject

interface Script {
  lists: (ConfigMapObject[] | ApiError)[]
  /** What each watch says before it ends, or fails with. */
  watches: (readonly (WatchEvent<ConfigMapObject> | Error)[])[]
}

/** An informer over a server that follows a script; when that is over, watches stay silent. */
function follow(script: Script, options: InformerOptions<ConfigMapObject> = {}) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const asked: string[] = []
  let revision = 100
  const client = {
    async list() {
      asked.push('list')
      const items = script.lists.shift() ?? []
      if (items instanceof Error) throw items
      return { apiVersion: 'v1', kind: 'ConfigMapList', metadata: { resourceVersion: String(revision++) }, items }
    },
    async *watch(_kind: unknown, { resourceVersion }: { resourceVersion: string }) {
      asked.push(`watch ${resourceVersion}`)
      const events = script.watches.shift()
      if (events === undefined) {
        await new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(stop.signal.reason)))
        return
      }
      for (const event of events) {
        if (event instanceof Error) throw event
        yield event
      }
    },
  } as unknown as Client
  const informer = startInformer(ConfigMap, { client, clock, random: () => 0, signal: stop.signal }, options)
  const events: string[] = []
  informer.subscribe(({ type, object: of }) => void events.push(`${type} ${of.metadata.name}@${of.metadata.resourceVersion}`))
  return { informer, clock, asked, events, stop }
}

describe('informer', () => {
  test('lists, then watches from there', async () => {
    const { informer, clock, asked, events } = follow({
      lists: [[object('a', '90')]],
      watches: [
        [
          { type: 'ADDED', object: object('b', '101') },
          { type: 'MODIFIED', object: object('a', '102') },
          { type: 'DELETED', object: object('b', '103') },
          { type: 'BOOKMARK', resourceVersion: '150', initialEventsEnd: false },
        ],
      ],
    })
    await clock.advance(0)
    expect([informer.synced, informer.resourceVersion, informer.list().map(({ metadata }) => metadata.name), events]).toEqual([
      true,
      '150',
      ['a'],
      ['added a@90', 'added b@101', 'updated a@102', 'deleted b@103'],
    ])
    await clock.advance(10_000)
    expect(asked).toEqual(['list', 'watch 100', 'watch 150'])
  })

  test('a watch that breaks goes on where it was, without another list', async () => {
    const { clock, asked, events } = follow({
      lists: [[]],
      watches: [[{ type: 'ADDED', object: object('a', '101') }, new Error('broken')], [{ type: 'ADDED', object: object('b', '102') }]],
    })
    await clock.advance(20_000)
    expect([asked, events]).toEqual([
      ['list', 'watch 100', 'watch 101', 'watch 102'],
      ['added a@101', 'added b@102'],
    ])
  })

  test('when history is gone it lists again and tells the difference', async () => {
    const { clock, asked, events, informer } = follow({
      lists: [
        [object('kept', '1'), object('changed', '2'), object('gone', '3')],
        [object('kept', '1'), object('changed', '9'), object('fresh', '8')],
      ],
      watches: [[expired('too old resource version: 100 (105)')]],
    })
    await clock.advance(20_000)
    expect([asked, events.slice(3), informer.resourceVersion]).toEqual([
      ['list', 'watch 100', 'list', 'watch 101'],
      ['updated changed@9', 'added fresh@8', 'deleted gone@3'],
      '101',
    ])
  })

  test('finds objects by namespace and index, and forgets them there', async () => {
    const colour = ({ data }: ConfigMapObject): string[] => (data?.['colour'] === undefined ? [] : [data['colour']])
    const { informer, clock } = follow(
      {
        lists: [[object('a', '1', { colour: 'red' }), object('b', '2', { colour: 'red' }, 'other')]],
        watches: [[{ type: 'MODIFIED', object: object('a', '101', { colour: 'blue' }) }]],
      },
      { indices: { colour } },
    )
    await clock.advance(0)
    const names = (objects: readonly ConfigMapObject[]): string[] => objects.map(({ metadata }) => metadata.name)
    expect([
      names(informer.byIndex('colour', 'red')),
      names(informer.byIndex('colour', 'blue')),
      names(informer.list('other')),
      informer.byIndex('colour', 'x'),
    ]).toEqual([['b'], ['a'], ['b'], []])
  })

  test('holds frozen objects and ends with its signal', async () => {
    const { informer, clock, stop } = follow({ lists: [[object('a', '1', { k: 'v' })]], watches: [] })
    await clock.advance(0)
    const held = informer.get('default/a')
    expect([Object.isFrozen(held), Object.isFrozen(held?.data)]).toEqual([true, true])
    stop.abort(new Error('over'))
    await informer.ended
    expect(clock.pending).toBe(0)
  })
})
