// PodResizeValidator: a pod is resized to what its node can have at all, and only on nodes that resize pods.
import { ApiError } from '#api/errors'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { compareQuantities, parseQuantity, quantityMilliValue, quantityValue } from '#api/quantity'
import { podRequests } from '#api/resources'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

export function podResizeValidator({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'PodResizeValidator',
    handles: (operation, kind, subresource) => operation === 'UPDATE' && kind.id === Pod.id && subresource === 'resize',
    validate(request) {
      const pod = request.object as Pod
      const name = pod.spec.nodeName
      // The generation grows with each change of the spec.
      if (!name || pod.metadata.generation === request.old!.metadata.generation) return
      const node = reader.get(Node, '', name)
      if (node === undefined) throw admissionForbidden(request, `node "${name}" not found`)
      const os = node.metadata.labels?.['kubernetes.io/os'] ?? 'linux'
      if (os !== 'linux') {
        refuse(request, 'UnsupportedPlatform', `pod resize is only supported on linux nodes, node "${name}" is "${os}"`)
      }
      const lacking = beyond(pod, node)
      if (lacking.length > 0) refuse(request, 'NodeCapacity', `node didn't have enough allocatable resources: ${lacking.join('; ')}`)
    },
  }
}

function beyond(pod: Pod, { status }: Node): string[] {
  const requests = podRequests(pod)
  const lacking: string[] = []
  for (const [name, show] of [
    ['cpu', quantityMilliValue],
    ['memory', quantityValue],
  ] as const) {
    const allocatable = parseQuantity(status?.allocatable?.[name] ?? '0')
    const requested = requests[name]
    if (requested === undefined || compareQuantities(requested, allocatable) <= 0) continue
    lacking.push(`${name}, requested: ${show(requested)}, allocatable: ${show(allocatable)}`)
  }
  return lacking
}

function refuse(request: AdmissionRequest, reason: string, message: string): never {
  const error = admissionForbidden(request, message)
  throw new ApiError({ ...error.status, details: { ...error.status.details, causes: [{ reason }] } })
}
