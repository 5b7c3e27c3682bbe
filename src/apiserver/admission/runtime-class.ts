// RuntimeClass: a pod's runtime class must be there; its overhead and scheduling rules become the pod's.
import type { Toleration } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { RuntimeClass } from '#api/kinds/node/runtime-class'
import { compareQuantities, parseQuantity } from '#api/quantity'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

export function runtimeClass({ reader }: { reader: LocalReader }): AdmissionPlugin {
  const find = (request: AdmissionRequest, name: string): RuntimeClass => {
    const found = reader.get(RuntimeClass, '', name)
    if (found === undefined) throw admissionForbidden(request, `pod rejected: RuntimeClass "${name}" not found`)
    return found
  }
  return {
    name: 'RuntimeClass',
    handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === Pod.id && subresource === '',
    admit(request) {
      const { spec } = request.object as Pod
      if (!spec.runtimeClassName) return
      const { overhead, scheduling } = find(request, spec.runtimeClassName)
      if (overhead?.podFixed !== undefined) {
        if (spec.overhead !== undefined && !sameAmounts(spec.overhead, overhead.podFixed)) {
          const why = `pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`
          throw admissionForbidden(request, why)
        }
        spec.overhead = { ...overhead.podFixed }
      }
      if (scheduling === undefined) return
      spec.nodeSelector = mergedSelector(request, spec.nodeSelector, scheduling.nodeSelector)
      const more = (scheduling.tolerations ?? []).filter((t) => !spec.tolerations?.some((own) => sameToleration(own, t)))
      if (more.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...more]
    },
    validate(request) {
      const { spec } = request.object as Pod
      if (spec.runtimeClassName || spec.overhead === undefined || Object.keys(spec.overhead).length === 0) return
      throw admissionForbidden(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead')
    },
  }
}

function mergedSelector(
  request: AdmissionRequest,
  own: Record<string, string> | undefined,
  more: Record<string, string> | undefined,
): Record<string, string> {
  for (const [key, value] of Object.entries(more ?? {})) {
    if (own === undefined || !Object.hasOwn(own, key) || own[key] === value) continue
    throw admissionForbidden(request, 'pod rejected: conflict: runtimeClass.scheduling.nodeSelector conflicts with pod.spec.nodeSelector')
  }
  return { ...own, ...more }
}

function sameAmounts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && compareQuantities(parseQuantity(a[name]!), parseQuantity(b[name]!)) === 0)
}

function sameToleration(a: Toleration, b: Toleration): boolean {
  return (
    a.key === b.key &&
    a.operator === b.operator &&
    a.value === b.value &&
    a.effect === b.effect &&
    a.tolerationSeconds === b.tolerationSeconds
  )
}
