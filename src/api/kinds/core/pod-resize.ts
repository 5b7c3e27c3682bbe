// The resize subresource: CPU and memory of a pod's containers, and of the pod as a whole, while it runs (KEP-1287, KEP-5419).
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { isMirrorPod } from '../../pods.ts'
import { computeQosClass, isSidecar, qosClassOf } from '../../resources.ts'
import { forbidden, invalid, semanticEqual } from '../../validation/field-errors.ts'

const onlyCompute = 'only cpu and memory resources are mutable'

/** What a resize may change; everything else was taken from the old pod before, unless containers came, went or were renamed. */
export function validatePodResize(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  if (isMirrorPod(old)) return [forbidden('[]', 'static pods cannot be resized')]
  if (old.spec.os?.name === 'windows') return [forbidden('[]', 'windows pods cannot be resized')]
  const errors: FieldError[] = []
  if (qosClassOf(old) !== computeQosClass(pod)) {
    errors.push(invalid('spec', pod.status.qosClass ?? '', 'Pod QOS Class may not change as a result of resizing'))
  }
  const running = (old.status.containerStatuses ?? []).find(({ state }) => state?.running !== undefined)
  if (running !== undefined && running.resources === undefined) {
    errors.push(forbidden('spec', 'Pod running on node without support for resize'))
  }
  const spec: coreV1.PodSpec = { ...pod.spec }
  if (hasResources(old.spec.resources) || hasResources(pod.spec.resources)) errors.push(...takeBackPodLevel(spec, old.spec))
  if ((old.status.nodeAllocatableResourceClaimStatuses ?? []).length > 0) {
    errors.push(forbidden('spec', 'pods with node allocatable resource claims cannot be resized'))
  }
  const moved = validateOrder(pod.spec, old.spec)
  if (moved.length > 0) return [...errors, ...moved]
  for (const field of ['initContainers', 'containers'] as const) {
    for (const [i, before] of (old.spec[field] ?? []).entries()) {
      errors.push(...validateNothingRemoved(pod.spec[field]![i]!.resources, before.resources, `spec.${field}[${i}].resources`, 'resource'))
    }
  }
  spec.containers = spec.containers.map((container, i) => withOldCompute(container, old.spec.containers[i]!))
  for (const [i, before] of old.spec.containers.entries()) {
    if (!semanticEqual(spec.containers[i], before)) errors.push(forbidden('spec', onlyCompute))
  }
  if (spec.initContainers !== undefined) {
    spec.initContainers = takeBackInitContainers(spec.initContainers, old.spec.initContainers ?? [], errors)
  }
  if (errors.length > 0 || semanticEqual(spec, old.spec)) return errors
  return [forbidden('spec', onlyCompute)]
}

function hasResources(resources: coreV1.ResourceRequirements | undefined): boolean {
  return Object.keys(resources?.requests ?? {}).length + Object.keys(resources?.limits ?? {}).length > 0
}

function validateOrder(spec: coreV1.PodSpec, old: coreV1.PodSpec): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['containers', 'initContainers'] as const) {
    const [now, before] = [spec[field] ?? [], old[field] ?? []]
    if (now.length !== before.length) errors.push(forbidden(`spec.${field}`, `${field} may not be added or removed on resize`))
    else {
      for (const [i, { name }] of before.entries()) {
        if (now[i]!.name === name) continue
        errors.push(forbidden(`spec.${field}[${i}].name`, `${field} may not be renamed or reordered on resize`))
      }
    }
  }
  return errors
}

function takeBackPodLevel(spec: coreV1.PodSpec, old: coreV1.PodSpec): FieldError[] {
  const path = 'spec.resources'
  if (old.resources !== undefined && spec.resources === undefined) return [forbidden(path, 'pod-level resources cannot be removed')]
  const errors = old.resources === undefined ? [] : validateNothingRemoved(spec.resources!, old.resources, path, 'pod-level resource')
  const restored = computeOf(spec.resources!, old.resources ?? {})
  const isGone = old.resources === undefined && !hasResources(restored) && (restored.claims ?? []).length === 0
  if (isGone) delete spec.resources
  else spec.resources = restored
  if (!semanticEqual(spec.resources, old.resources)) errors.push(forbidden('spec', `${onlyCompute} at pod-level`))
  return errors
}

function validateNothingRemoved(
  resources: coreV1.ResourceRequirements,
  old: coreV1.ResourceRequirements,
  path: string,
  what: string,
): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['requests', 'limits'] as const) {
    const removed = Object.keys(old[field] ?? {}).some((name) => resources[field]?.[name] === undefined)
    if (removed) errors.push(forbidden(`${path}.${field}`, `${what} ${field} cannot be removed`))
  }
  return errors
}

function takeBackInitContainers(
  containers: readonly coreV1.Container[],
  old: readonly coreV1.Container[],
  errors: FieldError[],
): coreV1.Container[] {
  return containers.map((container, i) => {
    const path = `spec.initContainers[${i}]`
    const restored = withOldCompute(container, old[i]!)
    if (!semanticEqual(restored, old[i])) {
      errors.push(forbidden(path, 'only cpu and memory resources for init or sidecar containers are mutable'))
    }
    if (isSidecar(container) || semanticEqual(container, old[i])) return restored
    for (const { restartPolicy } of container.resizePolicy ?? []) {
      if (restartPolicy !== 'RestartContainer') continue
      errors.push(forbidden(path, 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized'))
    }
    return restored
  })
}

function withOldCompute(container: coreV1.Container, { resources: old }: coreV1.Container): coreV1.Container {
  // Compat: Kubernetes leaves claims out here, so that a container with claims is never resized.
  const { claims: _, ...resources } = computeOf(container.resources, old)
  return { ...container, resources }
}

/** `resources` with the CPU and memory of `old`. */
function computeOf(resources: coreV1.ResourceRequirements, old: coreV1.ResourceRequirements): coreV1.ResourceRequirements {
  const out: coreV1.ResourceRequirements = { ...resources }
  for (const field of ['requests', 'limits'] as const) {
    const amounts: Record<string, string> = { ...resources[field] }
    for (const name of ['cpu', 'memory']) {
      const before = old[field]?.[name]
      if (before === undefined) delete amounts[name]
      else amounts[name] = before
    }
    if (Object.keys(amounts).length === 0) delete out[field]
    else out[field] = amounts
  }
  return out
}
