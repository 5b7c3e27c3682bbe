// The Pod Security Standards as pure checks of a pod: what a level forbids, in the words that Kubernetes says it.
import type { Container, EphemeralContainer, PodSpec, Probe, Volume } from '#api/generated/core-v1'
import { containersOf } from '#api/pods'

export type Level = 'privileged' | 'baseline' | 'restricted'

/** What a check looks at. */
export interface CheckedPod {
  readonly spec: PodSpec
  readonly annotations: Readonly<Record<string, string>>
}

type AnyContainer = Container | EphemeralContainer
type Check = (pod: CheckedPod, containers: readonly AnyContainer[]) => string | undefined

/** What the level forbids of this pod; empty when nothing. */
export function violations(level: Level, pod: CheckedPod): string[] {
  if (level === 'privileged') return []
  const containers = [...containersOf(pod.spec)].map(({ container }) => container)
  const checks = level === 'baseline' ? baselineOnly : beyondBaseline
  return [...common, ...checks].map((check) => check(pod, containers)).filter((text) => text !== undefined)
}

function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ')
}

function named(containers: readonly AnyContainer[]): string {
  return `container${containers.length === 1 ? '' : 's'} ${quoted(containers.map(({ name }) => name))}`
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'

const appArmor: Check = ({ spec, annotations }, containers) => {
  const bad: string[] = []
  const forbids = (type: string | undefined): boolean => type === 'Unconfined'
  if (forbids(spec.securityContext?.appArmorProfile?.type)) bad.push('pod must not set AppArmor profile type to "Unconfined"')
  const own = containers.filter(({ securityContext }) => forbids(securityContext?.appArmorProfile?.type))
  if (own.length > 0) bad.push(`${named(own)} must not set AppArmor profile type to "Unconfined"`)
  const profiles = Object.entries(annotations).filter(
    ([key, value]) => key.startsWith(appArmorPrefix) && value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'),
  )
  if (profiles.length > 0)
    bad.push(
      `annotation${profiles.length === 1 ? '' : 's'} ${profiles
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .sort()
        .join(', ')}`,
    )
  return bad.length === 0 ? undefined : `forbidden AppArmor profile${bad.length === 1 ? '' : 's'} (${bad.join(', ')})`
}

const hostNamespaces: Check = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name] === true)
  return used.length === 0 ? undefined : `host namespaces (${used.map((name) => `${name}=true`).join(', ')})`
}

const hostPorts: Check = (_pod, containers) => {
  const bad = containers.filter(({ ports }) => ports?.some(({ hostPort }) => hostPort))
  if (bad.length === 0) return undefined
  const ports = [...new Set(bad.flatMap(({ ports: own }) => (own ?? []).flatMap(({ hostPort }) => (hostPort ? [hostPort] : []))))]
  const list = ports.sort((a, b) => a - b).join(', ')
  return `hostPort (${named(bad)} ${bad.length === 1 ? 'uses' : 'use'} hostPort${ports.length === 1 ? '' : 's'} ${list})`
}

const hostProbes: Check = (_pod, containers) => {
  const hostsOf = (container: AnyContainer): string[] => {
    const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container
    const actions: (Partial<Probe> | undefined)[] = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop]
    return actions.flatMap((action) => [action?.httpGet?.host ?? '', action?.tcpSocket?.host ?? '']).filter((host) => host !== '')
  }
  const bad = containers.filter((container) => hostsOf(container).length > 0)
  if (bad.length === 0) return undefined
  const hosts = unique(bad.flatMap(hostsOf))
  const what = `probe or lifecycle host${hosts.length === 1 ? '' : 's'}`
  return `probe or lifecycle host (${named(bad)} ${bad.length === 1 ? 'uses' : 'use'} ${what} ${quoted(hosts)})`
}

const privileged: Check = (_pod, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.privileged === true)
  return bad.length === 0 ? undefined : `privileged (${named(bad)} must not set securityContext.privileged=true)`
}

const procMount: Check = ({ spec }, containers) => {
  // A pod of a user namespace of its own may see all of its /proc.
  if (spec.hostUsers === false) return undefined
  const bad = containers.filter(
    ({ securityContext }) => securityContext?.procMount !== undefined && securityContext.procMount !== 'Default',
  )
  if (bad.length === 0) return undefined
  const set = unique(bad.map(({ securityContext }) => securityContext?.procMount ?? ''))
  return `procMount (${named(bad)} must not set securityContext.procMount to ${quoted(set)})`
}

const seLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'])

const seLinux: Check = ({ spec }, containers) => {
  type Options = { type?: string; user?: string; role?: string } | undefined
  const isBad = (options: Options): boolean =>
    options !== undefined && (!seLinuxTypes.has(options.type ?? '') || !!options.user || !!options.role)
  const bad = containers.filter(({ securityContext }) => isBad(securityContext?.seLinuxOptions))
  const podBad = isBad(spec.securityContext?.seLinuxOptions)
  if (!podBad && bad.length === 0) return undefined
  const all: Options[] = [...(podBad ? [spec.securityContext?.seLinuxOptions] : []), ...bad.map((c) => c.securityContext?.seLinuxOptions)]
  const types = unique(all.flatMap((o) => (o?.type !== undefined && !seLinuxTypes.has(o.type) ? [o.type] : [])))
  const parts = [
    ...(types.length === 0 ? [] : [`type${types.length === 1 ? '' : 's'} ${quoted(types)}`]),
    ...(all.some((o) => o?.user) ? ['user may not be set'] : []),
    ...(all.some((o) => o?.role) ? ['role may not be set'] : []),
  ]
  const setters = [...(podBad ? ['pod'] : []), ...(bad.length === 0 ? [] : [named(bad)])].join(' and ')
  return `seLinuxOptions (${setters} set forbidden securityContext.seLinuxOptions: ${parts.join('; ')})`
}

const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
])

const sysctls: Check = ({ spec }) => {
  const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !safeSysctls.has(name))
  return bad.length === 0 ? undefined : `forbidden sysctls (${bad.join(', ')})`
}

const hostProcess: Check = ({ spec }, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true)
  const podBad = spec.securityContext?.windowsOptions?.hostProcess === true
  if (!podBad && bad.length === 0) return undefined
  const setters = [...(podBad ? ['pod'] : []), ...(bad.length === 0 ? [] : [named(bad)])].join(' and ')
  return `hostProcess (${setters} must not set securityContext.windowsOptions.hostProcess=true)`
}

const defaultCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
])

const capabilitiesBaseline: Check = (_pod, containers) => {
  const added = (container: AnyContainer): string[] =>
    (container.securityContext?.capabilities?.add ?? []).filter((name) => !defaultCapabilities.has(name))
  const bad = containers.filter((container) => added(container).length > 0)
  if (bad.length === 0) return undefined
  return `non-default capabilities (${named(bad)} must not include ${quoted(unique(bad.flatMap(added)))} in securityContext.capabilities.add)`
}

const hostPathVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name)
  return bad.length === 0 ? undefined : `hostPath volumes (volume${bad.length === 1 ? '' : 's'} ${quoted(bad)})`
}

const seccompBaseline: Check = ({ spec }, containers) => {
  const isBad = (type: string | undefined): boolean => type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost'
  const podType = spec.securityContext?.seccompProfile?.type
  const bad = containers.filter(({ securityContext }) => isBad(securityContext?.seccompProfile?.type))
  const types = unique([...(isBad(podType) ? [podType!] : []), ...bad.map((c) => c.securityContext!.seccompProfile!.type)])
  const setters = [...(isBad(podType) ? ['pod'] : []), ...(bad.length === 0 ? [] : [named(bad)])]
  return setters.length === 0
    ? undefined
    : `seccompProfile (${setters.join(' and ')} must not set securityContext.seccompProfile.type to ${quoted(types)})`
}

const allowPrivilegeEscalation: Check = ({ spec }, containers) => {
  if (isWindows(spec)) return undefined
  const bad = containers.filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false)
  if (bad.length === 0) return undefined
  return `allowPrivilegeEscalation != false (${named(bad)} must set securityContext.allowPrivilegeEscalation=false)`
}

function isWindows(spec: PodSpec): boolean {
  return spec.os?.name === 'windows'
}

const capabilitiesRestricted: Check = ({ spec }, containers) => {
  if (isWindows(spec)) return undefined
  const keeping = containers.filter(({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'))
  const added = (container: AnyContainer): string[] =>
    (container.securityContext?.capabilities?.add ?? []).filter((name) => name !== 'NET_BIND_SERVICE')
  const adding = containers.filter((container) => added(container).length > 0)
  const parts = [
    ...(keeping.length === 0 ? [] : [`${named(keeping)} must set securityContext.capabilities.drop=["ALL"]`]),
    ...(adding.length === 0
      ? []
      : [`${named(adding)} must not include ${quoted(unique(adding.flatMap(added)))} in securityContext.capabilities.add`]),
  ]
  return parts.length === 0 ? undefined : `unrestricted capabilities (${parts.join('; ')})`
}

const allowedVolumes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

const restrictedVolumes: Check = ({ spec }) => {
  const typeOf = (volume: Volume): string => Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir'
  const bad = (spec.volumes ?? []).filter((volume) => !allowedVolumes.has(typeOf(volume)))
  if (bad.length === 0) return undefined
  const types = unique(bad.map(typeOf))
  const one = bad.length === 1
  const what = `restricted volume type${types.length === 1 ? '' : 's'} ${quoted(types)}`
  return `restricted volume types (volume${one ? '' : 's'} ${quoted(bad.map(({ name }) => name))} ${one ? 'uses' : 'use'} ${what})`
}

const runAsNonRoot: Check = ({ spec }, containers) => {
  const { runAsNonRoot: pod } = spec.securityContext ?? {}
  const explicit = containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === false)
  const implicit = pod === true ? [] : containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined)
  if (pod === false && implicit.length > 0) {
    const also = explicit.length === 0 ? '' : ` and ${named(explicit)}`
    return `runAsNonRoot != true (pod${also} must not set securityContext.runAsNonRoot=false)`
  }
  if (explicit.length > 0) return `runAsNonRoot != true (${named(explicit)} must not set securityContext.runAsNonRoot=false)`
  if (implicit.length > 0) return `runAsNonRoot != true (pod or ${named(implicit)} must set securityContext.runAsNonRoot=true)`
  return undefined
}

const runAsUser: Check = ({ spec }, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.runAsUser === 0)
  const pod = spec.securityContext?.runAsUser === 0
  if (!pod && bad.length === 0) return undefined
  const setters = [...(pod ? ['pod'] : []), ...(bad.length === 0 ? [] : [named(bad)])].join(' and ')
  return `runAsUser=0 (${setters} must not set runAsUser=0)`
}

const seccompRestricted: Check = (pod, containers) => {
  if (isWindows(pod.spec)) return undefined
  const explicit = seccompBaseline(pod, containers)
  if (explicit !== undefined || pod.spec.securityContext?.seccompProfile !== undefined) return explicit
  const silent = containers.filter(({ securityContext }) => securityContext?.seccompProfile === undefined)
  if (silent.length === 0) return undefined
  return `seccompProfile (pod or ${named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
}

const common: readonly Check[] = [appArmor, hostNamespaces, hostPorts, hostProbes, privileged, procMount, seLinux, sysctls, hostProcess]
const baselineOnly: readonly Check[] = [capabilitiesBaseline, hostPathVolumes, seccompBaseline]
// What the restricted level says of capabilities, volumes and seccomp goes further than the baseline and stands in its place.
const beyondBaseline: readonly Check[] = [
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
]
