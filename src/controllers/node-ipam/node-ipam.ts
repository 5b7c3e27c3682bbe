// Gives each node its share of the cluster's pod range.
import type { Node as NodeObject } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { type Controller, defineController } from '#client/controller'

/** Splits `podCidr` (IPv4) into ranges of `nodeBits` and hands the lowest free one to each node without. */
export function createNodeIpamController({ podCidr, nodeBits = 24 }: { podCidr: string; nodeBits?: number }): Controller {
  const taken = new Set<string>()
  let asked = false
  return defineController({
    name: 'node-ipam-controller',
    component: 'cidrAllocator',
    watches: [
      {
        kind: Node,
        keysOf(object, _old, _cache, change) {
          const { podCIDR } = (object as NodeObject).spec
          if (podCIDR && change === 'deleted') taken.delete(podCIDR)
          else if (podCIDR) taken.add(podCIDR)
          return podCIDR ? [] : [object.metadata.name]
        },
      },
    ],
    // One at a time: two nodes must never get the same range.
    concurrency: 1,
    async reconcile(name, { cache, client, events }) {
      const node = cache.get(Node, name)
      if (node === undefined || node.spec.podCIDR || node.metadata.deletionTimestamp !== undefined) return
      // Another process may have handed out ranges before this one was elected, later than the cache knows.
      if (!asked) for (const { spec } of (await client.list(Node)).items) if (spec.podCIDR) taken.add(spec.podCIDR)
      asked = true
      const free = firstFree(podCidr, nodeBits, taken)
      if (free === undefined) {
        events.record(node, 'Warning', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`)
        return 60_000
      }
      await client.patch(Node, { namespace: '', name }, 'merge', {
        metadata: { resourceVersion: node.metadata.resourceVersion },
        spec: { podCIDR: free, podCIDRs: [free] },
      })
      taken.add(free)
      return undefined
    },
  })
}

/** The lowest range of `nodeBits` within `cidr` that is not in `taken`. */
export function firstFree(cidr: string, nodeBits: number, taken: ReadonlySet<string>): string | undefined {
  const [address = '', bits = '0'] = cidr.split('/')
  const base = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const step = 2 ** (32 - nodeBits)
  const count = 2 ** Math.max(0, nodeBits - Number(bits))
  for (let i = 0; i < count; i++) {
    const start = base + i * step
    const text = `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')}/${nodeBits}`
    if (!taken.has(text)) return text
  }
  return undefined
}
