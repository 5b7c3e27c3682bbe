import { describe, expect, test } from 'vitest'
import type { PodAffinityTerm } from '#api/generated/core-v1'
import { filtered, node, pod, scored, stateOf } from '../cluster.testing.ts'
import { interPodAffinity } from './inter-pod-affinity.ts'

const nodes = [
  node('a1', { labels: { zone: 'a' } }),
  node('a2', { labels: { zone: 'a' } }),
  node('b1', { labels: { zone: 'b' } }),
  node('none'),
]
const term = (app: string, topologyKey = 'zone', more: Partial<PodAffinityTerm> = {}): PodAffinityTerm => ({
  topologyKey,
  labelSelector: { matchLabels: { app } },
  ...more,
})
const near = (...terms: PodAffinityTerm[]) => ({
  spec: { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } },
})
const away = (...terms: PodAffinityTerm[]) => ({
  spec: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } },
})
const no = {
  affinity: "node(s) didn't match pod affinity rules",
  anti: "node(s) didn't match pod anti-affinity rules",
  existing: "node(s) didn't satisfy existing pods anti-affinity rules",
}
const db = pod('db', { on: 'a1', labels: { app: 'db' } })

describe('filter', () => {
  test.each([
    ['near pods of a kind, by zone', pod('p', near(term('db'))), [db], { a1: 'ok', a2: 'ok', b1: no.affinity, none: no.affinity }],
    [
      'near them on the very node',
      pod('p', near(term('db', 'kubernetes.io/hostname'))),
      [db],
      { a1: 'ok', a2: no.affinity, b1: no.affinity, none: no.affinity },
    ],
    ['nobody to be near of', pod('p', near(term('db'))), [], { a1: no.affinity, a2: no.affinity, b1: no.affinity, none: no.affinity }],
    [
      'the first of its kind may go anywhere that has the key',
      pod('p', { labels: { app: 'db' }, ...near(term('db')) }),
      [],
      { a1: 'ok', a2: 'ok', b1: 'ok', none: no.affinity },
    ],
    ['away from pods of a kind', pod('p', away(term('db'))), [db], { a1: no.anti, a2: no.anti, b1: 'ok', none: 'ok' }],
    [
      'kept away by who is there',
      pod('p', { labels: { app: 'web' } }),
      [pod('q', { on: 'a1', ...away(term('web')) })],
      { a1: no.existing, a2: no.existing, b1: 'ok', none: 'ok' },
    ],
    [
      'pods of other namespaces do not count',
      pod('p', { namespace: 'x', ...away(term('db')) }),
      [db],
      { a1: 'ok', a2: 'ok', b1: 'ok', none: 'ok' },
    ],
    [
      'unless they are named',
      pod('p', { namespace: 'x', ...away(term('db', 'zone', { namespaces: ['default'] })) }),
      [db],
      { a1: no.anti, a2: no.anti, b1: 'ok', none: 'ok' },
    ],
    [
      'or selected',
      pod('p', { namespace: 'x', ...away(term('db', 'zone', { namespaceSelector: { matchLabels: { team: 'data' } } })) }),
      [db],
      { a1: no.anti, a2: no.anti, b1: 'ok', none: 'ok' },
    ],
    [
      'only pods with the same value of a key',
      pod('p', { labels: { v: '2' }, ...away(term('db', 'zone', { matchLabelKeys: ['v'] })) }),
      [pod('q', { on: 'a1', labels: { app: 'db', v: '1' } })],
      { a1: 'ok', a2: 'ok', b1: 'ok', none: 'ok' },
    ],
  ])('%s', (_name, of, pods, wanted) => {
    expect(filtered(interPodAffinity, of, stateOf(nodes, pods, { default: { team: 'data' }, x: {} }).snapshot())).toEqual(wanted)
  })
})

describe('score', () => {
  test('wishes of the new pod', () => {
    const wish = {
      spec: {
        affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 7, podAffinityTerm: term('db') }] } },
      },
    }
    expect(scored(interPodAffinity, pod('p', wish), stateOf(nodes, [db]).snapshot())).toEqual({ a1: 7, a2: 7, b1: 0, none: 0 })
  })
  test('wishes of those that run, dislikes too', () => {
    const dislike = {
      spec: {
        affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 4, podAffinityTerm: term('web') }] } },
      },
    }
    const snapshot = stateOf(nodes, [pod('q', { on: 'b1', ...dislike })]).snapshot()
    expect(scored(interPodAffinity, pod('p', { labels: { app: 'web' } }), snapshot)).toEqual({ a1: 4, a2: 4, b1: 0, none: 4 })
  })
  test('nobody wishes anything', () => expect(scored(interPodAffinity, pod('p'), stateOf(nodes, [db]).snapshot())).toBeUndefined())
})
