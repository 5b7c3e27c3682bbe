import { describe, expect, test } from 'vitest'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testNowMs, updateErrors } from '../testing.ts'
import { Service } from './service.ts'

type Spec = Manifest<coreV1.ServiceSpec>

const port = { port: 80 }

function service(spec: Spec): Manifest<Service> {
  return { spec: { ports: [port], ...spec } }
}

describe('what a service got', () => {
  const given = { status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }, { hostname: '10.0.0.1', ipMode: 'VIP' }] } } }

  test('is for load balancers, and written well', () => {
    const path = 'status.loadBalancer.ingress'
    expect(updateErrors(Service, { spec: {} }, { spec: {}, ...given }, 'status')).toEqual([
      `${path}: Forbidden: may only be used when \`spec.type\` is 'LoadBalancer'`,
    ])
    const spec = { type: 'LoadBalancer' as const }
    expect(updateErrors(Service, { spec }, { spec, ...given }, 'status')).toEqual([
      `${path}[1].ipMode: Forbidden: may not be specified when \`ip\` is not set`,
      `${path}[1].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address`,
    ])
  })
})

describe('service defaults', () => {
  test('a port is enough', () => {
    expect(created(Service, service({})).spec).toEqual({
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    })
  })

  test('services that are reached from outside get an external traffic policy, load balancers node ports', () => {
    expect(created(Service, service({ type: 'NodePort' })).spec).toMatchObject({ externalTrafficPolicy: 'Cluster' })
    expect(created(Service, service({ type: 'LoadBalancer' })).spec).toMatchObject({
      externalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
    })
  })

  test('a client is remembered for three hours', () => {
    expect(created(Service, service({ sessionAffinity: 'ClientIP' })).spec.sessionAffinityConfig).toEqual({
      clientIP: { timeoutSeconds: 10800 },
    })
  })

  test('a name for something outside has no traffic policy', () => {
    const { spec } = created(Service, { spec: { type: 'ExternalName', externalName: 'db.example.com' } })
    expect(spec).toEqual({ type: 'ExternalName', externalName: 'db.example.com', sessionAffinity: 'None' })
  })
})

describe('creating a service', () => {
  const cases: [string, Spec, string[]][] = [
    ['one port is fine', {}, []],
    ['no ports are refused', { ports: [] }, ['spec.ports: Required value']],
    ['headless services need none', { ports: [], clusterIP: 'None', clusterIPs: ['None'] }, []],
    [
      'several ports need names',
      { ports: [port, { port: 81 }] },
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      'names are used once',
      {
        ports: [
          { name: 'a', ...port },
          { name: 'a', port: 81 },
        ],
      },
      ['spec.ports[1].name: Duplicate value: "a"'],
    ],
    [
      'a port and protocol is served once',
      {
        ports: [
          { name: 'a', ...port },
          { name: 'b', ...port },
        ],
      },
      ['spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}'],
    ],
    [
      'ports are numbers of 16 bits',
      { ports: [{ port: 65536 }] },
      [
        'spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive',
        'spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive',
      ],
    ],
    [
      'protocols are three',
      { ports: [{ port: 80, protocol: 'ICMP' as 'TCP' }] },
      ['spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [
      'a cluster address has no node port',
      { ports: [{ port: 80, nodePort: 30080 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      'types are four',
      { type: 'Magic' as 'NodePort' },
      ['spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'],
    ],
    ['a name outside must be given', { type: 'ExternalName', ports: [] }, ['spec.externalName: Required value']],
    [
      'no node port on headless ones',
      { type: 'NodePort', clusterIP: 'None', clusterIPs: ['None'] },
      ['spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
    ],
    [
      'addresses are addresses',
      { clusterIP: 'ten', clusterIPs: ['ten'] },
      ['spec.clusterIPs[0]: Invalid value: "ten": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ],
    [
      'affinity is by client or not',
      { sessionAffinity: 'Cookie' as 'None' },
      ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
    ],
    [
      'loopback is no external address',
      { externalIPs: ['127.0.0.1'] },
      ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ],
    [
      'selectors are labels',
      { selector: { 'a b': 'c' } },
      [
        "spec.selector: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ],
    ],
    [
      'a cluster address has no external traffic policy',
      { externalTrafficPolicy: 'Local' },
      ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
    ],
  ]
  test.each(cases)('%s', (_what, spec, errors) => {
    expect(createErrors(Service, service(spec))).toEqual(errors)
  })

  test('the name is a DNS label, which may begin with a digit', () => {
    expect(createErrors(Service, { ...service({}), metadata: { name: '1web' } })).toEqual([])
    expect(createErrors(Service, { ...service({}), metadata: { name: 'a.b' } })).toEqual([
      'metadata.name: Invalid value: "a.b": must not contain dots',
    ])
  })
})

describe('updating a service', () => {
  const withIp: Spec = { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' }

  test('its address stays', () => {
    const moved: Spec = { ...withIp, clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] }
    expect(updateErrors(Service, service(withIp), service(moved))).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set',
    ])
  })

  test('left out, its address is kept', () => {
    expect(updateErrors(Service, service(withIp), service({ ports: [{ port: 81 }] }))).toEqual([])
  })

  test('it may become a name for something outside', () => {
    expect(updateErrors(Service, service(withIp), { spec: { type: 'ExternalName', externalName: 'db.example.com' } })).toEqual([])
  })
})

describe('the table of services', () => {
  const cells = (spec: Spec, status: Manifest<coreV1.ServiceStatus> = {}): Record<string, unknown> => {
    const object = created(Service, { ...service(spec), metadata: { creationTimestamp: new Date(testNowMs - 3_600_000).toISOString() } })
    Object.assign(object, { status: { loadBalancer: {}, ...status } })
    return row(Service, object)
  }

  test.each<[string, Spec, Manifest<coreV1.ServiceStatus>, Record<string, unknown>]>([
    [
      'of a cluster address',
      { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], selector: { app: 'web', tier: 'front' } },
      {},
      {
        Type: 'ClusterIP',
        'Cluster-IP': '10.0.0.1',
        'External-IP': '<none>',
        'Port(s)': '80/TCP',
        Age: '60m',
        Selector: 'app=web,tier=front',
      },
    ],
    [
      'of node ports',
      {
        type: 'NodePort',
        ports: [
          { name: 'a', port: 80, nodePort: 30080 },
          { name: 'b', port: 53, protocol: 'UDP' },
        ],
      },
      {},
      { Type: 'NodePort', 'Cluster-IP': '<none>', 'External-IP': '<none>', 'Port(s)': '80:30080/TCP,53/UDP', Selector: '<none>' },
    ],
    ['of a load balancer without an address', { type: 'LoadBalancer' }, {}, { 'External-IP': '<pending>' }],
    [
      'of a load balancer',
      { type: 'LoadBalancer', externalIPs: ['198.51.100.9'] },
      { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
      { 'External-IP': '198.51.100.1,198.51.100.9' },
    ],
    [
      'of a name outside',
      { type: 'ExternalName', externalName: 'db.example.com', ports: [] },
      {},
      { 'Cluster-IP': '<none>', 'External-IP': 'db.example.com', 'Port(s)': '<none>' },
    ],
  ])('%s', (_what, spec, status, expected) => {
    expect(cells(spec, status)).toMatchObject(expected)
  })
})
