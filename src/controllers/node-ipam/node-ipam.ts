// Gives each node its share of the cluster's pod range.
import { Node } from '#api/kinds/core/node'
import { type Controller, defineController } from '#client/controller'
import { watchKind } from '../watches.ts'

/** Splits `podCidr` (IPv4) into ranges of `nodeBits` and hands the lowest free one to each node without. */
export function createNodeIpamController({ podCidr, nodeBits = 24 }: { podCidr: string; nodeBits?: number }): Controller {
  return defineController({
    name: 'node-ipam-controller',
    watches: [watchKind(Node)],
    // One at a time: two nodes must never get the same range.
    concurrency: 1,
    async reconcile(name, { cache, client, events }) {
      const node = cache.get(Node, name)
      if (node === undefined || node.spec.podCIDR || node.metadata.deletionTimestamp !== undefined) return
      const taken = new Set(cache.list(Node).map(({ spec }) => spec.podCIDR))
      // The cache may be behind another process's choice: the list is asked anew before one is handed out.
      for (const { spec } of (await client.list(Node)).items) taken.add(spec.podCIDR)
      const free = firstFree(podCidr, nodeBits, taken)
      if (free === undefined) {
        events.record(node, 'Warning', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`)
        return 60_000
      }
      await client.patch(Node, { namespace: '', name }, 'merge', {
        metadata: { resourceVersion: node.metadata.resourceVersion },
        spec: { podCIDR: free, podCIDRs: [free] },
      })
    },
  })
}

/** The lowest range of `nodeBits` within `cidr` that is not in `taken`. */
export function firstFree(cidr: string, nodeBits: number, taken: ReadonlySet<string | undefined>): string | undefined {
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
