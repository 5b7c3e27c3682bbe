import { describe, expect, test } from 'vitest'
import type { IPAddress as AddressObject, ServiceCIDR as RangeObject } from '#api/generated/networking-v1'
import { Service } from '#api/kinds/core/service'
import { IPAddress } from '#api/kinds/networking/ip-address'
import { ServiceCIDR } from '#api/kinds/networking/service-cidr'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster } from '../cluster.testing.ts'
import { canGo } from './service-cidr.ts'

const range = (name: string, ...cidrs: string[]): RangeObject => makeObject(ServiceCIDR, { metadata: { name }, spec: { cidrs } })
const address = (name: string): AddressObject =>
  makeObject(IPAddress, {
    metadata: { name, labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } },
    spec: { parentRef: { resource: 'services', name: 'web' } },
  })

describe('a range of addresses may go', () => {
  test.each<[string, boolean, RangeObject[], string[]]>([
    ['when nobody has an address of it', true, [], ['10.1.0.1']],
    ['not while somebody has', false, [], ['10.0.0.1']],
    ['when a bigger one covers it', true, [range('big', '10.0.0.0/8')], ['10.0.0.1']],
    ['when an equal one covers it', true, [range('same', '10.0.0.0/24')], ['10.0.0.1']],
    ['when a smaller one covers those that are held', true, [range('small', '10.0.0.0/30')], ['10.0.0.1']],
    ['not when a smaller one misses one of them', false, [range('small', '10.0.0.0/30')], ['10.0.0.1', '10.0.0.77']],
  ])('%s', (_, expected, others, addresses) => {
    const own = range('own', '10.0.0.0/24')
    expect(canGo(own, [own, ...others], addresses.map(address))).toBe(expected)
  })
})

test('a range is ready, is kept while a service has an address of it alone, and goes when that goes', async () => {
  const cluster = await startTestCluster()
  await cluster.create(ServiceCIDR, { metadata: { name: 'more' }, spec: { cidrs: ['10.97.0.0/24'] } })
  const told = async (): Promise<string> => {
    const found = await cluster.get(ServiceCIDR, 'more')
    const condition = found?.status.conditions?.find(({ type }) => type === 'Ready')
    return `${condition?.status} ${condition?.reason} ${found?.metadata.finalizers ?? ''}`
  }
  await cluster.until(async () => (await told()) === 'True  networking.k8s.io/service-cidr-finalizer')
  await cluster.create(IPAddress, {
    metadata: { name: '10.97.0.5', labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } },
    spec: { parentRef: { resource: 'services', name: 'web', namespace: 'default' } },
  })
  await cluster.client.delete(ServiceCIDR, { namespace: '', name: 'more' })
  await cluster.until(async () => (await told()).startsWith('False Terminating'))
  await cluster.client.delete(IPAddress, { namespace: '', name: '10.97.0.5' })
  await cluster.until(async () => (await cluster.get(ServiceCIDR, 'more')) === undefined)
  expect((await cluster.get(ServiceCIDR, 'kubernetes'))?.metadata.finalizers).toEqual(['networking.k8s.io/service-cidr-finalizer'])
  expect(await cluster.get(Service, 'kubernetes')).toBeDefined()
  expect(cluster.failures).toEqual([])
})
