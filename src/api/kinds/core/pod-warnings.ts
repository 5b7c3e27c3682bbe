// Warnings about pods that are valid but hardly meant, or meant as they once were: the client sees them, nothing is refused.
import type * as coreV1 from '../../generated/core-v1.ts'
import { quantityMilliValue } from '../../quantity.ts'
import { isSidecar } from '../../resources.ts'
import { semanticEqual } from '../../validation/field-errors.ts'
import { checkDns1123Label } from '../../validation/names.ts'
import { goList } from '../../validation/text.ts'

const deprecatedLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}

const deprecatedVolumes = {
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
} as const

const seccompPodAnnotation = 'seccomp.security.alpha.kubernetes.io/pod'
const seccompContainerPrefix = 'container.seccomp.security.alpha.kubernetes.io/'
const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'
const noSelector = 'a null labelSelector results in matching no pod'

type PodLike = Pick<coreV1.Pod, 'spec'> & { metadata?: coreV1.PodTemplateSpec['metadata'] }

/** Warnings about a pod or a template. `path` is that of the template, empty for a pod. */
export function podWarnings({ metadata, spec }: PodLike, path = ''): string[] {
  const at = path === '' ? 'spec' : `${path}.spec`
  const metadataPath = path === '' ? 'metadata' : `${path}.metadata`
  return [
    ...schedulingWarnings(spec, at),
    ...annotationWarnings(metadata?.annotations ?? {}, `${metadataPath}.annotations`),
    ...volumeWarnings(spec, at),
    ...emptyPullSecrets(spec, at),
    ...graceWarnings(spec, at),
    ...containerWarnings(spec, at),
    ...fractionalBytes(spec.overhead, `${at}.overhead`),
  ]
}

/** Warnings about the template of a workload: a new one, or one that changed. */
export function templateWarnings(
  template: coreV1.PodTemplateSpec,
  old: coreV1.PodTemplateSpec | undefined,
  path = 'spec.template',
): string[] {
  return semanticEqual(template, old) ? [] : podWarnings(template, path)
}

/** About a workload whose name its pods are named by. */
export function nameWarnings(name: string, what = 'Pod names and hostnames'): string[] {
  const problems = checkDns1123Label(name)
  if (problems.length === 0) return []
  const head = `metadata.name: this is used in ${what}, which can result in surprising behavior`
  return [`${head}; a DNS label is recommended: ${goList(problems)}`]
}

function schedulingWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${path}.nodeSelector[${key}]: ${problem}`)
  }
  const { nodeAffinity, podAffinity, podAntiAffinity } = spec.affinity ?? {}
  const terms = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  const required = `${path}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
  for (const [i, term] of terms.entries()) warnings.push(...termWarnings(term, `${required}[${i}]`))
  const preferred = `${path}.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution`
  for (const [i, { preference }] of (nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    warnings.push(...termWarnings(preference, `${preferred}[${i}].preference`))
  }
  for (const [name, affinity] of Object.entries({ podAffinity, podAntiAffinity })) {
    warnings.push(...affinityWarnings(affinity, `${path}.affinity.${name}`))
  }
  for (const [i, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${path}.topologySpreadConstraints[${i}]`
    const problem = deprecatedLabel(topologyKey)
    if (problem !== undefined) warnings.push(`${at}.topologyKey: ${topologyKey} is ${problem}`)
    if (labelSelector === undefined) warnings.push(`${at}.labelSelector: ${noSelector}`)
  }
  return warnings
}

function deprecatedLabel(key: string): string | undefined {
  return Object.hasOwn(deprecatedLabels, key) ? deprecatedLabels[key] : undefined
}

function termWarnings(term: coreV1.NodeSelectorTerm | undefined, path: string): string[] {
  const warnings: string[] = []
  for (const [i, { key }] of (term?.matchExpressions ?? []).entries()) {
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${path}.matchExpressions[${i}].key: ${key} is ${problem}`)
  }
  return warnings
}

function affinityWarnings(affinity: coreV1.PodAffinity | coreV1.PodAntiAffinity | undefined, path: string): string[] {
  const warnings: string[] = []
  const check = (term: coreV1.PodAffinityTerm | undefined, at: string): void => {
    if (term !== undefined && term.labelSelector === undefined) warnings.push(`${at}.labelSelector: ${noSelector}`)
  }
  for (const [i, term] of (affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    check(term, `${path}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`)
  }
  for (const [i, { podAffinityTerm }] of (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    check(podAffinityTerm, `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm`)
  }
  return warnings
}

function annotationWarnings(annotations: Readonly<Record<string, string>>, path: string): string[] {
  const warnings: string[] = []
  for (const key of Object.keys(annotations)) {
    if (key === seccompPodAnnotation || key.startsWith(seccompContainerPrefix)) {
      warnings.push(`${path}[${key}]: non-functional in v1.27+; use the "seccompProfile" field instead`)
    } else if (key.startsWith(appArmorPrefix)) {
      warnings.push(`${path}[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`)
    }
  }
  return warnings
}

function volumeWarnings({ volumes }: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  for (const [i, volume] of (volumes ?? []).entries()) {
    for (const [source, problem] of Object.entries(deprecatedVolumes)) {
      if (volume[source as keyof typeof deprecatedVolumes] !== undefined) warnings.push(`${path}.volumes[${i}].${source}: ${problem}`)
    }
  }
  return warnings
}

function emptyPullSecrets({ imagePullSecrets }: coreV1.PodSpec, path: string): string[] {
  return (imagePullSecrets ?? []).flatMap(({ name }, i) => (name ? [] : [`${path}.imagePullSecrets[${i}].name: invalid empty name ""`]))
}

function graceWarnings({ terminationGracePeriodSeconds: seconds }: coreV1.PodSpec, path: string): string[] {
  if (seconds >= 0) return []
  return [`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`]
}

function containerWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  // Where a port of this name was first: init containers that end do not serve beside the others.
  const portNames = new Map<string, string>()
  for (const field of ['initContainers', 'containers'] as const) {
    for (const [i, container] of (spec[field] ?? []).entries()) {
      const at = `${path}.${field}[${i}]`
      warnings.push(...hiddenEnv(container, at))
      warnings.push(...fractionalBytes(container.resources?.limits, `${at}.resources.limits`))
      warnings.push(...fractionalBytes(container.resources?.requests, `${at}.resources.requests`))
      warnings.push(...portWarnings(container, at))
      if (field === 'initContainers' && !isSidecar(container)) continue
      for (const [j, { name }] of (container.ports ?? []).entries()) {
        if (!name) continue
        const first = portNames.get(name)
        const portPath = `${at}.ports[${j}]`
        if (first === undefined) portNames.set(name, portPath)
        else {
          const use = `services and probes that select ports by name will use ${first}`
          warnings.push(`${portPath}: duplicate port name "${name}" with ${first}, ${use}`)
        }
      }
    }
  }
  return warnings
}

function hiddenEnv({ env }: coreV1.Container, path: string): string[] {
  const warnings: string[] = []
  const names = new Set<string>()
  for (const [i, { name }] of (env ?? []).entries()) {
    if (names.has(name)) warnings.push(`${path}.env[${i}]: hides previous definition of "${name}", which may be dropped when using apply`)
    names.add(name)
  }
  return warnings
}

function portWarnings({ ports = [] }: coreV1.Container, path: string): string[] {
  const warnings: string[] = []
  for (const [i, port] of ports.entries()) {
    const { name = '', hostPort = 0, containerPort, protocol, hostIP = '' } = port
    if (hostIP !== '' && hostPort === 0) {
      const shown = `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`
      warnings.push(`${path}.ports[${i}]: hostIP set without hostPort: ${shown}`)
    }
    const same = ports.findIndex(
      (other) =>
        other.containerPort === containerPort &&
        other.protocol === protocol &&
        (other.hostPort ?? 0) === hostPort &&
        (other.hostIP ?? '') === hostIP,
    )
    if (same < i) warnings.push(`${path}.ports[${i}]: duplicate port definition with ${path}.ports[${same}]`)
  }
  return warnings
}

function fractionalBytes(amounts: Readonly<Record<string, string>> | undefined, path: string): string[] {
  const warnings: string[] = []
  for (const name of ['memory', 'ephemeral-storage']) {
    const amount = amounts?.[name]
    if (amount === undefined || quantityMilliValue(amount) % 1000 === 0) continue
    warnings.push(`${path}[${name}]: fractional byte value "${amount}" is invalid, must be an integer`)
  }
  return warnings
}
