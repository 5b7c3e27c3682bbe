// The Pod Security Standards as pure checks of a pod: what a level forbids, in each of its versions, in the words that Kubernetes says it.
import type { Container, EphemeralContainer, PodSpec, Probe, Volume } from '#api/generated/core-v1'
import { goQuote } from '#api/validation/text'

export type Level = 'privileged' | 'baseline' | 'restricted'

/** What a check looks at. */
export interface CheckedPod {
  readonly spec: PodSpec
  readonly annotations: Readonly<Record<string, string>>
}

/** Something that a level forbids: `privileged (container "a" must not set …)`. */
export interface Violation {
  readonly reason: string
  readonly detail: string
}

type AnyContainer = Container | EphemeralContainer
type Check = (pod: CheckedPod, containers: readonly AnyContainer[]) => Violation | undefined

/** What the level forbids of this pod, as of the standards of Kubernetes v1.`minor`; empty when nothing. */
export function violations(level: Level, minor: number, pod: CheckedPod): Violation[] {
  if (level === 'privileged') return []
  const containers = containersInOrder(pod.spec)
  return checksOf(level, minor).flatMap((check) => check(pod, containers) ?? [])
}

/** The violations as one text. */
export function violationText(found: readonly Violation[]): string {
  return found.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ')
}

function containersInOrder({ initContainers = [], containers, ephemeralContainers = [] }: PodSpec): AnyContainer[] {
  return [...initContainers, ...containers, ...ephemeralContainers]
}

function violation(reason: string, detail: string): Violation {
  return { reason, detail }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

function named(containers: readonly AnyContainer[]): string {
  return `container${containers.length === 1 ? '' : 's'} ${quoted(containers.map(({ name }) => name))}`
}

// Who has set something, when the pod may have and containers too.
function setters(pod: boolean, containers: readonly AnyContainer[]): string {
  return [...(pod ? ['pod'] : []), ...(containers.length === 0 ? [] : [named(containers)])].join(' and ')
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}

// Pods of a user namespace of their own: root in them is nobody outside.
function hasUserNamespace({ hostUsers }: PodSpec): boolean {
  return hostUsers === false
}

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'

const appArmor: Check = ({ spec, annotations }, containers) => {
  const isBad = (type: string | undefined): boolean => type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost'
  const podType = spec.securityContext?.appArmorProfile?.type
  const bad = containers.filter(({ securityContext }) => isBad(securityContext?.appArmorProfile?.type))
  const noted = Object.entries(annotations).filter(
    ([key, value]) => key.startsWith(appArmorPrefix) && value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'),
  )
  const types = [...(isBad(podType) ? [podType!] : []), ...bad.map((c) => c.securityContext!.appArmorProfile!.type)]
  const values = [...unique(types), ...noted.map(([key, value]) => `${key}=${goQuote(value)}`).sort()]
  const by = [setters(isBad(podType), bad), noted.length === 0 ? '' : `annotation${noted.length === 1 ? '' : 's'}`]
  if (values.length === 0) return undefined
  const who = by.filter((text) => text !== '').join(' and ')
  return violation(
    `forbidden AppArmor profile${values.length === 1 ? '' : 's'}`,
    `${who} must not set AppArmor profile type to ${quoted(values)}`,
  )
}

const hostNamespaces: Check = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name] === true)
  return used.length === 0 ? undefined : violation('host namespaces', used.map((name) => `${name}=true`).join(', '))
}

const hostPorts: Check = (_pod, containers) => {
  const bad = containers.filter(({ ports }) => ports?.some(({ hostPort }) => hostPort))
  if (bad.length === 0) return undefined
  const ports = unique(bad.flatMap(({ ports: own }) => (own ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []))))
  const what = `hostPort${ports.length === 1 ? '' : 's'} ${ports.join(', ')}`
  return violation('hostPort', `${named(bad)} ${bad.length === 1 ? 'uses' : 'use'} ${what}`)
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
  const names = unique(bad.map(({ name }) => name))
  const who = `container${names.length === 1 ? '' : 's'} ${quoted(names)} ${names.length === 1 ? 'uses' : 'use'}`
  return violation('probe or lifecycle host', `${who} probe or lifecycle host${hosts.length === 1 ? '' : 's'} ${quoted(hosts)}`)
}

const privileged: Check = (_pod, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.privileged === true)
  return bad.length === 0 ? undefined : violation('privileged', `${named(bad)} must not set securityContext.privileged=true`)
}

const procMount: Check = (_pod, containers) => {
  const bad = containers.filter(
    ({ securityContext }) => securityContext?.procMount !== undefined && securityContext.procMount !== 'Default',
  )
  if (bad.length === 0) return undefined
  const set = unique(bad.map(({ securityContext }) => securityContext?.procMount ?? ''))
  return violation('procMount', `${named(bad)} must not set securityContext.procMount to ${quoted(set)}`)
}

const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t']

const seLinux =
  (allowed: readonly string[]): Check =>
  ({ spec }, containers) => {
    type Options = { type?: string; user?: string; role?: string } | undefined
    const isBad = (options: Options): boolean =>
      options !== undefined && (!allowed.includes(options.type ?? '') || !!options.user || !!options.role)
    const bad = containers.filter(({ securityContext }) => isBad(securityContext?.seLinuxOptions))
    const podBad = isBad(spec.securityContext?.seLinuxOptions)
    if (!podBad && bad.length === 0) return undefined
    const all: Options[] = [...(podBad ? [spec.securityContext?.seLinuxOptions] : []), ...bad.map((c) => c.securityContext?.seLinuxOptions)]
    const types = unique(all.flatMap((o) => (o?.type !== undefined && !allowed.includes(o.type) ? [o.type] : [])))
    const parts = [
      ...(types.length === 0 ? [] : [`type${types.length === 1 ? '' : 's'} ${quoted(types)}`]),
      ...(all.some((o) => o?.user) ? ['user may not be set'] : []),
      ...(all.some((o) => o?.role) ? ['role may not be set'] : []),
    ]
    return violation('seLinuxOptions', `${setters(podBad, bad)} set forbidden securityContext.seLinuxOptions: ${parts.join('; ')}`)
  }

const safeSysctls = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
]
const safeSince27 = [...safeSysctls, 'net.ipv4.ip_local_reserved_ports']
const keepalive = ['time', 'intvl', 'probes'].map((name) => `net.ipv4.tcp_keepalive_${name}`)
const safeSince29 = [...safeSince27, ...keepalive, 'net.ipv4.tcp_fin_timeout']
const safeSince32 = [...safeSince29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']

const sysctls =
  (safe: readonly string[]): Check =>
  ({ spec }) => {
    const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !safe.includes(name))
    return bad.length === 0 ? undefined : violation('forbidden sysctls', bad.join(', '))
  }

const hostProcess: Check = ({ spec }, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true)
  const podBad = spec.securityContext?.windowsOptions?.hostProcess === true
  if (!podBad && bad.length === 0) return undefined
  return violation('hostProcess', `${setters(podBad, bad)} must not set securityContext.windowsOptions.hostProcess=true`)
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
  const names = quoted(unique(bad.flatMap(added)))
  return violation('non-default capabilities', `${named(bad)} must not include ${names} in securityContext.capabilities.add`)
}

const hostPathVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name)
  return bad.length === 0 ? undefined : violation('hostPath volumes', `volume${bad.length === 1 ? '' : 's'} ${quoted(bad)}`)
}

const seccompPodAnnotation = 'seccomp.security.alpha.kubernetes.io/pod'
const seccompContainerPrefix = 'container.seccomp.security.alpha.kubernetes.io/'

// Before there were fields.
const seccompAnnotations: Check = ({ annotations }, containers) => {
  const keys = [seccompPodAnnotation, ...containers.map(({ name }) => seccompContainerPrefix + name)]
  const isBad = (value: string | undefined): boolean =>
    value !== undefined && value !== 'runtime/default' && value !== 'docker/default' && !value.startsWith('localhost/')
  const bad = unique(keys.filter((key) => isBad(annotations[key])).map((key) => `${key}=${goQuote(annotations[key]!)}`))
  return bad.length === 0 ? undefined : violation('seccompProfile', `forbidden annotation${bad.length === 1 ? '' : 's'} ${bad.join(', ')}`)
}

function forbidsSeccomp(type: string | undefined): boolean {
  return type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost'
}

const seccompBaseline: Check = ({ spec }, containers) => {
  const podType = spec.securityContext?.seccompProfile?.type
  const bad = containers.filter(({ securityContext }) => forbidsSeccomp(securityContext?.seccompProfile?.type))
  const podBad = forbidsSeccomp(podType)
  if (!podBad && bad.length === 0) return undefined
  const types = unique([...(podBad ? [podType!] : []), ...bad.map((c) => c.securityContext!.seccompProfile!.type)])
  return violation('seccompProfile', `${setters(podBad, bad)} must not set securityContext.seccompProfile.type to ${quoted(types)}`)
}

const allowPrivilegeEscalation: Check = (_pod, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false)
  if (bad.length === 0) return undefined
  return violation('allowPrivilegeEscalation != false', `${named(bad)} must set securityContext.allowPrivilegeEscalation=false`)
}

// What containers of Windows do not know.
const unlessWindows =
  (check: Check): Check =>
  (pod, containers) =>
    isWindows(pod.spec) ? undefined : check(pod, containers)

const unlessUserNamespace =
  (check: Check): Check =>
  (pod, containers) =>
    hasUserNamespace(pod.spec) ? undefined : check(pod, containers)

function isWindows(spec: PodSpec): boolean {
  return spec.os?.name === 'windows'
}

const capabilitiesRestricted: Check = (_pod, containers) => {
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
  return parts.length === 0 ? undefined : violation('unrestricted capabilities', parts.join('; '))
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
  const typeOf = (volume: Volume): string => Object.keys(volume).find((key) => key !== 'name') ?? 'unknown'
  const bad = (spec.volumes ?? []).filter((volume) => !allowedVolumes.has(typeOf(volume)))
  if (bad.length === 0) return undefined
  const types = unique(bad.map(typeOf))
  const one = bad.length === 1
  const what = `restricted volume type${types.length === 1 ? '' : 's'} ${quoted(types)}`
  const who = `volume${one ? '' : 's'} ${quoted(bad.map(({ name }) => name))} ${one ? 'uses' : 'use'}`
  return violation('restricted volume types', `${who} ${what}`)
}

const runAsNonRoot: Check = ({ spec }, containers) => {
  const { runAsNonRoot: pod } = spec.securityContext ?? {}
  const explicit = containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === false)
  const implicit = pod === true ? [] : containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined)
  const reason = 'runAsNonRoot != true'
  if (pod === false || explicit.length > 0) {
    return violation(reason, `${setters(pod === false, explicit)} must not set securityContext.runAsNonRoot=false`)
  }
  return implicit.length === 0 ? undefined : violation(reason, `pod or ${named(implicit)} must set securityContext.runAsNonRoot=true`)
}

const runAsUser: Check = ({ spec }, containers) => {
  const bad = containers.filter(({ securityContext }) => securityContext?.runAsUser === 0)
  const pod = spec.securityContext?.runAsUser === 0
  return pod || bad.length > 0 ? violation('runAsUser=0', `${setters(pod, bad)} must not set runAsUser=0`) : undefined
}

const seccompRestricted: Check = (pod, containers) => {
  const explicit = seccompBaseline(pod, containers)
  if (explicit !== undefined || pod.spec.securityContext?.seccompProfile !== undefined) return explicit
  const silent = containers.filter(({ securityContext }) => securityContext?.seccompProfile === undefined)
  if (silent.length === 0) return undefined
  const must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
  return violation('seccompProfile', `pod or ${named(silent)} ${must}`)
}

/** A check as it changed from minor version to minor version. */
interface Standard {
  readonly id: string
  readonly versions: readonly { readonly since: number; readonly check: Check }[]
  /** The baseline's check in whose place the restricted one stands. */
  readonly replaces?: string
}

const since = (minor: number, check: Check): Standard['versions'][number] => ({ since: minor, check })

// In the order in which violations are told.
const baseline: readonly Standard[] = [
  { id: 'appArmorProfile', versions: [since(0, appArmor)] },
  { id: 'capabilities_baseline', versions: [since(0, capabilitiesBaseline)] },
  { id: 'hostNamespaces', versions: [since(0, hostNamespaces)] },
  { id: 'hostPathVolumes', versions: [since(0, hostPathVolumes)] },
  { id: 'hostPorts', versions: [since(0, hostPorts)] },
  { id: 'hostProbesAndHostLifecycle', versions: [since(34, hostProbes)] },
  { id: 'privileged', versions: [since(0, privileged)] },
  { id: 'procMount', versions: [since(0, procMount), since(35, unlessUserNamespace(procMount))] },
  { id: 'seLinuxOptions', versions: [since(0, seLinux(seLinuxTypes)), since(31, seLinux([...seLinuxTypes, 'container_engine_t']))] },
  { id: 'seccompProfile_baseline', versions: [since(0, seccompAnnotations), since(19, seccompBaseline)] },
  {
    id: 'sysctls',
    versions: [
      since(0, sysctls(safeSysctls)),
      since(27, sysctls(safeSince27)),
      since(29, sysctls(safeSince29)),
      since(32, sysctls(safeSince32)),
    ],
  },
  { id: 'windowsHostProcess', versions: [since(0, hostProcess)] },
]
const restricted: readonly Standard[] = [
  { id: 'allowPrivilegeEscalation', versions: [since(8, allowPrivilegeEscalation), since(25, unlessWindows(allowPrivilegeEscalation))] },
  {
    id: 'capabilities_restricted',
    versions: [since(22, capabilitiesRestricted), since(25, unlessWindows(capabilitiesRestricted))],
    replaces: 'capabilities_baseline',
  },
  { id: 'procMount_restricted', versions: [since(35, procMount)], replaces: 'procMount' },
  { id: 'restrictedVolumes', versions: [since(0, restrictedVolumes)], replaces: 'hostPathVolumes' },
  { id: 'runAsNonRoot', versions: [since(0, runAsNonRoot), since(35, unlessUserNamespace(runAsNonRoot))] },
  { id: 'runAsUser', versions: [since(23, runAsUser), since(35, unlessUserNamespace(runAsUser))] },
  {
    id: 'seccompProfile_restricted',
    versions: [since(19, seccompRestricted), since(25, unlessWindows(seccompRestricted))],
    replaces: 'seccompProfile_baseline',
  },
]

const newestMinor = 35
const known = new Map<string, readonly Check[]>()

function checksOf(level: 'baseline' | 'restricted', minor: number): readonly Check[] {
  const capped = Math.min(minor, newestMinor)
  const key = `${level} ${capped}`
  let checks = known.get(key)
  if (checks === undefined) {
    const inForce = (standards: readonly Standard[]): (readonly [Standard, Check])[] =>
      standards.flatMap((standard) => {
        const version = standard.versions.findLast((one) => one.since <= capped)
        return version === undefined ? [] : [[standard, version.check] as const]
      })
    const more = level === 'restricted' ? inForce(restricted) : []
    const replaced = new Set(more.map(([{ replaces }]) => replaces))
    const base = inForce(baseline).filter(([{ id }]) => !replaced.has(id))
    checks = [...base, ...more].map(([, check]) => check)
    known.set(key, checks)
  }
  return checks
}
