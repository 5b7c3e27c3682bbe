// Rules as nftables text. Each Service port is a chain of its own; maps lead from addresses to chains, so that a packet costs
// one look-up however many Services there are, and a change touches only what changed. Pure.
import { createHash } from 'node:crypto'
import type { RuleSet, ServiceRule, Target } from '../../rule-set.ts'

/** Elements of maps and sets, and chains with their rules: what one Service port adds to the table. */
export interface Fragment {
  /** `map or set name` and element, e.g. `service_ips 10.96.0.1 . tcp . 443 : goto svc-…`. Several ports may add the same set element. */
  readonly elements: readonly Element[]
  readonly chains: ReadonlyMap<string, readonly string[]>
  /** Sets of session affinity, by name, with their declaration. */
  readonly sets: ReadonlyMap<string, string>
}

export interface Element {
  readonly collection: 'service_ips' | 'node_ports' | 'no_endpoints' | 'no_endpoint_ports' | 'hairpin'
  readonly key: string
  /** The verdict, for maps. */
  readonly value?: string
}

const masqueradeMark = '0x4000'
const affinityEntriesMax = 65_535

/** The table's fixed part. `name` is the table's. */
export function renderBase(name: string, { podCidrs }: Pick<RuleSet, 'podCidrs'>): string {
  const elements = podCidrs.length === 0 ? '' : `elements = { ${podCidrs.join(', ')} };`
  return `add table inet ${name}
delete table inet ${name}
table inet ${name} {
  set pod_cidrs { type ipv4_addr; flags interval; ${elements} }
  map service_ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node_ports { type inet_proto . inet_service : verdict; }
  map no_endpoints { type ipv4_addr . inet_proto . inet_service : verdict; }
  map no_endpoint_ports { type inet_proto . inet_service : verdict; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain output { type nat hook output priority -100; policy accept; jump services; }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    meta mark & ${masqueradeMark} == ${masqueradeMark} meta mark set meta mark & 0xffffbfff masquerade fully-random
    ct status dnat ip saddr . ip daddr @hairpin masquerade
    ip saddr @pod_cidrs ip daddr != @pod_cidrs fib daddr type != { local, multicast, broadcast } masquerade fully-random
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service_ips
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node_ports
  }
  chain forward { type filter hook forward priority -1; policy accept; ct state new ip daddr . meta l4proto . th dport vmap @no_endpoints; }
  chain filter_output { type filter hook output priority -1; policy accept;
    ct state new ip daddr . meta l4proto . th dport vmap @no_endpoints
    ct state new fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @no_endpoint_ports
  }
  chain input { type filter hook input priority -1; policy accept;
    ct state new ip daddr . meta l4proto . th dport vmap @no_endpoints
    ct state new fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @no_endpoint_ports
  }
  chain refuse { meta l4proto tcp reject with tcp reset
    reject with icmpx type port-unreachable
  }
  chain mark_masquerade { meta mark set meta mark | ${masqueradeMark}; }
}
`
}

/** What one Service port adds. */
export function renderService(rule: ServiceRule): Fragment {
  const chains = new Map<string, string[]>()
  const sets = new Map<string, string>()
  const elements: Element[] = []
  const hash = createHash('sha256').update(rule.id).digest('hex').slice(0, 16)
  const where = (ip: string): string => `${ip} . ${rule.protocol} . ${rule.port}`
  const cluster = `svc-${hash}`
  const external = `ext-${hash}`
  if (rule.clusterTargets.length > 0) {
    chains.set(cluster, ['ip saddr != @pod_cidrs jump mark_masquerade', ...balance(rule, rule.clusterTargets, `c-${hash}`, chains, sets)])
    for (const ip of rule.clusterIps) elements.push({ collection: 'service_ips', key: where(ip), value: `goto ${cluster}` })
  } else for (const ip of rule.clusterIps) elements.push(noEndpoints(where(ip), rule))
  const exposed = rule.nodePort !== undefined || rule.externalIps.length > 0
  if (exposed && rule.externalTargets.length > 0) {
    chains.set(external, externalChain(rule, hash, cluster, chains, sets))
    for (const ip of rule.externalIps) elements.push({ collection: 'service_ips', key: where(ip), value: `goto ${external}` })
    if (rule.nodePort !== undefined)
      elements.push({ collection: 'node_ports', key: `${rule.protocol} . ${rule.nodePort}`, value: `goto ${external}` })
  } else if (exposed) {
    for (const ip of rule.externalIps) elements.push(noEndpoints(where(ip), rule))
    if (rule.nodePort !== undefined) {
      const value = rule.hasEndpoints ? 'drop' : 'goto refuse'
      elements.push({ collection: 'no_endpoint_ports', key: `${rule.protocol} . ${rule.nodePort}`, value })
    }
  }
  for (const { ip } of [...rule.clusterTargets, ...rule.externalTargets]) elements.push({ collection: 'hairpin', key: `${ip} . ${ip}` })
  return { elements, chains, sets }
}

/** Endpoints elsewhere only: a client that tries again may reach another node, so it hears nothing; none at all: refused. */
function noEndpoints(key: string, rule: ServiceRule): Element {
  return { collection: 'no_endpoints', key, value: rule.hasEndpoints ? 'drop' : 'goto refuse' }
}

function externalChain(
  rule: ServiceRule,
  hash: string,
  cluster: string,
  chains: Map<string, string[]>,
  sets: Map<string, string>,
): string[] {
  const rules: string[] = []
  if (rule.sourceRanges.length > 0 && rule.externalIps.length > 0) {
    rules.push(`ip daddr { ${rule.externalIps.join(', ')} } ip saddr != { ${rule.sourceRanges.join(', ')} } return`)
  }
  if (!rule.externalLocal) return [...rules, 'jump mark_masquerade', `goto ${cluster}`]
  // From inside the cluster the policy does not count: any endpoint will do.
  if (rule.clusterTargets.length > 0) {
    rules.push(`ip saddr @pod_cidrs goto ${cluster}`, 'fib saddr type local jump mark_masquerade', `fib saddr type local goto ${cluster}`)
  }
  return [...rules, ...balance(rule, rule.externalTargets, `x-${hash}`, chains, sets)]
}

/** Picks a target at random; with affinity, the one that this client had. */
function balance(
  rule: ServiceRule,
  targets: readonly Target[],
  prefix: string,
  chains: Map<string, string[]>,
  sets: Map<string, string>,
): string[] {
  const { protocol, affinitySeconds } = rule
  if (affinitySeconds === undefined) {
    const [only] = targets
    if (targets.length === 1 && only !== undefined) return [`meta l4proto ${protocol} dnat ip to ${only.ip}:${only.port}`]
    const list = targets.map(({ ip, port }, i) => `${i} : ${ip} . ${port}`).join(', ')
    return [`meta l4proto ${protocol} dnat ip to numgen random mod ${targets.length} map { ${list} }`]
  }
  const remembered: string[] = []
  const choices: string[] = []
  targets.forEach(({ ip, port }, i) => {
    const id = createHash('sha256').update(`${rule.id} ${prefix} ${ip}:${port}`).digest('hex').slice(0, 16)
    const set = `aff-${id}`
    const chain = `end-${id}`
    sets.set(set, `{ type ipv4_addr; size ${affinityEntriesMax}; flags dynamic,timeout; timeout ${affinitySeconds}s; }`)
    chains.set(chain, [`update @${set} { ip saddr timeout ${affinitySeconds}s }`, `meta l4proto ${protocol} dnat ip to ${ip}:${port}`])
    remembered.push(`ip saddr @${set} goto ${chain}`)
    choices.push(`${i} : goto ${chain}`)
  })
  return [...remembered, `numgen random mod ${targets.length} vmap { ${choices.join(', ')} }`]
}
