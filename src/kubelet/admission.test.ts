import { describe, expect, test } from 'vitest'
import type { Node, PodSpec } from '#api/generated/core-v1'
import { refusePod } from './admission.ts'
import { testContainer, testPod } from './test-support/pods.ts'

const context = {
  others: [testPod({ containers: [testContainer('a', { resources: { requests: { cpu: '900m', memory: '1Gi' } } })] }, { name: 'other' })],
  allocatable: { cpu: '1', memory: '4Gi', pods: '3' },
  node: { metadata: { name: 'node-1', labels: { disk: 'ssd' } } } as unknown as Node,
  allowedUnsafeSysctls: ['kernel.msg*'],
}
const asking = (requests: Record<string, string>): Partial<PodSpec> => ({ containers: [testContainer('app', { resources: { requests } })] })

describe('refusePod', () => {
  test.each([
    ['what fits', asking({ cpu: '100m' }), undefined],
    [
      'too much CPU',
      asking({ cpu: '200m' }),
      { reason: 'OutOfcpu', message: "Node didn't have enough resource: cpu, requested: 200, used: 900, capacity: 1000" },
    ],
    [
      'too much memory',
      asking({ memory: '3500Mi' }),
      {
        reason: 'OutOfmemory',
        message: "Node didn't have enough resource: memory, requested: 3670016000, used: 1073741824, capacity: 4294967296",
      },
    ],
    [
      'another node’s label',
      { nodeSelector: { disk: 'hdd' } },
      { reason: 'NodeAffinity', message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector" },
    ],
    ['this node’s label', { nodeSelector: { disk: 'ssd' } }, undefined],
    [
      'an unsafe sysctl',
      { securityContext: { sysctls: [{ name: 'kernel.sem', value: '1' }] } },
      { reason: 'SysctlForbidden', message: 'forbidden sysctl: "kernel.sem" not allowlisted' },
    ],
    ['a safe sysctl', { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_port_range', value: '1 2' }] } }, undefined],
    ['an allowed sysctl', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, undefined],
  ] as const)('%s', (_, spec, refusal) => {
    expect(refusePod(testPod(spec as Partial<PodSpec>), context)).toEqual(refusal)
  })

  test('one pod too many', () => {
    const others = ['a', 'b', 'c'].map((name) => testPod({}, { name }))
    expect(refusePod(testPod(), { ...context, others })).toEqual({
      reason: 'OutOfpods',
      message: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
    })
  })
})
