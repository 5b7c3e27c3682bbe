import { describe, expect, test } from 'vitest'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { makeObject } from '#client/make-object.testing'
import { inGrowingBatches, leastUseful, podNamePrefix } from './pods-of-template.ts'

interface Traits {
  node?: string
  phase?: 'Pending' | 'Running' | 'Unknown'
  readySince?: string
  cost?: string
  restarts?: number
  created?: string
}

function pod(
  name: string,
  { node = 'n', phase = 'Running', readySince, cost, restarts = 0, created = '2026-01-01T00:00:00Z' }: Traits,
): PodObject {
  return makeObject(Pod, {
    metadata: {
      name,
      creationTimestamp: created,
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
    },
    spec: { containers: [{ name: 'web', image: 'web' }], ...(node === '' ? {} : { nodeName: node }) },
    status: {
      phase,
      conditions: readySince === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: readySince }],
      containerStatuses: [{ name: 'web', image: '', imageID: '', ready: true, restartCount: restarts }],
    },
  })
}

describe('leastUseful', () => {
  const ready = '2026-01-01T00:00:00Z'
  test.each<[string, Traits, Traits]>([
    ['an unassigned pod goes before an assigned one', { node: '' }, {}],
    ['a pending pod goes before a running one', { phase: 'Pending' }, { phase: 'Running' }],
    ['a pending pod goes before an unknown one', { phase: 'Pending' }, { phase: 'Unknown' }],
    ['a pod that is not ready goes before a ready one', {}, { readySince: ready }],
    ['a cheaper pod goes before a dearer one', { readySince: ready, cost: '-5' }, { readySince: ready }],
    ['a pod ready for less long goes first', { readySince: '2026-01-01T00:05:00Z' }, { readySince: ready }],
    ['a pod that restarted more goes first', { restarts: 3 }, { restarts: 1 }],
    ['a younger pod goes first', { created: '2026-01-01T00:05:00Z' }, {}],
  ])('%s', (_name, loser, winner) => {
    const names = (pods: PodObject[]): string[] => leastUseful(pods, 1).map(({ metadata }) => metadata.name)
    expect([names([pod('loser', loser), pod('winner', winner)]), names([pod('winner', winner), pod('loser', loser)])]).toEqual([
      ['loser'],
      ['loser'],
    ])
  })

  test('a pod among many of its like on a node goes before a lone one', () => {
    const lone = pod('lone', { node: 'quiet', readySince: ready })
    const crowd = ['a', 'b'].map((name) => pod(name, { node: 'crowded', readySince: ready }))
    expect(leastUseful([lone, ...crowd], 1).map(({ spec }) => spec.nodeName)).toEqual(['crowded'])
  })
})

describe('inGrowingBatches', () => {
  test('runs one, then two, then four at a time', async () => {
    const sizes: number[] = []
    let running = 0
    const result = await inGrowingBatches(7, async () => {
      running++
      await Promise.resolve()
      if (running > 0) sizes.push(running)
      running = 0
    })
    expect([result, sizes]).toEqual([{ done: 7, error: undefined }, [1, 2, 4]])
  })

  test('stops after the batch in which one failed', async () => {
    const tried: number[] = []
    const failure = new Error('quota')
    const result = await inGrowingBatches(100, async (i) => {
      tried.push(i)
      if (i === 1) throw failure
    })
    expect([result, tried]).toEqual([{ done: 2, error: failure }, [0, 1, 2]])
  })
})

test('names leave room for what the server appends', () => {
  expect([podNamePrefix('web'), podNamePrefix('x'.repeat(250))]).toEqual(['web-', 'x'.repeat(250)])
})
