// The resolver configuration of a pod, by its dnsPolicy and dnsConfig (documentation: "DNS for Services and Pods").
import type { Pod } from '#api/generated/core-v1'

export interface ResolverConfig {
  readonly servers: readonly string[]
  readonly searches: readonly string[]
  readonly options: readonly string[]
}

export interface DnsContext {
  readonly clusterDns: readonly string[]
  readonly clusterDomain: string
  /** The node's own resolver configuration. */
  readonly host: ResolverConfig
}

const limits = { servers: 3, searches: 32, searchChars: 2048 } as const
const clusterOptions = ['ndots:5'] as const

/** Reads resolv.conf(5) text; of repeated `search` lines the last counts. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: string[] = []
  let searches: string[] = []
  let options: string[] = []
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/)
    if (word === 'nameserver' && rest[0] !== undefined) servers.push(rest[0])
    else if (word === 'search') searches = rest.map((s) => (s === '.' ? s : s.replace(/\.$/, '')))
    else if (word === 'options') options = rest
  }
  return { servers, searches, options }
}

/** What the pod's resolv.conf says. Undefined: the engine's copy of the node's own file. */
export function podDns(pod: Pod, context: DnsContext): { readonly config: ResolverConfig; readonly warnings: readonly string[] } {
  const { dnsConfig } = pod.spec
  const base = policyConfig(pod, context)
  const warnings: string[] = []
  let servers = unique([...base.servers, ...(dnsConfig?.nameservers ?? [])])
  let searches = unique([...base.searches, ...(dnsConfig?.searches ?? [])])
  const options = mergeOptions(base.options, dnsConfig?.options)
  if (servers.length > limits.servers) {
    servers = servers.slice(0, limits.servers)
    warnings.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(' ')}`,
    )
  }
  const applied = fitting(searches)
  if (applied.length < searches.length) {
    searches = applied
    warnings.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`,
    )
  }
  return { config: { servers, searches, options }, warnings }
}

function policyConfig(pod: Pod, { clusterDns, clusterDomain, host }: DnsContext): ResolverConfig {
  const policy = pod.spec.dnsPolicy
  if (policy === 'None') return { servers: [], searches: [], options: [] }
  const cluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && pod.spec.hostNetwork !== true)
  if (!cluster || clusterDns.length === 0) return host
  const namespace = pod.metadata.namespace ?? ''
  const own = clusterDomain === '' ? [] : [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
  return { servers: clusterDns, searches: unique([...own, ...host.searches]), options: clusterOptions }
}

function mergeOptions(base: readonly string[], more: readonly { name?: string; value?: string }[] | undefined): string[] {
  const merged = new Map(base.map((option) => [option.split(':')[0]!, option]))
  for (const { name, value } of more ?? []) {
    if (name !== undefined && name !== '') merged.set(name, value === undefined || value === '' ? name : `${name}:${value}`)
  }
  return [...merged.values()]
}

function fitting(searches: readonly string[]): string[] {
  const kept: string[] = []
  let chars = 0
  for (const search of searches) {
    chars += search.length + (kept.length > 0 ? 1 : 0)
    if (kept.length === limits.searches || chars > limits.searchChars) break
    kept.push(search)
  }
  return kept
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)]
}
