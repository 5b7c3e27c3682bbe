// Warnings about pods that are valid but hardly meant, or meant as they once were: the client sees them, nothing is refused.
import type * as coreV1 from '../../generated/core-v1.ts'
import { containersOf } from '../../pods.ts'
import { canonicalQuantity, isQuantity, quantityMilliValue } from '../../quantity.ts'
import { semanticEqual } from '../../validation/field-errors.ts'
import { warningsForIp } from '../../validation/ip.ts'
import { checkDns1123Label, checkLabelValue } from '../../validation/names.ts'
import { goList, goQuote } from '../../validation/text.ts'
import { deprecatedLabel } from './node-labels.ts'
import { appArmorFromAnnotation, appArmorPrefix, seccompContainerPrefix, seccompPodAnnotation } from './pod-annotations.ts'
import { volumeWarnings } from './pod-volume-warnings.ts'

const deprecatedAnnotations: readonly (readonly [key: string, message: string])[] = [
  ['scheduler.alpha.kubernetes.io/critical-pod', 'non-functional in v1.16+; use the "priorityClassName" field instead'],
  ['security.alpha.kubernetes.io/sysctls', 'non-functional in v1.11+; use the "sysctls" field instead'],
  ['security.alpha.kubernetes.io/unsafe-sysctls', 'non-functional in v1.11+; use the "sysctls" field instead'],
]

const noSelector = 'a null labelSelector results in matching no pod'
const useSeccompField = 'non-functional in v1.27+; use the "seccompProfile" field instead'

type Annotations = Readonly<Record<string, string>>
type PodLike = Pick<coreV1.Pod, 'spec'> & { metadata?: coreV1.PodTemplateSpec['metadata'] }

/** The annotation at `path` should be a field. */
export function appArmorWarning(path: string): string {
  return `${path}: deprecated since v1.30; use the "appArmorProfile" field instead`
}

/** Warnings about a pod or a template. `path` is that of the template, empty for a pod. */
export function podWarnings({ metadata, spec }: PodLike, path = ''): string[] {
  const at = path === '' ? 'spec' : `${path}.spec`
  const annotations = metadata?.annotations ?? {}
  const annotationPath = path === '' ? 'metadata.annotations' : `${path}.metadata.annotations`
  const warnings = nodeWarnings(spec, at)
  for (const [key, message] of deprecatedAnnotations) {
    if (annotations[key] !== undefined) warnings.push(`${annotationPath}[${key}]: ${message}`)
  }
  warnings.push(...volumeWarnings(spec.volumes, at))
  warnings.push(...repeated(spec.hostAliases, 'ip', `${at}.hostAliases`))
  warnings.push(...repeated(spec.imagePullSecrets, 'name', `${at}.imagePullSecrets`))
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) warnings.push(`${at}.imagePullSecrets[${i}].name: invalid empty name ""`)
  }
  for (const name of byteResources) warnings.push(...fractionalBytes(spec.overhead, name, `${at}.overhead`))
  if (annotations[seccompPodAnnotation] !== undefined && spec.securityContext?.seccompProfile === undefined) {
    warnings.push(`${annotationPath}[${seccompPodAnnotation}]: ${useSeccompField}`)
  }
  for (const { container, path: of } of containersOf(spec, at)) {
    warnings.push(...profileWarnings(container, spec, annotations, annotationPath, path !== ''))
    for (const name of byteResources) {
      warnings.push(...fractionalBytes(container.resources?.limits, name, `${of}.resources.limits`))
      warnings.push(...fractionalBytes(container.resources?.requests, name, `${of}.resources.requests`))
    }
    warnings.push(...hiddenEnv(container.env, of))
  }
  warnings.push(...portWarnings(spec, at), ...portNameWarnings(spec, at))
  if (spec.terminationGracePeriodSeconds < 0) {
    warnings.push(`${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`)
  }
  warnings.push(...affinityWarnings(spec.affinity?.podAffinity, `${at}.affinity.podAffinity`))
  warnings.push(...affinityWarnings(spec.affinity?.podAntiAffinity, `${at}.affinity.podAntiAffinity`))
  for (const [i, ip] of (spec.dnsConfig?.nameservers ?? []).entries())
    warnings.push(...warningsForIp(`${at}.dnsConfig.nameservers[${i}]`, ip))
  for (const [i, { ip }] of (spec.hostAliases ?? []).entries()) warnings.push(...warningsForIp(`${at}.hostAliases[${i}].ip`, ip ?? ''))
  return warnings
}

/** About a workload whose name its pods are named by. */
export function nameWarnings(name: string, what = 'Pod names and hostnames'): string[] {
  const problems = checkDns1123Label(name)
  if (problems.length === 0) return []
  const head = `metadata.name: this is used in ${what}, which can result in surprising behavior`
  return [`${head}; a DNS label is recommended: ${goList(problems)}`]
}

function nodeWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${path}.nodeSelector[${key}]: ${problem}`)
  }
  const affinity = spec.affinity?.nodeAffinity
  const terms = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  const required = `${path}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
  for (const [i, term] of terms.entries()) warnings.push(...nodeTermWarnings(term, `${required}[${i}]`, false))
  const preferred = `${path}.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution`
  for (const [i, { preference }] of (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    warnings.push(...nodeTermWarnings(preference, `${preferred}[${i}].preference`, true))
  }
  for (const [i, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${path}.topologySpreadConstraints[${i}]`
    const problem = deprecatedLabel(topologyKey)
    if (problem !== undefined) warnings.push(`${at}.topologyKey: ${topologyKey} is ${problem}`)
    if (labelSelector === undefined) warnings.push(`${at}.labelSelector: ${noSelector}`)
  }
  return warnings
}

/** Warnings about a node selector's term, also that of a volume. Preferences may name values that no label can have. */
export function nodeTermWarnings(term: coreV1.NodeSelectorTerm | undefined, path: string, checkValues: boolean): string[] {
  const warnings: string[] = []
  for (const [i, { key, values }] of (term?.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${at}.key: ${key} is ${problem}`)
    if (!checkValues) continue
    for (const [j, value] of (values ?? []).entries()) {
      for (const message of checkLabelValue(value)) warnings.push(`${at}.values[${j}]: ${value} is invalid, ${message}`)
    }
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

function repeated<F extends string>(list: readonly { readonly [K in F]?: string }[] | undefined, field: F, path: string): string[] {
  const warnings: string[] = []
  const seen = new Set<string>()
  for (const [i, item] of (list ?? []).entries()) {
    const value = item[field] ?? ''
    if (seen.has(value)) warnings.push(`${path}[${i}].${field}: duplicate ${field} ${goQuote(value)}`)
    seen.add(value)
  }
  return warnings
}

function profileWarnings(
  { name, securityContext }: coreV1.Container | coreV1.EphemeralContainer,
  spec: coreV1.PodSpec,
  annotations: Annotations,
  path: string,
  isTemplate: boolean,
): string[] {
  const warnings: string[] = []
  const seccompKey = `${seccompContainerPrefix}${name}`
  if (annotations[seccompKey] !== undefined && securityContext?.seccompProfile === undefined) {
    warnings.push(`${path}[${seccompKey}]: ${useSeccompField}`)
  }
  // A pod's annotations were turned into fields, and warned of, when it was made.
  const appArmorKey = `${appArmorPrefix}${name}`
  const annotation = annotations[appArmorKey]
  if (!isTemplate || annotation === undefined || securityContext?.appArmorProfile !== undefined) return warnings
  const forPod = spec.securityContext?.appArmorProfile
  if (forPod === undefined || !semanticEqual(forPod, appArmorFromAnnotation(annotation))) {
    warnings.push(appArmorWarning(`${path}[${appArmorKey}]`))
  }
  return warnings
}

// A variable may build on its namesake before it: that one is not lost.
function hiddenEnv(env: readonly coreV1.EnvVar[] | undefined, path: string): string[] {
  const warnings: string[] = []
  const names = new Set<string>()
  for (const [i, { name, value = '', valueFrom }] of (env ?? []).entries()) {
    if (names.has(name)) {
      const reference = `$(${name})`
      if (valueFrom === undefined && value !== reference && value.includes(reference)) continue
      warnings.push(`${path}.env[${i}]: hides previous definition of ${goQuote(name)}, which may be dropped when using apply`)
    }
    names.add(name)
  }
  return warnings
}

function portWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  const earlier = new Map<string, { path: string; hostPort: number; hostIP: string }[]>()
  for (const { container, path: of } of containersOf(spec, path)) {
    for (const [i, { name = '', hostPort = 0, containerPort, protocol, hostIP = '' }] of (container.ports ?? []).entries()) {
      const at = `${of}.ports[${i}]`
      if (hostIP !== '' && hostPort === 0) {
        const shown = `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`
        warnings.push(`${at}: hostIP set without hostPort: ${shown}`)
      }
      const key = `${containerPort}/${protocol}`
      const others = earlier.get(key) ?? []
      for (const other of others) {
        const relation = portRelation({ hostPort, hostIP }, other)
        if (relation !== undefined) warnings.push(`${at}: ${relation} port definition with ${other.path}`)
      }
      earlier.set(key, [...others, { path: at, hostPort, hostIP }])
    }
  }
  return warnings
}

type HostAddress = { hostPort: number; hostIP: string }

function portRelation(port: HostAddress, other: HostAddress): string | undefined {
  if (port.hostIP === other.hostIP && port.hostPort === other.hostPort) return 'duplicate'
  if (port.hostPort === 0 || other.hostPort === 0) return 'overlapping'
  const onlyOneIsAll = (port.hostIP === '') !== (other.hostIP === '')
  return port.hostPort === other.hostPort && onlyOneIsAll ? 'dangerously ambiguous' : undefined
}

function portNameWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  const names = new Map<string, string>()
  for (const { container, path: of } of containersOf(spec, path)) {
    for (const [i, { name }] of (container.ports ?? []).entries()) {
      if (!name) continue
      const at = `${of}.ports[${i}]`
      const first = names.get(name)
      if (first === undefined) names.set(name, at)
      else {
        const use = `services and probes that select ports by name will use ${first}`
        warnings.push(`${at}: duplicate port name ${goQuote(name)} with ${first}, ${use}`)
      }
    }
  }
  return warnings
}

const byteResources = ['memory', 'ephemeral-storage'] as const

function fractionalBytes(amounts: Readonly<Record<string, string>> | undefined, name: string, path: string): string[] {
  const amount = amounts?.[name]
  if (amount === undefined || !isQuantity(amount) || quantityMilliValue(amount) % 1000 === 0) return []
  return [`${path}[${name}]: fractional byte value ${goQuote(canonicalQuantity(amount))} is invalid, must be an integer`]
}
