import { describe, expect, test } from 'vitest'
import type { PodSpec } from '#api/generated/core-v1'
import { computeQosClass } from '#api/resources'
import { containerResources, podCgroup, podCgroupLimits } from './container-resources.ts'
import { testContainer, testPod } from './test-support/pods.ts'

const gibi = 1024 ** 3
const node = { memoryBytes: 10 * gibi, mayLowerOomScore: true }

function podOf(spec: Partial<PodSpec>) {
  const pod = testPod(spec)
  return { ...pod, status: { qosClass: computeQosClass(pod) } }
}
const withResources = (resources: object, more: Partial<PodSpec> = {}) =>
  podOf({ containers: [testContainer('app', { resources })], ...more })

describe('containerResources', () => {
  test.each([
    ['nothing asked for: least shares, first to be killed', {}, { cpuShares: 2, oomScoreAdj: 1000 }],
    ['a CPU request is shares', { requests: { cpu: '500m' } }, { cpuShares: 512, oomScoreAdj: 999 }],
    [
      'a CPU limit is a quota',
      { requests: { cpu: '100m' }, limits: { cpu: '250m' } },
      { cpuShares: 102, cpuQuota: 25_000, cpuPeriod: 100_000, oomScoreAdj: 999 },
    ],
    [
      'a tiny CPU limit is the least quota',
      { requests: { cpu: '1m' }, limits: { cpu: '1m' } },
      { cpuShares: 2, cpuQuota: 1_000, cpuPeriod: 100_000, oomScoreAdj: 999 },
    ],
    ['memory asked for protects in proportion', { requests: { memory: '4Gi' } }, { cpuShares: 2, oomScoreAdj: 600 }],
    [
      'a memory limit is a limit',
      { requests: { memory: '1Gi' }, limits: { memory: '2Gi' } },
      { cpuShares: 2, memoryLimitBytes: 2 * gibi, oomScoreAdj: 900 },
    ],
    [
      'requests equal to limits are guaranteed',
      { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } },
      { cpuShares: 1024, cpuQuota: 100_000, cpuPeriod: 100_000, memoryLimitBytes: gibi, oomScoreAdj: -997 },
    ],
  ])('%s', (_, resources, wanted) => {
    const pod = withResources(resources)
    expect(containerResources(pod, pod.spec.containers[0]!, node)).toEqual(wanted)
  })

  test('without the right to lower it no score is negative', () => {
    const pod = withResources({ requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } })
    expect(containerResources(pod, pod.spec.containers[0]!, { ...node, mayLowerOomScore: false }).oomScoreAdj).toBe(0)
  })
})

describe('the pod’s cgroup', () => {
  test.each([
    ['guaranteed', { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } }, '/x/kubepods/poduid-web'],
    ['burstable', { requests: { cpu: '1' } }, '/x/kubepods/burstable/poduid-web'],
    ['besteffort', {}, '/x/kubepods/besteffort/poduid-web'],
  ])('%s pods have their place', (_, resources, path) => {
    expect(podCgroup('/x', withResources(resources))).toBe(path)
  })

  test('limits of the whole count only when every container has one', () => {
    const limited = testContainer('a', { resources: { requests: { cpu: '1' }, limits: { cpu: '1', memory: '1Gi' } } })
    const pod = podOf({ containers: [limited, testContainer('b', { resources: { limits: { cpu: '1' }, requests: { cpu: '500m' } } })] })
    expect(podCgroupLimits(pod, node)).toEqual({ cpuShares: 1536, cpuQuotaMicros: 200_000, cpuPeriodMicros: 100_000 })
  })
})
