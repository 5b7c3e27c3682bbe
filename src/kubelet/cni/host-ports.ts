// Host ports: the node's own addresses answer for a pod's port. One nftables table per cluster, there only while a pod asks for it,
// replaced as a whole in one transaction (host ports are few). What CNI's portmap plugin does, without a process and an iptables
// chain per pod.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { hostInterfaceOf } from './routes.ts'

export interface HostPort {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
  readonly containerPort: number
  readonly hostPort: number
  /** Absent, empty or all zeros: every address of the node. */
  readonly hostIP?: string
}

/** A pod with its host ports. */
export interface PortedPod {
  readonly ips: readonly string[]
  readonly hostPorts: readonly HostPort[]
}

export interface HostPorts {
  /** Sets the ports of one sandbox, or takes them away. Resolves when the kernel has them. */
  set(sandboxId: string, pod: PortedPod | undefined): Promise<void>
  /** Makes these the only ones. */
  replace(pods: ReadonlyMap<string, PortedPod>): Promise<void>
}

/** The table of a cluster's host ports. */
export function hostPortTable(clusterName: string): string {
  return `navarch_${clusterName.replaceAll(/[^A-Za-z0-9_]/g, '_')}_hostports`
}

/** Host ports of one cluster on this node. `nft` is the program to load rules with. */
export function openHostPorts(clusterName: string, load: (rules: string) => Promise<void> = loadRules): HostPorts {
  const table = hostPortTable(clusterName)
  let pods = new Map<string, PortedPod>()
  let last: Promise<void> = Promise.resolve()
  let tableMayExist = true
  // One at a time and in order: each load says everything.
  const apply = (): Promise<void> => {
    last = last
      .catch(() => undefined)
      .then(async () => {
        if (pods.size === 0 && !tableMayExist) return
        await load(renderHostPorts(table, pods))
        tableMayExist = pods.size > 0
        await allowLoopback(pods)
      })
    return last
  }
  return {
    set(sandboxId, pod) {
      if (pod === undefined) pods.delete(sandboxId)
      else pods.set(sandboxId, pod)
      return apply()
    },
    replace(all) {
      pods = new Map(all)
      return apply()
    },
  }
}

/** Removes the table of a cluster that goes. */
export async function removeHostPorts(clusterName: string): Promise<void> {
  await loadRules(renderHostPorts(hostPortTable(clusterName), new Map()))
}

/** The whole table as nft reads it; without pods, its removal. The later of two pods that ask for one port has it. */
export function renderHostPorts(table: string, pods: ReadonlyMap<string, PortedPod>): string {
  const clear = `add table inet ${table}\ndelete table inet ${table}\n`
  if (pods.size === 0) return clear
  const families = [familyRules('ip', pods), familyRules('ip6', pods)].filter((f) => f.maps !== '')
  return `${clear}table inet ${table} {
${families.map((f) => f.maps).join('')}  chain guard {
    type filter hook prerouting priority -310; policy accept;
    iif != "lo" ip daddr 127.0.0.0/8 drop
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump host_ports
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump host_ports
  }
  chain host_ports {
${families.map((f) => f.dnat).join('')}  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
${families.map((f) => f.masquerade).join('')}  }
}
`
}

function familyRules(family: 'ip' | 'ip6', pods: ReadonlyMap<string, PortedPod>): { maps: string; dnat: string; masquerade: string } {
  const isOfFamily = (ip: string): boolean => ip.includes(':') === (family === 'ip6')
  const anyAddress = new Map<string, string>()
  const oneAddress = new Map<string, string>()
  const podIps = new Set<string>()
  for (const { ips, hostPorts } of pods.values()) {
    const podIp = ips.find(isOfFamily)
    if (podIp === undefined) continue
    for (const { protocol, hostPort, containerPort, hostIP } of hostPorts) {
      const from = `${protocol.toLowerCase()} . ${hostPort}`
      const to = `${podIp} . ${containerPort}`
      const any = hostIP === undefined || hostIP === '' || hostIP === '0.0.0.0' || hostIP === '::'
      if (!any && !isOfFamily(hostIP)) continue
      podIps.add(podIp)
      if (any) anyAddress.set(from, to)
      else oneAddress.set(`${hostIP} . ${from}`, to)
    }
  }
  if (podIps.size === 0) return { maps: '', dnat: '', masquerade: '' }
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const elements = (map: ReadonlyMap<string, string>): string =>
    map.size === 0 ? '' : `\n    elements = { ${[...map].map(([from, to]) => `${from} : ${to}`).join(', ')} }`
  const pairs = [...podIps].map((ip) => `${ip} . ${ip}`).join(', ')
  const match = `meta l4proto . th dport`
  return {
    maps: `  map any_${family} {
    type inet_proto . inet_service : ${address} . inet_service${elements(anyAddress)}
  }
  map one_${family} {
    type ${address} . inet_proto . inet_service : ${address} . inet_service${elements(oneAddress)}
  }
  set pods_${family} {
    type ${address}
    elements = { ${[...podIps].join(', ')} }
  }
  set own_${family} {
    type ${address} . ${address}
    elements = { ${pairs} }
  }
`,
    dnat: `    meta l4proto { tcp, udp, sctp } dnat ${family} to ${family} daddr . ${match} map @one_${family}
    meta l4proto { tcp, udp, sctp } fib daddr type local dnat ${family} to ${match} map @any_${family}
`,
    // From loopback the answer would not find back; a pod that asks for its own port must see another address than its own.
    masquerade: `${family === 'ip' ? '    ct status dnat ip saddr 127.0.0.0/8 ip daddr @pods_ip masquerade\n' : ''}    ct status dnat ${family} saddr . ${family} daddr @own_${family} masquerade
`,
  }
}

// The answer to a connection from 127.0.0.1 comes in by the pod's interface; the kernel takes it for a martian unless told.
async function allowLoopback(pods: ReadonlyMap<string, PortedPod>): Promise<void> {
  for (const { ips } of pods.values()) {
    const ip = ips.find((i) => !i.includes(':'))
    const link = ip === undefined ? undefined : await hostInterfaceOf(ip)
    // The pod may be gone by now.
    if (link !== undefined) await writeFile(`/proc/sys/net/ipv4/conf/${link}/route_localnet`, '1').catch(() => undefined)
  }
}

function loadRules(rules: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile('nft', ['-f', '-'], (error, _stdout, stderr) => {
      if (error) reject(new Error(`nft: ${stderr.trim() || error.message}`))
      else resolve()
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(rules)
  })
}
