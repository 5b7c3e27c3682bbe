// The checks of a pod spec, in pods and in the templates of workloads, in Kubernetes' order and words.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { containersOf, mirrorPodAnnotation } from '../../pods.ts'
import { canonicalQuantity, compareQuantities, formatQuantity, isQuantity, parseQuantity, type Quantity } from '../../quantity.ts'
import { containerLimits, containerRequests } from '../../resources.ts'
import { duplicate, forbidden, invalid, invalidEach, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { validateLegacyIp } from '../../validation/ip.ts'
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkDns1123SubdomainWithUnderscore,
  nameIsDnsSubdomain,
  rangeError,
} from '../../validation/names.ts'
import { validateAnnotations, validateLabels } from '../../validation/object-meta.ts'
import { byteLength } from '../../validation/text.ts'
import { validatePodAnnotations, validateProfileAnnotations } from './pod-annotations.ts'
import {
  type ContainerContext,
  validateContainers,
  validateEphemeralContainers,
  validateFileKeyVolumes,
  validateImageWhitespace,
  validateInitContainers,
} from './pod-containers.ts'
import {
  validateAffinity,
  validateReadinessGates,
  validateSchedulingGates,
  validateTolerations,
  validateTopologySpread,
} from './pod-scheduling.ts'
import { validateHostProcess, validateOs, validatePodSecurityContext } from './pod-security.ts'
import { type VolumeContext, validateVolumes } from './pod-volumes.ts'
import { isHugePagesName } from './resource-names.ts'
import { validateContainerResources, validatePodResources } from './resource-validation.ts'

const int32Max = 2 ** 31 - 1

/** A pod spec. `context` says whether it is a pod's own, and the pod's name. */
export function validatePodSpec(spec: coreV1.PodSpec, path: string, context: VolumeContext): FieldError[] {
  const errors: FieldError[] = []
  const volumes = validateVolumes(spec.volumes, `${path}.volumes`, context)
  const containers: ContainerContext = {
    spec,
    volumes: volumes.byName,
    claims: new Set((spec.resourceClaims ?? []).map(({ name }) => name).filter(Boolean)),
    hostUsers: spec.hostUsers !== false,
  }
  errors.push(...volumes.errors)
  errors.push(...validatePodResourceClaims(spec.resourceClaims, `${path}.resourceClaims`, context))
  errors.push(...validateContainers(containers, `${path}.containers`))
  errors.push(...validateInitContainers(containers, `${path}.initContainers`))
  errors.push(...validateEphemeralContainers(containers, `${path}.ephemeralContainers`))
  if (spec.resources !== undefined) errors.push(...validatePodLevelResources(spec, spec.resources, `${path}.resources`))
  errors.push(...validateHostPorts(spec, path, context.isPod))
  errors.push(...oneOf(spec.restartPolicy, ['Always', 'OnFailure', 'Never'], `${path}.restartPolicy`))
  errors.push(...oneOf(spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'], `${path}.dnsPolicy`))
  errors.push(...validateLabels(spec.nodeSelector, `${path}.nodeSelector`))
  errors.push(...validatePodSecurityContext(spec, `${path}.securityContext`))
  errors.push(...validateAffinity(spec.affinity, `${path}.affinity`))
  errors.push(...validateDnsConfig(spec, `${path}.dnsConfig`))
  errors.push(...validateReadinessGates(spec.readinessGates, `${path}.readinessGates`))
  errors.push(...validateSchedulingGates(spec.schedulingGates, `${path}.schedulingGates`))
  errors.push(...validateTopologySpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`))
  errors.push(...validateHostProcess(spec, path))
  errors.push(...validateHostUsers(spec, path))
  errors.push(...validateHostnameOverride(spec, path))
  errors.push(...validateNames(spec, path))
  errors.push(...validateOs(spec, path))
  return [...errors, ...validateFileKeyVolumes(spec, path)]
}

function oneOf(value: string | undefined, supported: readonly string[], path: string): FieldError[] {
  if (!value) return [required(path)]
  return supported.includes(value) ? [] : [notSupported(path, value, supported)]
}

function validateNames(spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const subdomain = (field: 'serviceAccountName' | 'nodeName' | 'priorityClassName'): void => {
    const name = spec[field]
    if (name) errors.push(...invalidEach(`${path}.${field}`, name, nameIsDnsSubdomain(name, false)))
  }
  subdomain('serviceAccountName')
  subdomain('nodeName')
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > int32Max)) {
    errors.push(invalid(`${path}.activeDeadlineSeconds`, deadline, rangeError(1, int32Max)))
  }
  if (spec.hostname) errors.push(...invalidEach(`${path}.hostname`, spec.hostname, checkDns1123Label(spec.hostname)))
  if (spec.subdomain) errors.push(...invalidEach(`${path}.subdomain`, spec.subdomain, checkDns1123Label(spec.subdomain)))
  errors.push(...validateTolerations(spec.tolerations, `${path}.tolerations`))
  errors.push(...validateHostAliases(spec.hostAliases, `${path}.hostAliases`))
  subdomain('priorityClassName')
  if (spec.runtimeClassName !== undefined) {
    errors.push(...invalidEach(`${path}.runtimeClassName`, spec.runtimeClassName, nameIsDnsSubdomain(spec.runtimeClassName, false)))
  }
  if (spec.preemptionPolicy !== undefined) {
    errors.push(...oneOf(spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'], `${path}.preemptionPolicy`))
  }
  if (spec.overhead !== undefined) errors.push(...validateContainerResources({ limits: spec.overhead }, new Set(), `${path}.overhead`))
  return errors
}

const hostnameBytesMax = 64

// KEP-4762: the pod's whole hostname, in the place of hostname and subdomain.
function validateHostnameOverride(spec: coreV1.PodSpec, path: string): FieldError[] {
  const name = spec.hostnameOverride
  if (name === undefined) return []
  const at = `${path}.hostnameOverride`
  const errors: FieldError[] = []
  if (spec.setHostnameAsFQDN) errors.push(forbidden(at, 'may not be specified when setHostnameAsFQDN is true'))
  if (spec.hostNetwork) errors.push(forbidden(at, 'may not be specified when hostNetwork is true'))
  if (byteLength(name) > hostnameBytesMax) errors.push(tooLong(at, hostnameBytesMax))
  return [...errors, ...invalidEach(at, name, checkDns1123Subdomain(name))]
}

function validateHostAliases(aliases: readonly coreV1.HostAlias[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, alias] of (aliases ?? []).entries()) {
    errors.push(...validateLegacyIp(`${path}[${i}].ip`, alias.ip ?? ''))
    for (const [j, name] of (alias.hostnames ?? []).entries()) {
      errors.push(...invalidEach(`${path}[${i}].hostnames[${j}]`, name, checkDns1123Subdomain(name)))
    }
  }
  return errors
}

const nameserversMax = 3
const searchesMax = 32
const searchCharactersMax = 2048

function validateDnsConfig({ dnsConfig, dnsPolicy }: coreV1.PodSpec, path: string): FieldError[] {
  if (dnsPolicy === 'None') {
    if (dnsConfig === undefined) return [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')]
    if ((dnsConfig.nameservers ?? []).length === 0) {
      return [required(`${path}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')]
    }
  }
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {}
  const errors: FieldError[] = []
  if (nameservers.length > nameserversMax) {
    errors.push(invalid(`${path}.nameservers`, nameservers, `must not have more than ${nameserversMax} nameservers`))
  }
  for (const [i, server] of nameservers.entries()) errors.push(...validateLegacyIp(`${path}.nameservers[${i}]`, server))
  if (searches.length > searchesMax) {
    errors.push(invalid(`${path}.searches`, searches, `must not have more than ${searchesMax} search paths`))
  }
  if (byteLength(searches.join(' ')) > searchCharactersMax) {
    const detail = `must not have more than ${searchCharactersMax} characters (including spaces) in the search list`
    errors.push(invalid(`${path}.searches`, searches, detail))
  }
  for (const [i, search] of searches.entries()) {
    if (search === '.') continue
    const name = search.replace(/\.$/, '')
    errors.push(...invalidEach(`${path}.searches[${i}]`, name, checkDns1123SubdomainWithUnderscore(name)))
  }
  for (const [i, option] of options.entries()) if (!option.name) errors.push(required(`${path}.options[${i}]`, 'must not be empty'))
  return errors
}

function validateHostPorts(spec: coreV1.PodSpec, path: string, isPod: boolean): FieldError[] {
  if (!spec.hostNetwork) return []
  const errors: FieldError[] = []
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [j, { hostPort = 0, containerPort }] of (container.ports ?? []).entries()) {
      if ((!isPod && hostPort === 0) || hostPort === containerPort) continue
      errors.push(
        invalid(`${path}.containers[${i}].ports[${j}].hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true'),
      )
    }
  }
  return errors
}

function validateHostUsers(spec: coreV1.PodSpec, path: string): FieldError[] {
  if (spec.hostUsers !== false) return []
  const detail = 'when `hostUsers` is false'
  const errors: FieldError[] = []
  if (spec.hostNetwork) errors.push(forbidden(`${path}.hostNetwork`, detail))
  if (spec.hostPID) errors.push(forbidden(`${path}.HostPID`, detail))
  if (spec.hostIPC) errors.push(forbidden(`${path}.HostIPC`, detail))
  for (const { container, path: at } of containersOf(spec, path)) {
    if ((container.volumeDevices ?? []).length > 0) errors.push(forbidden(`${at}.volumeDevices`, detail))
  }
  return errors
}

function validatePodResourceClaims(
  claims: readonly coreV1.PodResourceClaim[] | undefined,
  path: string,
  { isMirror }: VolumeContext,
): FieldError[] {
  if (isMirror) return (claims ?? []).map(() => forbidden('[]', 'static pods do not support resource claims'))
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, claim] of (claims ?? []).entries()) {
    const at = `${path}[${i}]`
    const { name = '', resourceClaimName, resourceClaimTemplateName } = claim
    const shown = { Name: name, ResourceClaimName: resourceClaimName ?? null, ResourceClaimTemplateName: resourceClaimTemplateName ?? null }
    if (name === '') errors.push(required(`${at}.name`))
    else if (names.has(name)) errors.push(duplicate(`${at}.name`, name))
    else errors.push(...invalidEach(`${at}.name`, name, checkDns1123Label(name)))
    names.add(name)
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      errors.push(invalid(at, shown, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'))
    }
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      errors.push(invalid(at, shown, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'))
    }
    for (const field of ['resourceClaimName', 'resourceClaimTemplateName'] as const) {
      const reference = claim[field]
      if (reference !== undefined) errors.push(...invalidEach(`${at}.${field}`, reference, nameIsDnsSubdomain(reference, false)))
    }
  }
  return errors
}

// KEP-2837: the pod as a whole gets no less than its containers ask for together, and none of them more than the pod.
function validatePodLevelResources(spec: coreV1.PodSpec, resources: coreV1.ResourceRequirements, path: string): FieldError[] {
  if (spec.os?.name === 'windows') return [forbidden(path, 'may not be set for a windows pod')]
  const errors: FieldError[] = []
  if (resources.claims !== undefined) errors.push(forbidden(`${path}.claims`, 'claims may not be set for Resources at pod-level'))
  errors.push(...validatePodResources(resources, path))
  if (!allQuantities(spec)) return errors
  const atLeast = (field: 'requests' | 'limits', name: string, own: string, amount: Quantity): void => {
    if (compareQuantities(amount, parseQuantity(own)) <= 0) return
    const detail = `must be greater than or equal to aggregate container ${field} of ${formatQuantity(amount)}`
    errors.push(invalid(`${path}.${field}[${name}]`, canonicalQuantity(own), detail))
  }
  for (const [name, amount] of Object.entries(containerRequests({ spec }))) {
    const own = resources.requests?.[name]
    if (own !== undefined) atLeast('requests', name, own, amount)
  }
  for (const [name, amount] of Object.entries(containerLimits({ spec }))) {
    const own = resources.limits?.[name]
    if (own !== undefined && isHugePagesName(name)) atLeast('limits', name, own, amount)
  }
  for (const [i, container] of spec.containers.entries()) {
    for (const [name, limit] of Object.entries(container.resources.limits ?? {})) {
      const own = resources.limits?.[name]
      if (own === undefined || compareQuantities(parseQuantity(limit), parseQuantity(own)) <= 0) continue
      const detail = `must be less than or equal to pod limits of ${canonicalQuantity(own)}`
      errors.push(invalid(`${path}.containers[${i}][${name}].limits`, canonicalQuantity(limit), detail))
    }
  }
  return errors
}

function allQuantities(spec: coreV1.PodSpec): boolean {
  const all = [spec.resources ?? {}, ...spec.containers.map((c) => c.resources), ...(spec.initContainers ?? []).map((c) => c.resources)]
  return all.every(({ limits, requests }) => [...Object.values(limits ?? {}), ...Object.values(requests ?? {})].every(isQuantity))
}

/** What holds for a pod whenever it is written; metadata itself is the registry's. */
export function validatePod(pod: coreV1.Pod): FieldError[] {
  const { spec } = pod
  const errors = validatePodAnnotations(pod.metadata.annotations, spec, 'metadata.annotations')
  const isMirror = pod.metadata.annotations?.[mirrorPodAnnotation] !== undefined
  errors.push(...validatePodSpec(spec, 'spec', { podName: pod.metadata.name, isPod: true, isMirror }))
  if (!spec.serviceAccountName) errors.push(...validateNoTokens(spec))
  for (const [i, container] of (spec.containers ?? []).entries())
    errors.push(...validateImageWhitespace(container, `spec.containers[${i}]`))
  for (const [i, container] of (spec.initContainers ?? []).entries()) {
    errors.push(...validateImageWhitespace(container, `spec.initContainers[${i}]`))
  }
  return errors
}

function validateNoTokens(spec: coreV1.PodSpec): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    for (const [j, source] of (volume.projected?.sources ?? []).entries()) {
      if (source.serviceAccountToken === undefined) continue
      const at = `spec.volumes[${i}].projected.sources[${j}].serviceAccountToken`
      errors.push(forbidden(at, 'must not be specified when serviceAccountName is not set'))
    }
  }
  return errors
}

/** What holds for a new pod only. */
export function validatePodCreate({ metadata, spec }: coreV1.Pod): FieldError[] {
  const errors: FieldError[] = []
  if ((spec.ephemeralContainers ?? []).length > 0) errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'))
  if (spec.nodeName && (spec.schedulingGates ?? []).length > 0) {
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'))
  }
  return [...errors, ...validateProfileAnnotations(metadata.annotations, spec, 'spec')]
}

/** A pod template in a workload. `path` is that of the template, e.g. `spec.template`. */
export function validatePodTemplateSpec(template: coreV1.PodTemplateSpec, path: string): FieldError[] {
  const { metadata, spec } = template
  // Compat: Kubernetes reports a template's labels and annotations without the `metadata` between.
  const errors = validateLabels(metadata?.labels, `${path}.labels`)
  errors.push(...validateAnnotations(metadata?.annotations, `${path}.annotations`))
  errors.push(...validatePodAnnotations(metadata?.annotations, spec, `${path}.annotations`))
  errors.push(...validatePodSpec(spec, `${path}.spec`, { isPod: false, isMirror: false }))
  errors.push(...validateProfileAnnotations(metadata?.annotations, spec, `${path}.spec`))
  if ((spec.ephemeralContainers ?? []).length > 0) {
    errors.push(forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'))
  }
  return errors
}
