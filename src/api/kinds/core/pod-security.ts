// Security contexts of pods and containers: ids, seccomp, AppArmor, sysctls, and the fields of Windows pods.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { containersOf } from '../../pods.ts'
import { duplicate, forbidden, invalid, invalidEach, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, checkId } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { localDescending } from './paths.ts'

export function validatePodSecurityContext(spec: coreV1.PodSpec, path: string): FieldError[] {
  const context = spec.securityContext
  if (context === undefined) return []
  const errors: FieldError[] = []
  for (const field of ['fsGroup', 'runAsUser', 'runAsGroup'] as const) errors.push(...validateId(context[field], `${path}.${field}`))
  for (const [i, gid] of (context.supplementalGroups ?? []).entries()) errors.push(...validateId(gid, `${path}.supplementalGroups[${i}]`))
  if (spec.shareProcessNamespace && spec.hostPID) {
    errors.push(invalid(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'))
  }
  errors.push(...validateSysctls(spec, `${path}.sysctls`))
  errors.push(...oneOf(context.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], `${path}.fsGroupChangePolicy`))
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`))
  errors.push(...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`))
  errors.push(...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`))
  errors.push(...oneOf(context.supplementalGroupsPolicy, ['Merge', 'Strict'], `${path}.supplementalGroupsPolicy`))
  errors.push(...oneOf(context.seLinuxChangePolicy, ['MountOption', 'Recursive'], `${path}.seLinuxChangePolicy`))
  return errors
}

function oneOf(value: string | undefined, supported: readonly string[], path: string): FieldError[] {
  return value === undefined || supported.includes(value) ? [] : [notSupported(path, value, supported)]
}

function validateId(id: number | undefined, path: string): FieldError[] {
  return id === undefined ? [] : invalidEach(path, id, checkId(id))
}

export function validateContainerSecurityContext(
  context: coreV1.SecurityContext | undefined,
  path: string,
  hostUsers: boolean,
): FieldError[] {
  if (context === undefined) return []
  const errors: FieldError[] = []
  errors.push(...validateId(context.runAsUser, `${path}.runAsUser`))
  errors.push(...validateId(context.runAsGroup, `${path}.runAsGroup`))
  if (context.procMount !== undefined) {
    errors.push(...oneOf(context.procMount, ['Default', 'Unmasked'], `${path}.procMount`))
    if (hostUsers && context.procMount === 'Unmasked') {
      errors.push(invalid(`${path}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'))
    }
  }
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`))
  if (context.allowPrivilegeEscalation === false) {
    const shown = internalSecurityContext(context)
    if (context.privileged) errors.push(invalid(path, shown, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'))
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      errors.push(invalid(path, shown, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'))
    }
  }
  errors.push(...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`))
  errors.push(...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`))
  return errors
}

// Compat: Kubernetes shows its internal structure, whose fields have no JSON names and are never left out.
function internalSecurityContext(context: coreV1.SecurityContext): object {
  const { capabilities, seLinuxOptions, windowsOptions, seccompProfile, appArmorProfile } = context
  const or = <V>(value: V | undefined): V | null => value ?? null
  return {
    Capabilities: capabilities === undefined ? null : { Add: or(capabilities.add), Drop: or(capabilities.drop) },
    Privileged: or(context.privileged),
    SELinuxOptions: or(seLinuxOptions),
    WindowsOptions: or(windowsOptions),
    RunAsUser: or(context.runAsUser),
    RunAsGroup: or(context.runAsGroup),
    RunAsNonRoot: or(context.runAsNonRoot),
    ReadOnlyRootFilesystem: or(context.readOnlyRootFilesystem),
    AllowPrivilegeEscalation: or(context.allowPrivilegeEscalation),
    ProcMount: or(context.procMount),
    SeccompProfile: seccompProfile === undefined ? null : internalProfile(seccompProfile),
    AppArmorProfile: appArmorProfile === undefined ? null : internalProfile(appArmorProfile),
  }
}

function internalProfile(profile: coreV1.SeccompProfile | coreV1.AppArmorProfile): object {
  return { Type: profile.type, LocalhostProfile: profile.localhostProfile ?? null }
}

const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined']

function validateSeccomp(profile: coreV1.SeccompProfile | undefined, path: string): FieldError[] {
  if (profile === undefined) return []
  const errors: FieldError[] = []
  if (!profile.type) errors.push(required(`${path}.type`, 'type is required when seccompProfile is set'))
  else errors.push(...oneOf(profile.type, profileTypes, `${path}.type`))
  const at = `${path}.localhostProfile`
  if (profile.type === 'Localhost') {
    if (profile.localhostProfile === undefined) errors.push(required(at, 'must be set when seccomp type is Localhost'))
    else errors.push(...localDescending(profile.localhostProfile, at))
  } else if (profile.localhostProfile !== undefined) {
    errors.push(invalid(at, internalProfile(profile), 'can only be set when seccomp type is Localhost'))
  }
  return errors
}

const profileBytesMax = 4095

export function validateAppArmor(profile: coreV1.AppArmorProfile | undefined, path: string): FieldError[] {
  if (profile === undefined) return []
  const at = `${path}.localhostProfile`
  const { localhostProfile } = profile
  if (!profile.type) return [required(`${path}.type`, 'type is required when appArmorProfile is set')]
  if (!profileTypes.includes(profile.type)) return [notSupported(`${path}.type`, profile.type, profileTypes)]
  if (profile.type !== 'Localhost') {
    return localhostProfile === undefined ? [] : [invalid(at, localhostProfile, 'can only be set when AppArmor type is Localhost')]
  }
  if (localhostProfile === undefined) return [required(at, 'must be set when AppArmor type is Localhost')]
  const errors: FieldError[] = []
  const trimmed = localhostProfile.trim()
  if (trimmed !== localhostProfile) errors.push(invalid(at, localhostProfile, 'must not be padded with whitespace'))
  else if (trimmed === '') errors.push(required(at, 'must be set when AppArmor type is Localhost'))
  if (byteLength(localhostProfile) > profileBytesMax) errors.push(tooLong(at, profileBytesMax))
  return errors
}

const sysctlBytesMax = 253
const sysctlPattern = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$'
const sysctlSegment = /^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/

/** Split first: one pattern over the whole name could be made to backtrack for long. */
function isSysctlName(name: string): boolean {
  return name.length <= sysctlBytesMax && name.split(/[./]/).every((segment) => sysctlSegment.test(segment))
}

function validateSysctls(spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { name = '' }] of (spec.securityContext.sysctls ?? []).entries()) {
    const at = `${path}[${i}].name`
    if (name === '') errors.push(required(at))
    else if (!isSysctlName(name)) {
      errors.push(invalid(at, name, `must have at most ${sysctlBytesMax} characters and match regex ${sysctlPattern}`))
    } else if (seen.has(name)) errors.push(duplicate(at, name))
    const namespace = sysctlNamespace(name)
    if (spec.hostNetwork && namespace === 'net') errors.push(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
    else if (spec.hostIPC && namespace === 'ipc') errors.push(invalid(at, name, "may not be specified when 'hostIPC' is true"))
    seen.add(name)
  }
  return errors
}

const ipcSysctls = new Set(['kernel.sem'])

/** The Linux namespace that a sysctl belongs to, if any. Slashes and dots may stand for each other. */
export function sysctlNamespace(name: string): 'net' | 'ipc' | undefined {
  const firstSeparator = /[./]/.exec(name)?.[0]
  const normal = firstSeparator === '/' ? name.replace(/[./]/g, (char) => (char === '/' ? '.' : '/')) : name
  if (normal.startsWith('net.')) return 'net'
  return ipcSysctls.has(normal) || normal.startsWith('kernel.shm') || normal.startsWith('kernel.msg') || normal.startsWith('fs.mqueue.')
    ? 'ipc'
    : undefined
}

function validateWindowsOptions(options: coreV1.WindowsSecurityContextOptions | undefined, path: string): FieldError[] {
  if (options === undefined) return []
  const errors: FieldError[] = []
  const name = options.gmsaCredentialSpecName
  if (name !== undefined) errors.push(...invalidEach(`${path}.gmsaCredentialSpecName`, name, checkDns1123Subdomain(name)))
  const spec = options.gmsaCredentialSpec
  if (spec !== undefined) {
    const at = `${path}.gmsaCredentialSpec`
    if (spec === '') errors.push(invalid(at, spec, 'gmsaCredentialSpec cannot be an empty string'))
    else if (byteLength(spec) > 64 * 1024) errors.push(invalid(at, spec, 'gmsaCredentialSpec size must be under 64 KiB'))
  }
  if (options.runAsUserName !== undefined) errors.push(...validateWindowsUser(options.runAsUserName, `${path}.runAsUserName`))
  return errors
}

const netBiosName = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/
const dnsName = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

function validateWindowsUser(name: string, path: string): FieldError[] {
  const complain = (detail: string): FieldError => invalid(path, name, detail)
  if (name === '') return [complain('runAsUserName cannot be an empty string')]
  if ([...name].some((char) => char < ' ' || char === '\x7f')) return [complain('runAsUserName cannot contain control characters')]
  const parts = name.split('\\')
  if (parts.length > 2) return [complain('runAsUserName cannot contain more than one backslash')]
  const errors: FieldError[] = []
  const [domain, user] = parts.length === 2 ? [parts[0]!, parts[1]!] : [undefined, parts[0]!]
  if (domain !== undefined && byteLength(domain) >= 256) errors.push(complain("runAsUserName's Domain length must be under 256 characters"))
  if (domain !== undefined && !netBiosName.test(domain) && !dnsName.test(domain)) {
    errors.push(complain("runAsUserName's Domain doesn't match the NetBios nor the DNS format"))
  }
  if (user === '') errors.push(complain("runAsUserName's User cannot be empty"))
  else if (byteLength(user) > 104) errors.push(complain("runAsUserName's User length must not be longer than 104 characters"))
  if (/^[. ]+$/.test(user)) errors.push(complain("runAsUserName's User cannot contain only periods or spaces"))
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) {
    errors.push(complain('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]'))
  }
  return errors
}

/** HostProcess is all or nothing, and goes with the host's network. */
export function validateHostProcess(spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const forPod = spec.securityContext?.windowsOptions?.hostProcess
  let all = 0
  let hostProcess = 0
  for (const { container, path: at } of containersOf(spec, path)) {
    all++
    const own = container.securityContext?.windowsOptions?.hostProcess
    if (forPod !== undefined && own !== undefined && forPod !== own) {
      const detail = `pod hostProcess value must be identical if both are specified, was ${forPod}`
      errors.push(invalid(`${at}.securityContext.windowsOptions.hostProcess`, own, detail))
    }
    if (own ?? forPod) hostProcess++
  }
  if (hostProcess === 0) return errors
  if (hostProcess !== all) {
    errors.push(invalid(path, '', 'If pod contains any hostProcess containers then all containers must be HostProcess containers'))
  }
  if (!spec.hostNetwork) {
    errors.push(invalid(`${path}.hostNetwork`, false, 'hostNetwork must be true if pod contains any hostProcess containers'))
  }
  return errors
}

// In Kubernetes' order; those with a dot stand in the security context.
const windowsPodFields = [
  'securityContext.appArmorProfile',
  'securityContext.seLinuxOptions',
  'hostUsers',
  'hostPID',
  'hostIPC',
  'securityContext.seccompProfile',
  'securityContext.fsGroup',
  'securityContext.fsGroupChangePolicy',
  'securityContext.sysctls',
  'shareProcessNamespace',
  'securityContext.runAsUser',
  'securityContext.runAsGroup',
  'securityContext.supplementalGroups',
  'securityContext.supplementalGroupsPolicy',
  'securityContext.seLinuxChangePolicy',
]
const windowsContainerFields = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const

/** What a pod may not say once it named its operating system. */
export function validateOs(spec: coreV1.PodSpec, path: string): FieldError[] {
  if (spec.os === undefined) return []
  if (!spec.os.name) return [required(`${path}.os.name`, 'cannot be empty')]
  if (spec.os.name === 'linux') return validateLinux(spec, path)
  if (spec.os.name === 'windows') return validateWindows(spec, path)
  return [notSupported(`${path}.os`, spec.os.name, ['linux', 'windows'])]
}

function validateLinux(spec: coreV1.PodSpec, path: string): FieldError[] {
  const detail = 'windows options cannot be set for a linux pod'
  const errors: FieldError[] = []
  if (spec.securityContext.windowsOptions !== undefined) errors.push(forbidden(`${path}.securityContext.windowsOptions`, detail))
  for (const { container, path: at } of containersOf(spec, path)) {
    if (container.securityContext?.windowsOptions !== undefined) errors.push(forbidden(`${at}.securityContext.windowsOptions`, detail))
  }
  return errors
}

function validateWindows(spec: coreV1.PodSpec, path: string): FieldError[] {
  const detail = 'cannot be set for a windows pod'
  const errors: FieldError[] = []
  for (const field of windowsPodFields) {
    const [first = '', second] = field.split('.')
    const outer = (spec as unknown as Record<string, unknown>)[first]
    const value = second === undefined ? outer : (outer as Record<string, unknown> | undefined)?.[second]
    if (value !== undefined) errors.push(forbidden(`${path}.${field}`, detail))
  }
  for (const { container, path: at } of containersOf(spec, path)) {
    for (const field of windowsContainerFields) {
      if (container.securityContext?.[field] !== undefined) errors.push(forbidden(`${at}.securityContext.${field}`, detail))
    }
  }
  return errors
}
