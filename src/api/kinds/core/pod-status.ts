// The status of a pod: written by its node's agent and the scheduler, within what a pod can go through.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import {
  duplicate,
  forbidden,
  immutable,
  internalFieldError,
  invalid,
  invalidEach,
  notSupported,
  required,
  tooLong,
} from '../../validation/field-errors.ts'
import { validateLegacyIp } from '../../validation/ip.ts'
import { checkDns1123Label, checkId, checkLabelKey, nameIsDnsSubdomain } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { validateAnnotationUpdates } from './pod-update.ts'

const containerLists = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'] as const
const notNegative = 'must be a non-negative integer'

export function validatePodStatusUpdate(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const { status, spec } = pod
  const errors = validateAnnotationUpdates(pod, old)
  errors.push(...validateConditions(status.conditions))
  if ((spec.nodeName ?? '') !== (old.spec.nodeName ?? '')) errors.push(forbidden('status.nodeName', 'may not be changed directly'))
  errors.push(...validateNomination(status.nominatedNodeName, old))
  if ((status.observedGeneration ?? 0) < 0) errors.push(invalid('status.observedGeneration', status.observedGeneration, notNegative))
  errors.push(...immutable('status.qosClass', status.qosClass ?? '', old.status.qosClass ?? ''))
  errors.push(...validateAllTransitions(status, old))
  errors.push(...validateClaimStatuses(status.resourceClaimStatuses, spec))
  if (status.extendedResourceClaimStatus !== undefined) {
    errors.push(...validateExtendedClaim(status.extendedResourceClaimStatus, spec, 'status.extendedResourceClaimStatus'))
  }
  errors.push(...validateIps(status.podIPs, old.status.podIPs, 'status.podIPs'))
  errors.push(...validateHostIps(status, old.status.hostIPs))
  for (const list of containerLists) errors.push(...validateUsers(status[list], spec.os, `status.${list}`))
  errors.push(...validateAllocated(status.containerStatuses, spec.containers, 'status.containerStatuses'))
  errors.push(...validateAllocated(status.initContainerStatuses, spec.initContainers ?? [], 'status.initContainerStatuses'))
  for (const [i, { allocatedResourcesStatus }] of (status.ephemeralContainerStatuses ?? []).entries()) {
    if ((allocatedResourcesStatus ?? []).length === 0) continue
    const path = `status.ephemeralContainerStatuses[${i}].allocatedResourcesStatus`
    errors.push(forbidden(path, 'must not be specified in container status'))
  }
  return errors
}

const systemConditions = ['PodScheduled', 'Ready', 'Initialized']

function validateConditions(conditions: readonly coreV1.PodCondition[] | undefined): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { type, observedGeneration = 0 }] of (conditions ?? []).entries()) {
    const path = `status.conditions[${i}]`
    if (observedGeneration < 0) errors.push(invalid(`${path}.observedGeneration`, observedGeneration, notNegative))
    if (!systemConditions.includes(type)) errors.push(...invalidEach(`${path}.Type`, type, checkLabelKey(type)))
  }
  return errors
}

// KEP-5278: the name of the node a pod may get is of no use once it is bound.
function validateNomination(name: string | undefined, old: coreV1.Pod): FieldError[] {
  if (!name || name === old.status.nominatedNodeName) return []
  const path = 'status.nominatedNodeName'
  const errors = invalidEach(path, name, nameIsDnsSubdomain(name, false))
  if (old.spec.nodeName) errors.push(forbidden(path, 'may not be set on pods that are already bound to a node'))
  return errors
}

// A container that will not be restarted stays terminated.
function validateAllTransitions(status: coreV1.PodStatus, { spec, status: old }: coreV1.Pod): FieldError[] {
  const restartsAll = [...(spec.initContainers ?? []), ...spec.containers].some(({ restartPolicyRules }) =>
    restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers'),
  )
  const errors: FieldError[] = []
  for (const list of containerLists) {
    if (restartsAll && list !== 'ephemeralContainerStatuses') continue
    const containers = list === 'containerStatuses' ? spec.containers : list === 'initContainerStatuses' ? (spec.initContainers ?? []) : []
    errors.push(...validateTransitions(status[list], old[list], `status.${list}`, containers, spec.restartPolicy))
  }
  return errors
}

function validateTransitions(
  statuses: readonly coreV1.ContainerStatus[] = [],
  old: readonly coreV1.ContainerStatus[] = [],
  path: string,
  containers: readonly coreV1.Container[],
  podPolicy: string,
): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, before] of old.entries()) {
    const terminated = before.state?.terminated
    if (terminated === undefined) continue
    if (!statuses.some(({ name, state }) => name === before.name && state?.terminated === undefined)) continue
    const container = containers.find(({ name }) => name === before.name)
    if (container !== undefined && mayRestart(container, podPolicy, terminated.exitCode)) continue
    errors.push(forbidden(`${path}[${i}].state`, 'may not be transitioned to non-terminated state'))
  }
  return errors
}

function mayRestart({ restartPolicy, restartPolicyRules }: coreV1.Container, podPolicy: string, exitCode: number): boolean {
  if (restartPolicy !== undefined) {
    const matches = ({ exitCodes }: coreV1.ContainerRestartRule): boolean =>
      exitCodes !== undefined && (exitCodes.values ?? []).includes(exitCode) === (exitCodes.operator === 'In')
    if (restartPolicyRules?.some(matches)) return true
  }
  const policy = restartPolicy ?? podPolicy
  return policy === 'OnFailure' ? exitCode !== 0 : policy !== 'Never'
}

function validateClaimStatuses(statuses: readonly coreV1.PodResourceClaimStatus[] | undefined, spec: coreV1.PodSpec): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { name, resourceClaimName }] of (statuses ?? []).entries()) {
    const at = `status.resourceClaimStatuses[${i}]`
    if (!(spec.resourceClaims ?? []).some((claim) => claim.name === name)) {
      errors.push(invalid(`${at}.name`, name, 'must match the name of an entry in `spec.resourceClaims`'))
    }
    if (seen.has(name)) errors.push(duplicate(`${at}.name`, name))
    seen.add(name)
    if (resourceClaimName === undefined) continue
    errors.push(...invalidEach(`${at}.resourceClaimName`, resourceClaimName, nameIsDnsSubdomain(resourceClaimName, false)))
  }
  return errors
}

// KEP-5004: which request of a claim made for the pod stands for which extended resource of which container.
function validateExtendedClaim(status: coreV1.PodExtendedResourceClaimStatus, spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const mappings = status.requestMappings ?? []
  if (mappings.length === 0) errors.push(required(`${path}.requestMappings`, 'at least one request mapping is required'))
  const seen = new Set<string>()
  for (const [i, { containerName, resourceName, requestName }] of mappings.entries()) {
    const at = `${path}.requestMappings[${i}]`
    const container = [...spec.containers, ...(spec.initContainers ?? [])].find(({ name }) => name === containerName)
    if (container === undefined) {
      const detail = 'must match the name of an entry in spec.initContainers.name or spec.containers.name'
      errors.push(invalid(`${at}.containerName`, containerName, detail))
    } else if (!Object.hasOwn(container.resources.requests ?? {}, resourceName)) {
      const detail =
        'must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests'
      errors.push(invalid(`${at}.resourceName`, resourceName, detail))
    }
    errors.push(...invalidEach(`${path}.requestName`, requestName, checkDns1123Label(requestName)))
    const key = JSON.stringify([containerName, resourceName, requestName])
    if (seen.has(key)) {
      errors.push(duplicate(`${at}.containerName`, containerName), duplicate(`${at}.resourceName`, resourceName))
      errors.push(duplicate(`${at}.requestName`, requestName))
    }
    seen.add(key)
  }
  const name = status.resourceClaimName
  if (!name) return [...errors, required(`${path}.resourceClaimName`)]
  return [...errors, ...invalidEach(`${path}.resourceClaimName`, name, nameIsDnsSubdomain(name, false))]
}

type HasIp = { ip: string }

function validateIps(ips: readonly HasIp[] = [], old: readonly HasIp[] | undefined, path: string): FieldError[] {
  const known = (old ?? []).map(({ ip }) => ip)
  const errors = ips.flatMap(({ ip }, i) => validateLegacyIp(`${path}[${i}]`, ip, known))
  if (ips.length < 2) return errors
  if (errors.length > 0) errors.push(internalFieldError(path, 'failed to check for dual stack with error:invalid ip'))
  const families = new Set(ips.map(({ ip }) => ip.includes(':')))
  if (families.size < 2 || ips.length > 2) {
    // Compat: shown as Kubernetes' internal structures.
    const shown = ips.map(({ ip }) => ({ IP: ip }))
    errors.push(invalid(path, shown, 'may specify no more than one IP for each IP family'))
  }
  return errors
}

function validateHostIps({ hostIP, hostIPs = [] }: coreV1.PodStatus, old: readonly HasIp[] | undefined): FieldError[] {
  if (hostIPs.length === 0) return []
  const first = hostIPs[0]!.ip
  const errors = (hostIP ?? '') === first ? [] : [invalid('status.hostIPs[0].ip', first, 'must be equal to `hostIP`')]
  return [...errors, ...validateIps(hostIPs, old, 'status.hostIPs')]
}

function validateUsers(statuses: readonly coreV1.ContainerStatus[] | undefined, os: coreV1.PodOS | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { user }] of (statuses ?? []).entries()) {
    const linux = user?.linux
    if (linux === undefined) continue
    const at = `${path}[${i}].user.linux`
    if (os?.name === 'windows') errors.push(forbidden(at, 'cannot be set for a windows pod'))
    if (os !== undefined && os.name !== 'linux') continue
    errors.push(...invalidEach(`${at}.uid`, linux.uid, checkId(linux.uid)))
    errors.push(...invalidEach(`${at}.gid`, linux.gid, checkId(linux.gid)))
    for (const [j, gid] of (linux.supplementalGroups ?? []).entries()) {
      errors.push(...invalidEach(`${at}.supplementalGroups[${j}]`, gid, checkId(gid)))
    }
  }
  return errors
}

const healths = ['Healthy', 'Unhealthy', 'Unknown']
const healthMessageBytesMax = 1024

// KEP-4680: how the devices fare that a container has.
function validateAllocated(
  statuses: readonly coreV1.ContainerStatus[] | undefined,
  containers: readonly coreV1.Container[],
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { name, allocatedResourcesStatus }] of (statuses ?? []).entries()) {
    const container = containers.find((other) => other.name === name)
    for (const [j, allocated] of (allocatedResourcesStatus ?? []).entries()) {
      const at = `${path}[${i}].allocatedResourcesStatus[${j}]`
      if (container !== undefined) errors.push(...validateAllocatedName(allocated.name, container, `${at}.name`))
      const ids = new Set<string>()
      for (const [k, { resourceID, health, message }] of (allocated.resources ?? []).entries()) {
        const of = `${at}.resources[${k}]`
        if (!healths.includes(health ?? '')) errors.push(notSupported(`${of}.health`, health ?? '', healths))
        if (message === '') errors.push(required(`${of}.message`, 'must be non-empty if specified'))
        else if (byteLength(message ?? '') > healthMessageBytesMax) errors.push(tooLong(`${of}.message`, healthMessageBytesMax))
        if (ids.has(resourceID)) errors.push(duplicate(`${of}.resourceID`, resourceID))
        ids.add(resourceID)
      }
    }
  }
  return errors
}

function validateAllocatedName(name: string, { resources }: coreV1.Container, path: string): FieldError[] {
  if (!name.startsWith('claim:')) {
    if (Object.hasOwn(resources.requests ?? {}, name)) return []
    return [invalid(path, name, "must match one of the container's resource requests")]
  }
  const known = (resources.claims ?? []).some((claim) => name === `claim:${claim.name}${claim.request ? `/${claim.request}` : ''}`)
  if (known) return []
  const detail =
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
  return [invalid(path, name, detail)]
}
