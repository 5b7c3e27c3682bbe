import { expect, test } from 'vitest'
import { serviceUnavailable } from '#api/errors'
import { FakeClock } from '#base/fake-clock'
import { followAggregatedKinds } from './aggregated-kinds.ts'
import type { Client } from './client.ts'
import type { Cache } from './controller.ts'

const apiService = (name: string, versionPriority = 10, labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  spec: { versionPriority },
})
const resource = (name: string, kind: string, verbs = ['get', 'list', 'watch', 'delete']) => ({
  name,
  kind,
  singularName: '',
  namespaced: true,
  verbs,
})

test('kinds of other API servers come with their discovery, go with their APIService, and stay while nobody answers', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  let services = [apiService('v1.apps', 1, { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' })]
  const answers = new Map<string, object[] | Error>()
  const asked: string[] = []
  let changed: (event: object) => void = () => undefined
  const cache = {
    list: () => services,
    informer: () => ({
      subscribe(onEvent: (event: object) => void) {
        changed = onEvent
        return () => undefined
      },
    }),
  } as unknown as Cache
  const client = {
    async raw(_method: string, path: string) {
      asked.push(path)
      const answer = answers.get(path)
      if (answer === undefined || answer instanceof Error) throw answer ?? serviceUnavailable('nobody there')
      return { resources: answer }
    },
  } as unknown as Client
  const told: string[] = []
  const ended = followAggregatedKinds(
    { cache, client, clock, signal: stop.signal },
    { added: ({ id }) => void told.push(`added ${id}`), lost: ({ id }) => void told.push(`lost ${id}`) },
  )
  const set = async (next: typeof services): Promise<string[]> => {
    services = next
    changed({ object: next.at(-1) ?? apiService('v1.x') })
    await clock.advance(0)
    return told.splice(0)
  }
  await clock.advance(120_000)
  expect([told, asked]).toEqual([[], []])

  answers.set('/apis/garden/v1', [
    resource('flowers', 'Flower'),
    resource('flowers/status', 'Flower'),
    resource('views', 'View', ['get', 'list']),
  ])
  expect(await set([apiService('v1.garden'), apiService('v1.away')])).toEqual(['added garden/v1/flowers'])

  answers.set('/apis/garden/v1', serviceUnavailable('gone for a while'))
  answers.set('/apis/away/v1', [resource('things', 'Thing')])
  await clock.advance(30_000)
  expect(told.splice(0)).toEqual(['added away/v1/things'])

  // A better version of the same resource takes its place.
  answers.set('/apis/garden/v2', [resource('flowers', 'Flower')])
  expect(await set([apiService('v1.garden'), apiService('v2.garden', 20)])).toEqual([
    'lost garden/v1/flowers',
    'lost away/v1/things',
    'added garden/v2/flowers',
  ])
  expect(await set([])).toEqual(['lost garden/v2/flowers'])
  stop.abort(new Error('over'))
  await ended
  expect(clock.pending).toBe(0)
})
