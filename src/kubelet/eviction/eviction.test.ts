import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Pod } from '#api/generated/core-v1'
import type { PodWorker } from '../pod-workers/pod-worker.ts'
import type { ContainerRuntime } from '../runtimes/runtime.ts'
import { testContainer, testPod } from '../test-support/pods.ts'
import { createEviction } from './evict-pods.ts'
import { evictionMessage, exceededLimit, type PodUse, rankPods } from './rank-pods.ts'

const mebi = 1024 * 1024

function podOf(name: string, requestMi: number, priority = 0): Pod {
  const resources = requestMi === 0 ? {} : { requests: { memory: `${requestMi}Mi` } }
  return testPod({ containers: [testContainer('app', { resources })], priority }, { name })
}
const use = (pod: Pod, usedMi: number): PodUse => ({ pod, containers: { app: usedMi * mebi }, own: 0 })

describe('rankPods', () => {
  test('above the request first, then low priority, then the largest excess; critical pods never', () => {
    const ranked = rankPods(
      [
        use(podOf('within', 100), 50),
        use(podOf('excess-small', 10), 20),
        use(podOf('excess-large', 10), 200),
        use(podOf('excess-important', 10, 1000), 900),
        use(podOf('critical', 0, 2_000_000_000), 900),
      ],
      'memory',
    )
    expect(ranked.map((r) => r.pod.metadata.name)).toEqual(['excess-large', 'excess-small', 'excess-important', 'within'])
  })

  test('the message names what was short and who used it', () => {
    expect(evictionMessage(use(podOf('a', 10), 20), 'memory', '102400Ki', '50000Ki')).toBe(
      'The node was low on resource: memory. Threshold quantity: 102400Ki, available: 50000Ki. ' +
        'Container app was using 20480Ki, request is 10240Ki, has larger consumption of memory. ',
    )
  })
})

describe('exceededLimit', () => {
  const limited = testContainer('app', { resources: { limits: { 'ephemeral-storage': '1Mi' } } })
  test.each([
    [
      'an emptyDir',
      testPod({ volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }] }),
      { v: 2 * mebi },
      {},
      0,
      'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
    ],
    [
      'a container',
      testPod({ containers: [limited] }),
      {},
      { app: 2 * mebi },
      0,
      'Container app exceeded its local ephemeral storage limit "1Mi". ',
    ],
    [
      'the whole pod',
      testPod({ containers: [limited] }),
      {},
      { app: mebi },
      1,
      'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ',
    ],
    ['nothing', testPod({ containers: [limited] }), {}, { app: mebi }, 0, undefined],
  ])('%s', (_, pod, emptyDirs, containers, own, message) => {
    expect(exceededLimit(pod, emptyDirs as Record<string, number>, { pod, containers: containers as Record<string, number>, own })).toBe(
      message,
    )
  })
})

test('MUSTHOLD 18: what a pod writes to /etc/hosts counts like anything else', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'nvt-eviction-'))
  const limited = testContainer('app', { resources: { limits: { 'ephemeral-storage': '1Mi' } } })
  const pod = testPod({ containers: [limited] })
  const podDir = join(dir, 'pods', pod.metadata.uid)
  await mkdir(podDir, { recursive: true })
  await writeFile(join(podDir, 'etc-hosts'), Buffer.alloc(2 * mebi, 'x'))
  const ended: string[] = []
  const worker = {
    pod,
    stage: 'running',
    active: true,
    endWith: (end: { message: string }) => void ended.push(end.message),
  } as unknown as PodWorker
  const eviction = createEviction({
    runtime: { listStats: async () => [] } as unknown as ContainerRuntime,
    events: { record: () => undefined, flush: async () => undefined },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    workers: { all: () => [worker] },
    podsDir: join(dir, 'pods'),
    podLogsDir: join(dir, 'logs'),
    reclaimDisk: async () => false,
  })
  await eviction.enforceLimits()
  expect(ended).toEqual(['Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. '])
  await rm(dir, { recursive: true })
})
