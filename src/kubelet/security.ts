// The security context of a container as the engine gets it: the pod's and the container's own put together, and checked
// against the image (documentation: "Configure a Security Context").
import { join, normalize } from 'node:path'
import type { Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext } from '#api/generated/core-v1'
import { podText } from './pod-containers.ts'
import type { SecurityContext as EngineSecurity, ImageInfo } from './runtimes/runtime.ts'

// What a container must not see or change of the kernel; the same lists as every engine's defaults. Engines behind CRI
// apply them only when told.
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
] as const
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'] as const

export interface SecurityInput {
  readonly pod: Pod
  readonly container: Container
  readonly image: Pick<ImageInfo, 'uid' | 'username'>
  /** Directory of node-local seccomp profiles. */
  readonly seccompDir: string
}

/** Throws, in Kubernetes' words, when the container would run as root against its will. */
export function containerSecurity({ pod, container, image, seccompDir }: SecurityInput): EngineSecurity {
  const own: SecurityContext = container.securityContext ?? {}
  const shared: PodSecurityContext = pod.spec.securityContext ?? {}
  const runAsUser = own.runAsUser ?? shared.runAsUser ?? image.uid
  const runAsGroup = own.runAsGroup ?? shared.runAsGroup
  checkNonRoot(pod, container, own, shared, image)
  const privileged = own.privileged ?? false
  const unmasked = privileged || own.procMount === 'Unmasked'
  const apparmor = own.appArmorProfile ?? shared.appArmorProfile
  const selinux = own.seLinuxOptions ?? shared.seLinuxOptions
  return {
    privileged,
    capabilitiesAdd: own.capabilities?.add ?? [],
    capabilitiesDrop: own.capabilities?.drop ?? [],
    readOnlyRootFilesystem: own.readOnlyRootFilesystem ?? false,
    noNewPrivileges: noNewPrivileges(own),
    ...(runAsUser === undefined ? (image.username ? { runAsUsername: image.username } : {}) : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    supplementalGroups: supplementalGroups(shared),
    seccomp: seccomp(own.seccompProfile ?? shared.seccompProfile, privileged, seccompDir),
    ...(apparmor === undefined || privileged
      ? {}
      : {
          apparmor:
            apparmor.type === 'Localhost'
              ? { type: 'Localhost' as const, profile: apparmor.localhostProfile ?? '' }
              : { type: apparmor.type },
        }),
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    ...(selinux === undefined ? {} : { selinux }),
  }
}

/** The groups of every process in the pod, besides those of the image. */
export function supplementalGroups(shared: PodSecurityContext): number[] {
  const groups = [...(shared.supplementalGroups ?? [])]
  if (shared.fsGroup !== undefined && !groups.includes(shared.fsGroup)) groups.push(shared.fsGroup)
  return groups
}

function noNewPrivileges(own: SecurityContext): boolean {
  // What may gain privileges anyway gains nothing from the flag.
  if (own.privileged || own.capabilities?.add?.some((c) => c === 'SYS_ADMIN' || c === 'CAP_SYS_ADMIN')) return false
  return own.allowPrivilegeEscalation === false
}

function seccomp(profile: SeccompProfile | undefined, privileged: boolean, seccompDir: string): EngineSecurity['seccomp'] {
  if (privileged || profile === undefined || profile.type === 'Unconfined') return { type: 'Unconfined' }
  if (profile.type === 'RuntimeDefault') return { type: 'RuntimeDefault' }
  const relative = normalize(profile.localhostProfile ?? '')
  if (relative === '.' || relative.startsWith('..') || relative.startsWith('/')) {
    throw new Error(`localhostProfile must be a relative path below the node's seccomp directory: ${profile.localhostProfile ?? ''}`)
  }
  return { type: 'Localhost', path: join(seccompDir, relative) }
}

function checkNonRoot(
  pod: Pod,
  container: Container,
  own: SecurityContext,
  shared: PodSecurityContext,
  image: Pick<ImageInfo, 'uid' | 'username'>,
): void {
  if (!(own.runAsNonRoot ?? shared.runAsNonRoot ?? false)) return
  const user = own.runAsUser ?? shared.runAsUser
  const where = `(pod: "${podText(pod)}", container: ${container.name})`
  if (user === 0) throw new Error(`container's runAsUser breaks non-root policy ${where}`)
  if (user !== undefined) return
  if (image.uid !== undefined) {
    if (image.uid === 0) throw new Error(`container has runAsNonRoot and image will run as root ${where}`)
    return
  }
  if (image.username) {
    const text = `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`
    throw new Error(text)
  }
  throw new Error(`container has runAsNonRoot and image will run as root ${where}`)
}
