// RuntimeClass: a pod's runtime class must be there; its overhead and scheduling rules become the pod's.
import type { Toleration } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { RuntimeClass } from '#api/kinds/node/runtime-class'
import { compareQuantities, parseQuantity } from '#api/quantity'
import { semanticEqual } from '#api/validation/field-errors'
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
      if (overhead !== undefined) {
        if (Object.keys(spec.overhead ?? {}).length > 0) checkOverhead(request, spec.overhead, overhead.podFixed)
        if (overhead.podFixed === undefined) delete spec.overhead
        else spec.overhead = { ...overhead.podFixed }
      }
      if (scheduling === undefined) return
      const selector = mergedSelector(request, spec.nodeSelector, scheduling.nodeSelector)
      if (selector !== undefined) spec.nodeSelector = selector
      const tolerations = mergedTolerations([...(spec.tolerations ?? []), ...(scheduling.tolerations ?? [])])
      if (tolerations.length > 0) spec.tolerations = tolerations
    },
    validate(request) {
      const { spec } = request.object as Pod
      const overhead = spec.runtimeClassName ? find(request, spec.runtimeClassName).overhead : undefined
      if (overhead !== undefined) checkOverhead(request, spec.overhead, overhead.podFixed)
      else if (spec.overhead !== undefined) {
        throw admissionForbidden(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead')
      }
    },
  }
}

type Amounts = Readonly<Record<string, string>>

function checkOverhead(request: AdmissionRequest, own: Amounts | undefined, fixed: Amounts | undefined): void {
  if (sameAmounts(own ?? {}, fixed ?? {})) return
  throw admissionForbidden(request, `pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`)
}

function mergedSelector(
  request: AdmissionRequest,
  own: Amounts | undefined,
  more: Amounts | undefined,
): Record<string, string> | undefined {
  for (const [key, value] of Object.entries(more ?? {})) {
    if (own === undefined || !Object.hasOwn(own, key) || own[key] === value) continue
    const theirs = `pod.spec.nodeSelector[${key}] = ${own[key]}`
    throw admissionForbidden(request, `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; ${theirs}`)
  }
  return own === undefined && more === undefined ? undefined : { ...own, ...more }
}

/** Without those that another, of equal ones the first, tolerates too. */
function mergedTolerations(all: readonly Toleration[]): Toleration[] {
  const merged: Toleration[] = []
  for (const [i, toleration] of all.entries()) {
    if (merged.some((wider) => includes(wider, toleration))) continue
    const later = all.slice(i + 1).some((wider) => !semanticEqual(wider, toleration) && includes(wider, toleration))
    if (!later) merged.push(toleration)
  }
  return merged
}

function includes(wider: Toleration, { key, operator, value, effect, tolerationSeconds }: Toleration): boolean {
  if (semanticEqual(wider, { key, operator, value, effect, tolerationSeconds })) return true
  if (key !== wider.key && (wider.key || wider.operator !== 'Exists')) return false
  if (effect !== wider.effect && wider.effect) return false
  if (wider.effect === 'NoExecute' && wider.tolerationSeconds !== undefined) {
    if (tolerationSeconds === undefined || tolerationSeconds > wider.tolerationSeconds) return false
  }
  if (wider.operator === 'Exists') return true
  return (wider.operator || 'Equal') === 'Equal' && operator === 'Equal' && (value ?? '') === (wider.value ?? '')
}

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && compareQuantities(parseQuantity(a[name]!), parseQuantity(b[name]!)) === 0)
}
