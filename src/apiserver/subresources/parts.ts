// Subresources that are a part of the object itself: what they may change is taken, the rest stays.
import type { Container } from '#api/generated/core-v1'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { type Clock, timestamp } from '#base/clock'
import { cloneJson } from '../registry/written.ts'
import type { PartHandler } from './subresource.ts'

/** Turns `object` into a copy of `old`, but for what makes it a request: resourceVersion, uid and managedFields. */
function revert(object: KubeObject, old: KubeObject): void {
  const { resourceVersion, uid, managedFields, name } = object.metadata
  const target = object as unknown as Record<string, unknown>
  for (const key of Object.keys(target)) delete target[key]
  Object.assign(target, cloneJson(old))
  object.metadata.resourceVersion = resourceVersion
  object.metadata.name = name
  if (uid) object.metadata.uid = uid
  if (managedFields === undefined) delete object.metadata.managedFields
  else object.metadata.managedFields = managedFields
}

const ephemeralContainers: PartHandler = {
  type: 'part',
  group: '',
  resource: Pod.resource,
  subresource: 'ephemeralcontainers',
  take(object, old) {
    const pod = object as Pod
    const wanted = pod.spec.ephemeralContainers
    revert(pod, old)
    if (wanted === undefined) delete pod.spec.ephemeralContainers
    else pod.spec.ephemeralContainers = wanted
  },
}

const resize: PartHandler = {
  type: 'part',
  group: '',
  resource: Pod.resource,
  subresource: 'resize',
  take(object, old) {
    const pod = object as Pod
    const { containers, initContainers, resources } = pod.spec
    const before = (old as Pod).spec
    const sameCounts = containers.length === before.containers.length && countOf(initContainers) === countOf(before.initContainers)
    // Containers that came or went stand as they are, for validation to refuse.
    if (!sameCounts) return
    revert(pod, old)
    pod.spec.containers = withResources(pod.spec.containers, containers)
    if (initContainers !== undefined) pod.spec.initContainers = withResources(pod.spec.initContainers ?? [], initContainers)
    if (resources === undefined) delete pod.spec.resources
    else pod.spec.resources = resources
  },
}

function countOf(list: readonly unknown[] | undefined): number {
  return list?.length ?? 0
}

/** The containers with the wanted resources and resize policies; the wanted ones whole when they have other names or another order. */
function withResources(containers: Container[], wanted: Container[]): Container[] {
  if (containers.some(({ name }, i) => name !== wanted[i]?.name)) return wanted
  return containers.map((container, i) => {
    const { resources, resizePolicy } = wanted[i]!
    const resized: Container = { ...container, resources }
    if (resizePolicy === undefined) delete resized.resizePolicy
    else resized.resizePolicy = resizePolicy
    return resized
  })
}

const finalize: PartHandler = {
  type: 'part',
  group: '',
  resource: Namespace.resource,
  subresource: 'finalize',
  take(object, old) {
    ;(object as Namespace).status = cloneJson((old as Namespace).status)
  },
}

function approval(clock: Clock): PartHandler {
  return {
    type: 'part',
    group: CertificateSigningRequest.group,
    resource: CertificateSigningRequest.resource,
    subresource: 'approval',
    take(object, old) {
      const request = object as CertificateSigningRequest
      const conditions = request.status?.conditions
      revert(request, old)
      const now = timestamp(clock.now())
      request.status = { ...request.status }
      if (conditions === undefined) delete request.status.conditions
      else
        request.status.conditions = conditions.map((c) => ({
          ...c,
          lastUpdateTime: c.lastUpdateTime ?? now,
          lastTransitionTime: c.lastTransitionTime ?? now,
        }))
    },
  }
}

export function partHandlers(clock: Clock): readonly PartHandler[] {
  return [ephemeralContainers, resize, finalize, approval(clock)]
}
