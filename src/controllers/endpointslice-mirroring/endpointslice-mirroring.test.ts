import { expect, test } from 'vitest'
import { Endpoints } from '#api/kinds/core/endpoints'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { startTestCluster } from '../cluster.testing.ts'

test('Endpoints of a service without a selector are mirrored, changed and forgotten with them', async () => {
  const cluster = await startTestCluster()
  await cluster.create(Service, { metadata: { name: 'outside', namespace: 'default' }, spec: { ports: [{ port: 80 }] } })
  const subsets = [
    {
      addresses: [{ ip: '192.0.2.7' }, { ip: '2001:db8::7' }],
      notReadyAddresses: [{ ip: '192.0.2.8' }],
      ports: [{ name: 'http', port: 8080 }],
    },
  ]
  await cluster.create(Endpoints, { metadata: { name: 'outside', namespace: 'default', labels: { team: 'x' } }, subsets })
  const mirrored = async () =>
    (await cluster.list(EndpointSlice)).filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'outside')
  const slices = await cluster.until(async () => {
    const all = await mirrored()
    return all.length === 2 ? all : undefined
  })
  expect(slices.sort((a, b) => (a.addressType < b.addressType ? -1 : 1))).toMatchObject([
    {
      addressType: 'IPv4',
      metadata: { labels: { team: 'x', 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } },
      endpoints: [
        { addresses: ['192.0.2.7'], conditions: { ready: true } },
        { addresses: ['192.0.2.8'], conditions: { ready: false } },
      ],
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    },
    { addressType: 'IPv6', endpoints: [{ addresses: ['2001:db8::7'] }] },
  ])
  await cluster.client.patch(Endpoints, { namespace: 'default', name: 'outside' }, 'merge', {
    subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: subsets[0]!.ports }],
  })
  await cluster.until(async () => {
    const all = await mirrored()
    return all.length === 1 && all[0]?.endpoints?.[0]?.addresses[0] === '192.0.2.9'
  })
  await cluster.client.patch(Endpoints, { namespace: 'default', name: 'outside' }, 'merge', {
    metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
  })
  await cluster.until(async () => (await mirrored()).length === 0)
  expect(cluster.failures).toEqual([])
})
