import { describe, expect, test } from 'vitest'
import type { Pod as PodObject, Service as ServiceObject } from '#api/generated/core-v1'
import type { EndpointSlice as SliceObject } from '#api/generated/discovery-v1'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { makeObject } from '#client/make-object.testing'
import { planSubsets } from './endpoints.ts'
import { planSlices } from './plan-slices.ts'

function service(spec: object = {}): ServiceObject {
  return makeObject(Service, {
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ipFamilies: ['IPv4'], ports: [{ port: 80 }], ...spec },
  })
}

function pod(name: string, { ready = true, ip = '10.0.0.1', phase = 'Running', deleted = false, ports = [] as object[] } = {}): PodObject {
  return makeObject(Pod, {
    metadata: { name, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
    spec: { nodeName: 'node', containers: [{ name: 'web', image: 'web', ports: ports as never }] },
    status: { phase: phase as 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  })
}

const pods = (count: number, from = 0): PodObject[] =>
  Array.from({ length: count }, (_, i) => pod(`p${from + i}`, { ip: `10.0.${Math.floor((from + i) / 250)}.${(from + i) % 250}` }))
const plan = (input: { service?: ServiceObject; pods: PodObject[]; slices?: SliceObject[] }) =>
  planSlices({ service: service(), slices: [], zoneOf: () => undefined, ...input })
const asSlice = (manifest: object, name: string): SliceObject =>
  makeObject(EndpointSlice, { ...manifest, metadata: { ...(manifest as SliceObject).metadata, name } } as never)

describe('planSlices', () => {
  test('a service without pods has one empty slice', () => {
    const { create } = plan({ pods: [] })
    expect(create).toMatchObject([
      {
        addressType: 'IPv4',
        endpoints: [],
        ports: [],
        metadata: {
          generateName: 'web-',
          labels: { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
        },
      },
    ])
  })

  test.each<[string, Parameters<typeof pod>[1], object, object | undefined]>([
    ['a ready pod serves', {}, {}, { ready: true, serving: true, terminating: false }],
    ['one that is not ready does not', { ready: false }, {}, { ready: false, serving: false, terminating: false }],
    ['one on its way out may serve still', { deleted: true }, {}, { ready: false, serving: true, terminating: true }],
    [
      'unless readiness is not asked for',
      { ready: false },
      { publishNotReadyAddresses: true },
      { ready: true, serving: false, terminating: false },
    ],
    ['an ended pod is no endpoint', { phase: 'Succeeded' }, {}, undefined],
  ])('%s', (_name, traits, spec, conditions) => {
    const [slice] = plan({ service: service(spec), pods: [pod('a', traits)] }).create
    expect(slice?.endpoints?.[0]?.conditions).toEqual(conditions)
  })

  test('at most a hundred endpoints to a slice', () => {
    expect(plan({ pods: pods(250) }).create.map(({ endpoints }) => endpoints?.length)).toEqual([100, 100, 50])
  })

  test('one more endpoint changes one slice', () => {
    const slices = plan({ pods: pods(150) }).create.map((slice, i) => asSlice(slice, `s${i}`))
    const { create, update, remove } = plan({ pods: pods(151), slices })
    expect([create, update.map(({ metadata, endpoints }) => [metadata.name, endpoints?.length]), remove]).toEqual([[], [['s1', 51]], []])
  })

  test('what stands is left alone, and an emptied slice goes', () => {
    const slices = plan({ pods: pods(150) }).create.map((slice, i) => asSlice(slice, `s${i}`))
    expect(plan({ pods: pods(150), slices })).toEqual({ create: [], update: [], remove: [] })
    expect(plan({ pods: pods(100), slices }).remove.map(({ metadata }) => metadata.name)).toEqual(['s1'])
  })

  test('pods whose named port has other numbers stand in slices of their own', () => {
    const named = service({ ports: [{ port: 80, targetPort: 'http' }] })
    const of = (name: string, containerPort: number): PodObject =>
      pod(name, { ip: `10.0.0.${containerPort % 250}`, ports: [{ name: 'http', containerPort, protocol: 'TCP' }] })
    const { create } = plan({ service: named, pods: [of('a', 8080), of('b', 8081), of('c', 8080)] })
    expect(create.map(({ ports, endpoints }) => [ports?.[0]?.port, endpoints?.length])).toEqual([
      [8080, 2],
      [8081, 1],
    ])
  })
})

describe('planSubsets', () => {
  test('ready pods apart from the others, those on their way out left out', () => {
    const all = [pod('b', { ip: '10.0.0.2' }), pod('a', { ip: '10.0.0.1', ready: false }), pod('gone', { ip: '10.0.0.3', deleted: true })]
    const { subsets, cut } = planSubsets(service(), all)
    expect([
      subsets.map(({ addresses, notReadyAddresses, ports }) => [
        addresses?.map(({ ip }) => ip),
        notReadyAddresses?.map(({ ip }) => ip),
        ports,
      ]),
      cut,
    ]).toEqual([[[['10.0.0.2'], ['10.0.0.1'], [{ port: 80, protocol: 'TCP' }]]], false])
  })
  test('a thousand addresses and no more', () => {
    const { subsets, cut } = planSubsets(service(), pods(1_001))
    expect([subsets[0]?.addresses?.length, cut]).toEqual([1_000, true])
  })
})
