import { describe, expect, test } from 'vitest'
import type { Service } from '#api/generated/core-v1'
import type { EndpointSlice } from '#api/generated/discovery-v1'
import { planRules } from './plan-rules.ts'

function service(spec: Partial<Service['spec']>): Service {
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' as const, targetPort: 8080 }]
  return {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'], ports, ...spec },
    status: {},
  } as unknown as Service
}

function slice(...endpoints: [ip: string, node: string, ready: boolean, terminating?: boolean][]): EndpointSlice {
  return {
    metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(([ip, nodeName, ready, terminating = false]) => ({
      addresses: [ip],
      nodeName,
      conditions: { ready, serving: ready || terminating, terminating },
    })),
  } as unknown as EndpointSlice
}

function plan(services: Service[], slices: EndpointSlice[]) {
  return planRules({ services, slices, nodeName: 'a', podCidrs: ['10.244.0.0/16'], ownAddresses: new Set(['10.96.0.10']) }).services
}

describe('planRules', () => {
  test('ready endpoints are the targets, in a fixed order', () => {
    const [rule] = plan([service({})], [slice(['10.244.0.3', 'a', true], ['10.244.0.2', 'b', true], ['10.244.0.4', 'a', false])])
    expect(rule).toEqual({
      id: 'shop/web:http/TCP',
      protocol: 'tcp',
      port: 80,
      clusterIps: ['10.96.0.20'],
      externalIps: [],
      sourceRanges: [],
      nodePort: undefined,
      clusterTargets: [
        { ip: '10.244.0.2', port: 8080 },
        { ip: '10.244.0.3', port: 8080 },
      ],
      externalTargets: [
        { ip: '10.244.0.2', port: 8080 },
        { ip: '10.244.0.3', port: 8080 },
      ],
      externalLocal: false,
      hasEndpoints: true,
      affinitySeconds: undefined,
    })
  })

  test('endpoints that serve while they terminate are used only when none is ready', () => {
    const [rule] = plan([service({})], [slice(['10.244.0.3', 'a', false, true], ['10.244.0.4', 'a', false])])
    expect(rule?.clusterTargets).toEqual([{ ip: '10.244.0.3', port: 8080 }])
  })

  test('externalTrafficPolicy Local leads from outside to the pods of this node alone', () => {
    const [rule] = plan(
      [service({ type: 'NodePort', externalTrafficPolicy: 'Local' })],
      [slice(['10.244.0.3', 'a', true], ['10.244.1.3', 'b', true])],
    )
    expect([rule?.externalLocal, rule?.externalTargets, rule?.clusterTargets.length]).toEqual([true, [{ ip: '10.244.0.3', port: 8080 }], 2])
  })

  test('internalTrafficPolicy Local without a pod here has no targets, though there are endpoints', () => {
    const [rule] = plan([service({ internalTrafficPolicy: 'Local' })], [slice(['10.244.1.3', 'b', true])])
    expect([rule?.clusterTargets, rule?.hasEndpoints]).toEqual([[], true])
  })

  test.each([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }],
    ['an external name', { type: 'ExternalName' as const, clusterIP: undefined as never }],
    ['answered by the node itself', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }],
  ])('a service that is %s needs no rules', (_name, spec) => {
    expect(plan([service(spec as Partial<Service['spec']>)], [])).toEqual([])
  })
})
