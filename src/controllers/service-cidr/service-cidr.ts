// ServiceCIDRs (KEP-1880): each bears a finalizer while addresses would be left without a range, and says whether it is ready.
import type { IPAddress as AddressObject, ServiceCIDR as RangeObject } from '#api/generated/networking-v1'
import { type Cidr, cidrContains, parseCidr, parseIp } from '#api/ip'
import { IPAddress } from '#api/kinds/networking/ip-address'
import { ServiceCIDR } from '#api/kinds/networking/service-cidr'
import { timestamp } from '#base/clock'
import { defineController, type ReconcileContext } from '#client/controller'
import { watchKind } from '../watches.ts'

const finalizer = 'networking.k8s.io/service-cidr-finalizer'
// API servers stop to give addresses from a range that goes; this long they may not have heard of it.
const graceMs = 10_000

const ready = { status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' } as const
const blocked = {
  status: 'False',
  reason: 'Terminating',
  message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
} as const

export const serviceCidrController = defineController({
  name: 'service-cidr-controller',
  watches: [
    watchKind(ServiceCIDR),
    // What blocks a range may be covered by another one, or gone.
    { kind: ServiceCIDR, keysOf: (_range, _old, cache) => goingRanges(cache.list(ServiceCIDR)) },
    { kind: IPAddress, keysOf: (_address, _old, cache) => goingRanges(cache.list(ServiceCIDR)) },
  ],
  concurrency: 5,
  async reconcile(name, context) {
    const { cache, client, clock } = context
    const range = cache.get(ServiceCIDR, name)
    if (range === undefined) return
    const { deletionTimestamp, finalizers = [] } = range.metadata
    const key = { namespace: '', name }
    if (deletionTimestamp === undefined) {
      if (!finalizers.includes(finalizer)) await client.patch(ServiceCIDR, key, 'strategic', { metadata: { finalizers: [finalizer] } })
      await setCondition(range, ready, context)
      return
    }
    if (!canGo(range, cache.list(ServiceCIDR), cache.list(IPAddress))) {
      await setCondition(range, blocked, context)
      return
    }
    const leftMs = Date.parse(deletionTimestamp) + graceMs - clock.now()
    if (leftMs > 0) return leftMs
    if (!finalizers.includes(finalizer)) return
    await client.patch(ServiceCIDR, key, 'strategic', { metadata: { '$deleteFromPrimitiveList/finalizers': [finalizer] } })
    return
  },
})

function goingRanges(ranges: readonly RangeObject[]): string[] {
  return ranges.filter(({ metadata }) => metadata.deletionTimestamp !== undefined).map(({ metadata }) => metadata.name)
}

/** Whether every address of the range has another one. Pure. */
export function canGo(range: RangeObject, ranges: readonly RangeObject[], addresses: readonly AddressObject[]): boolean {
  const others = ranges.filter(({ metadata }) => metadata.name !== range.metadata.name).flatMap(cidrsOf)
  const own = cidrsOf(range)
  if (own.every((cidr) => others.some((other) => other.prefixLength <= cidr.prefixLength && cidrContains(other, cidr.address)))) return true
  return !addresses.some(({ metadata }) => {
    const address = parseIp(metadata.name)
    if (address === undefined || metadata.labels?.['ipaddress.kubernetes.io/managed-by'] !== 'ipallocator.k8s.io') return false
    return own.some((cidr) => cidrContains(cidr, address)) && !others.some((cidr) => cidrContains(cidr, address))
  })
}

function cidrsOf({ spec }: RangeObject): Cidr[] {
  return (spec.cidrs ?? []).map(parseCidr).filter((cidr) => cidr !== undefined)
}

type Told = typeof ready | typeof blocked

async function setCondition(range: RangeObject, told: Told, { client, clock }: ReconcileContext): Promise<void> {
  const before = range.status.conditions?.find(({ type }) => type === 'Ready')
  if (before?.status === told.status && before.reason === told.reason && before.message === told.message) return
  // The one that the API server makes for itself is ready in its own words.
  if (before?.status === 'True' && told.status === 'True') return
  const lastTransitionTime = before?.status === told.status ? before.lastTransitionTime : timestamp(clock.now())
  const condition = { type: 'Ready', lastTransitionTime, ...told }
  await client.apply(
    ServiceCIDR,
    { metadata: { name: range.metadata.name }, status: { conditions: [condition] } },
    { fieldManager: 'service-cidr-controller', force: true, subresource: 'status' },
  )
}
