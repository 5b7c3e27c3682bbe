// A pod's /etc/hosts and the names it goes by.
import type { HostAlias, Pod } from '#api/generated/core-v1'

const header = '# Kubernetes-managed hosts file.\n'
const hostNetworkHeader = '# Kubernetes-managed hosts file (host network).\n'
const hostnameCharsMax = 63

export interface PodNames {
  /** What the sandbox's hostname is set to. */
  readonly hostname: string
  /** `<subdomain>.<namespace>.svc.<cluster domain>`, or empty. */
  readonly domain: string
}

/** Throws, in Kubernetes' words, when the fully qualified name is to be the hostname and is too long. */
export function podNames(pod: Pod, clusterDomain: string): PodNames {
  if (pod.spec.hostnameOverride !== undefined && pod.spec.hostnameOverride !== '') {
    return { hostname: pod.spec.hostnameOverride, domain: '' }
  }
  const base = pod.spec.hostname !== undefined && pod.spec.hostname !== '' ? pod.spec.hostname : truncated(pod.metadata.name)
  const domain = pod.spec.subdomain ? `${pod.spec.subdomain}.${pod.metadata.namespace ?? ''}.svc.${clusterDomain}` : ''
  if (pod.spec.setHostnameAsFQDN !== true || domain === '') return { hostname: base, domain }
  const full = `${base}.${domain}`
  if (full.length > 64) {
    throw new Error(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${full} is too long (64 characters is the max, ${full.length} characters requested)`,
    )
  }
  return { hostname: full, domain }
}

function truncated(name: string): string {
  return name.slice(0, hostnameCharsMax).replace(/[-.]+$/, '')
}

/** The file of a pod with its own network. */
export function podHostsFile(ips: readonly string[], names: PodNames, aliases: readonly HostAlias[] | undefined): string {
  let text = header
  text += '127.0.0.1\tlocalhost\n'
  text += '::1\tlocalhost ip6-localhost ip6-loopback\n'
  text += 'fe00::0\tip6-localnet\n'
  text += 'fe00::0\tip6-mcastprefix\n'
  text += 'fe00::1\tip6-allnodes\n'
  text += 'fe00::2\tip6-allrouters\n'
  const short =
    names.domain !== '' && names.hostname.endsWith(`.${names.domain}`) ? names.hostname.slice(0, -names.domain.length - 1) : names.hostname
  for (const ip of ips) text += names.domain === '' ? `${ip}\t${short}\n` : `${ip}\t${short}.${names.domain}\t${short}\n`
  return text + aliasLines(aliases)
}

/** The file of a pod on the node's network: the node's, and the aliases. */
export function nodeHostsFile(nodeFile: string, aliases: readonly HostAlias[] | undefined): string {
  return hostNetworkHeader + nodeFile + aliasLines(aliases)
}

function aliasLines(aliases: readonly HostAlias[] | undefined): string {
  if (aliases === undefined || aliases.length === 0) return ''
  const lines = aliases.map((alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}\n`)
  return `\n# Entries added by HostAliases.\n${lines.join('')}`
}
