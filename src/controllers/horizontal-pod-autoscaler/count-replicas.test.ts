import { describe, expect, test } from 'vitest'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { makeObject } from '#client/make-object.testing'
import { countByAverage, countByShare, countByUtilization, countByValue, type PodMetrics, requestsOf } from './count-replicas.ts'

const nowMs = Date.UTC(2026, 0, 1, 12)
const at = (msAgo: number): string => new Date(nowMs - msAgo).toISOString()
const tolerances = { down: 0.1, up: 0.1 }

interface Traits {
  readonly phase?: 'Pending' | 'Running' | 'Failed'
  readonly ready?: 'True' | 'False'
  readonly startedMsAgo?: number
  readonly changedMsAgo?: number
  readonly deleting?: boolean
  readonly cpu?: string
}

function pod(index: number, traits: Traits = {}): PodObject {
  const { phase = 'Running', ready = 'True', startedMsAgo = 3_600_000, changedMsAgo = 3_500_000, deleting = false, cpu = '1' } = traits
  return makeObject(Pod, {
    metadata: { name: `pod-${index}`, namespace: 'default', ...(deleting ? { deletionTimestamp: at(0) } : {}) },
    spec: { containers: [{ name: 'main', image: 'navarch.local/app:1', resources: { requests: { cpu } } }] },
    status: {
      phase,
      startTime: at(startedMsAgo),
      conditions: [{ type: 'Ready', status: ready, lastTransitionTime: at(changedMsAgo) }],
    },
  })
}

const metrics = (...values: (number | undefined)[]): PodMetrics =>
  new Map(values.flatMap((value, i) => (value === undefined ? [] : [[`pod-${i}`, { value, atMs: nowMs, windowMs: 60_000 }] as const])))

const pods = (count: number, ...traits: (Traits | undefined)[]): PodObject[] => Array.from({ length: count }, (_, i) => pod(i, traits[i]))

describe('by the share of the requests that is used', () => {
  test.each<[string, { pods: PodObject[]; metrics: PodMetrics; target: number }, { replicas: number; utilization: number; usage: number }]>(
    [
      [
        'more than the target: more pods',
        { pods: pods(3), metrics: metrics(300, 500, 700), target: 30 },
        { replicas: 5, utilization: 50, usage: 500 },
      ],
      [
        'less than the target: fewer pods',
        { pods: pods(5), metrics: metrics(100, 300, 500, 250, 250), target: 50 },
        { replicas: 3, utilization: 28, usage: 280 },
      ],
      [
        'nearly the target: as many',
        { pods: pods(3), metrics: metrics(1010, 1030, 1020), target: 100 },
        { replicas: 3, utilization: 102, usage: 1020 },
      ],
      [
        'a pod that starts counts as idle when there are to be more',
        { pods: pods(3, { ready: 'False', startedMsAgo: 60_000, changedMsAgo: 60_000 }), metrics: metrics(100, 500, 700), target: 30 },
        { replicas: 4, utilization: 60, usage: 600 },
      ],
      [
        'a pod that has become ready just now has not been measured yet',
        { pods: pods(3, { startedMsAgo: 60_000, changedMsAgo: 20_000 }), metrics: metrics(100, 500, 700), target: 30 },
        { replicas: 4, utilization: 60, usage: 600 },
      ],
      [
        'a pod that fails its probe after it was ready still counts',
        { pods: pods(3, { ready: 'False', startedMsAgo: 600_000, changedMsAgo: 60_000 }), metrics: metrics(300, 500, 700), target: 30 },
        { replicas: 5, utilization: 50, usage: 500 },
      ],
      [
        'pending, failed and deleted pods are left out',
        {
          pods: pods(5, undefined, undefined, { phase: 'Pending' }, { phase: 'Failed' }, { deleting: true }),
          metrics: metrics(500, 700, undefined, 900, 900),
          target: 20,
        },
        { replicas: 6, utilization: 60, usage: 600 },
      ],
      [
        'a pod without metrics counts as busy when there are to be fewer',
        { pods: pods(3), metrics: metrics(undefined, 300, 300), target: 100 },
        { replicas: 2, utilization: 30, usage: 300 },
      ],
      [
        'a pod without metrics counts as idle when there are to be more, and may hold the count',
        { pods: pods(3), metrics: metrics(undefined, 600, 600), target: 40 },
        { replicas: 3, utilization: 60, usage: 600 },
      ],
    ],
  )('%s', (_, { pods: all, metrics: found, target }, expected) => {
    expect(countByUtilization({ pods: all, metrics: found, current: all.length, tolerances, nowMs }, target, 'cpu', '')).toEqual(expected)
  })

  test.each<[string, PodObject[], PodMetrics, string]>([
    ['no pods', [], metrics(1), 'no pods returned by selector while calculating replica count'],
    ['no metrics of the pods', pods(2), new Map([['other', { value: 1, atMs: 0, windowMs: 0 }]]), 'no metrics returned matched known pods'],
    [
      'only pods that start',
      pods(1, { phase: 'Pending' }),
      metrics(100),
      'did not receive metrics for targeted pods (pods might be unready)',
    ],
  ])('%s is an error', (_, all, found, error) => {
    const input = { pods: all, metrics: found, current: all.length, tolerances, nowMs }
    expect(() => countByUtilization(input, 50, 'cpu', '')).toThrow(error)
  })

  test('a container that asks for nothing is an error, named', () => {
    expect(() => requestsOf(pods(1), 'memory', '')).toThrow('missing request for memory in container main of Pod pod-0')
    expect(() => requestsOf(pods(1), 'cpu', 'side')).toThrow('container side not found in Pod pod-0')
  })

  test('tolerances differ by direction', () => {
    const input = { pods: pods(3), metrics: metrics(1050, 1050, 1050), current: 3, nowMs }
    expect(countByUtilization({ ...input, tolerances: { down: 0.1, up: 0.01 } }, 100, 'cpu', '').replicas).toBe(4)
    const idle = { ...input, metrics: metrics(600, 600, 600) }
    expect(countByUtilization({ ...idle, tolerances: { down: 0.5, up: 0.1 } }, 100, 'cpu', '').replicas).toBe(3)
  })
})

describe('by averages and values', () => {
  test.each<[string, PodMetrics, number, string, { replicas: number; usage: number }]>([
    ['an average above the target', metrics(20_000, 10_000, 30_000), 15_000, '', { replicas: 4, usage: 20_000 }],
    [
      'one without metrics takes the target itself on the way down',
      metrics(undefined, 2_000, 2_000),
      10_000,
      '',
      { replicas: 2, usage: 2_000 },
    ],
  ])('%s', (_, found, target, resource, expected) => {
    expect(countByAverage({ pods: pods(3), metrics: found, current: 3, tolerances, nowMs }, target, resource)).toEqual(expected)
  })

  test('a value asks for that many times the ready pods', () => {
    const all = pods(3, { ready: 'False' })
    expect(countByValue({ pods: all, current: 3, tolerances }, 20_000, 10_000)).toEqual({ replicas: 4, usage: 20_000 })
    expect(countByValue({ pods: all, current: 3, tolerances }, 10_500, 10_000)).toEqual({ replicas: 3, usage: 10_500 })
  })

  test('a value that is shared asks for as many as it takes', () => {
    expect(countByShare(3, tolerances, 8_600, 2_000)).toEqual({ replicas: 5, usage: 2_867 })
    expect(countByShare(4, tolerances, 8_000, 2_000)).toEqual({ replicas: 4, usage: 2_000 })
    expect(countByShare(1, tolerances, 1e20, 1).replicas).toBe(2 ** 31 - 1)
  })
})
