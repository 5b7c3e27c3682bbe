// A pod's sandbox as the engine gets it.
import type { Pod } from '#api/generated/core-v1'
import { parseQuantity, quantityValue } from '#api/quantity'
import { podCgroup } from '../container-resources.ts'
import { type DnsContext, podDns } from '../dns.ts'
import { podNames } from '../hosts-file.ts'
import { configSourceAnnotation, podLabels } from '../marks.ts'
import type { SandboxConfig } from '../runtimes/runtime.ts'
import { supplementalGroups } from '../security.ts'

export interface SandboxInput {
  readonly pod: Pod
  readonly attempt: number
  readonly dns: DnsContext
  readonly cgroupRoot: string
  readonly logDirectory: string
  readonly nodeHostname: string
  readonly runtimeHandler: string
}

const bandwidthAnnotations = { ingress: 'kubernetes.io/ingress-bandwidth', egress: 'kubernetes.io/egress-bandwidth' } as const

/** The configuration, and what the user should be told about it. Throws when the names do not fit. */
export function sandboxConfig(input: SandboxInput): { readonly config: SandboxConfig; readonly dnsWarnings: readonly string[] } {
  const { pod } = input
  const { spec, metadata } = pod
  const security = spec.securityContext ?? {}
  const { config: dns, warnings } = podDns(pod, input.dns)
  const hostNetwork = spec.hostNetwork === true
  const inheritsResolver =
    hostNetwork && spec.dnsConfig === undefined && (spec.dnsPolicy === 'Default' || spec.dnsPolicy === 'ClusterFirst')
  const ingress = bandwidth(pod, 'ingress')
  const egress = bandwidth(pod, 'egress')
  const config: SandboxConfig = {
    podUid: metadata.uid,
    podName: metadata.name,
    podNamespace: metadata.namespace ?? '',
    attempt: input.attempt,
    hostname: hostNetwork ? input.nodeHostname : podNames(pod, input.dns.clusterDomain).hostname,
    ...(inheritsResolver ? {} : { dns }),
    hostPorts: hostNetwork ? [] : hostPorts(pod),
    network: hostNetwork ? 'node' : 'pod',
    pid: spec.hostPID ? 'node' : spec.shareProcessNamespace ? 'pod' : 'container',
    ipc: spec.hostIPC ? 'node' : 'pod',
    sysctls: Object.fromEntries((security.sysctls ?? []).map((s) => [s.name.replaceAll('/', '.'), s.value])),
    privileged: [...spec.containers, ...(spec.initContainers ?? [])].some((c) => c.securityContext?.privileged === true),
    logDirectory: input.logDirectory,
    cgroupParent: podCgroup(input.cgroupRoot, pod),
    ...(security.runAsUser === undefined ? {} : { runAsUser: security.runAsUser }),
    ...(security.runAsGroup === undefined ? {} : { runAsGroup: security.runAsGroup }),
    supplementalGroups: supplementalGroups(security),
    ...(security.fsGroup === undefined ? {} : { fsGroup: security.fsGroup }),
    labels: podLabels(pod),
    annotations: { ...metadata.annotations, [configSourceAnnotation]: metadata.annotations?.[configSourceAnnotation] ?? 'api' },
    runtimeHandler: input.runtimeHandler,
    ...(ingress === undefined ? {} : { ingressBandwidth: ingress }),
    ...(egress === undefined ? {} : { egressBandwidth: egress }),
  }
  return { config, dnsWarnings: warnings }
}

function hostPorts(pod: Pod): SandboxConfig['hostPorts'] {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')]
  return containers.flatMap((c) =>
    (c.ports ?? [])
      .filter((p) => p.hostPort !== undefined && p.hostPort > 0)
      .map((p) => ({
        protocol: p.protocol,
        containerPort: p.containerPort,
        hostPort: p.hostPort!,
        ...(p.hostIP ? { hostIP: p.hostIP } : {}),
      })),
  )
}

function bandwidth(pod: Pod, direction: 'ingress' | 'egress'): number | undefined {
  const text = pod.metadata.annotations?.[bandwidthAnnotations[direction]]
  if (text === undefined) return undefined
  const value = quantityValue(parseQuantity(text))
  if (value < 1_000 || value > 1e15) throw new Error(`resource is unreasonably ${value < 1_000 ? 'small (< 1kbit)' : 'large (> 1Pbit)'}`)
  return value
}

/** `<namespace>_<name>_<uid>`, as Kubernetes names a pod's log directory. */
export function podLogDirectoryName(pod: { namespace: string; name: string; uid: string }): string {
  return `${pod.namespace}_${pod.name}_${pod.uid}`
}
