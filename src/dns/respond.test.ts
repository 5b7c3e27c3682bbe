import { type DecodedPacket, decode, encode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import type { Service } from '#api/generated/core-v1'
import type { EndpointSlice } from '#api/generated/discovery-v1'
import type { RecordSource } from './records.ts'
import { respond, truncate, udpBytesMax } from './respond.ts'

const services = [
  { name: 'web', spec: { clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } },
  { name: 'db', spec: { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] } },
  { name: 'away', spec: { type: 'ExternalName', externalName: 'example.test' } },
  { name: 'idle', spec: { clusterIP: 'None', clusterIPs: ['None'] } },
].map(({ name, spec }) => ({ metadata: { name, namespace: 'shop' }, spec })) as unknown as Service[]

const slices = [
  {
    metadata: { namespace: 'shop', labels: { 'kubernetes.io/service-name': 'db', 'service.kubernetes.io/headless': '' } },
    addressType: 'IPv4',
    ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
    endpoints: [
      { addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.244.0.6'], conditions: { ready: true } },
      { addresses: ['10.244.0.7'], hostname: 'db-2', conditions: { ready: false } },
    ],
  },
] as unknown as EndpointSlice[]

const source: RecordSource = {
  service: (namespace, name) => services.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
  slices: (_namespace, name) => slices.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name),
  namespaceExists: (namespace) => namespace === 'shop',
  serviceByIp: (ip) => services.find(({ spec }) => spec.clusterIP === ip),
  slicesByIp: (ip) => slices.filter(({ endpoints }) => (endpoints ?? []).some(({ addresses }) => addresses.includes(ip))),
}

function ask(name: string, type: string): string | undefined {
  const query = decode(encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: type as 'A', name }] }))
  const packet = respond(query, { zone: 'cluster.local', ttlSeconds: 5, source })
  if (packet === undefined) return undefined
  const answer = decode(packet) as DecodedPacket & { rcode: string }
  const data = (answer.answers ?? []).map((record) => {
    const value = (record as { data: unknown }).data
    if (record.type === 'TXT') return String(value)
    return typeof value === 'object' ? `${(value as { port: number }).port} ${(value as { target: string }).target}` : value
  })
  return `${answer.rcode} ${data.join(', ')}`.trim()
}

describe('cluster DNS', () => {
  test.each([
    ["a service's cluster address", 'web.shop.svc.cluster.local', 'A', 'NOERROR 10.96.0.20'],
    ['names in any letter case', 'WEB.shop.svc.Cluster.Local', 'A', 'NOERROR 10.96.0.20'],
    ['a family that the service lacks: no data, but no error', 'web.shop.svc.cluster.local', 'AAAA', 'NOERROR'],
    ['a port of a service', '_http._tcp.web.shop.svc.cluster.local', 'SRV', 'NOERROR 80 web.shop.svc.cluster.local'],
    ['a port that is not there', '_https._tcp.web.shop.svc.cluster.local', 'SRV', 'NXDOMAIN'],
    ['ready endpoints of a headless service', 'db.shop.svc.cluster.local', 'A', 'NOERROR 10.244.0.5, 10.244.0.6'],
    ['an endpoint by its hostname', 'db-0.db.shop.svc.cluster.local', 'A', 'NOERROR 10.244.0.5'],
    ['an endpoint without hostname by its address', '10-244-0-6.db.shop.svc.cluster.local', 'A', 'NOERROR 10.244.0.6'],
    ['an endpoint that is not ready', 'db-2.db.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
    [
      'ports of a headless service',
      '_sql._tcp.db.shop.svc.cluster.local',
      'SRV',
      'NOERROR 5432 db-0.db.shop.svc.cluster.local, 5432 10-244-0-6.db.shop.svc.cluster.local',
    ],
    ['a headless service without endpoints', 'idle.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
    ['an external name', 'away.shop.svc.cluster.local', 'A', 'NOERROR example.test'],
    ['a service that is not there', 'nope.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
    ['a namespace', 'shop.svc.cluster.local', 'A', 'NOERROR'],
    ['a namespace that is not there', 'x.svc.cluster.local', 'A', 'NXDOMAIN'],
    ['a pod by its address', '10-244-0-5.shop.pod.cluster.local', 'A', 'NOERROR 10.244.0.5'],
    ['nonsense where an address should be', '10-244-0-555.shop.pod.cluster.local', 'A', 'NXDOMAIN'],
    ["the specification's version", 'dns-version.cluster.local', 'TXT', 'NOERROR 1.1.0'],
    ['the name of a cluster address', '20.0.96.10.in-addr.arpa', 'PTR', 'NOERROR web.shop.svc.cluster.local'],
    ['the name of an endpoint', '5.0.244.10.in-addr.arpa', 'PTR', 'NOERROR db-0.db.shop.svc.cluster.local'],
    ['a search path tried on a foreign name', 'example.test.shop.svc.cluster.local', 'A', 'NXDOMAIN'],
  ])('%s', (_what, name, type, expected) => {
    expect(ask(name, type)).toBe(expected)
  })

  test.each(['example.test', '1.2.0.192.in-addr.arpa', 'notcluster.local'])('%s is not ours: it is forwarded', (name) => {
    expect(ask(name, 'A')).toBeUndefined()
  })

  test('a client without EDNS gets at most 512 bytes; a longer answer is cut to its question', () => {
    const query = decode(encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name: 'x.test' }] }))
    const cut = decode(truncate(query, encode({ type: 'response', id: 7, flags: 0x180, questions: query.questions ?? [] })))
    expect([udpBytesMax(query), cut.flag_tc, cut.answers]).toEqual([512, true, []])
  })
})
