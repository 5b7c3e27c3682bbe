// The difference between two statuses as a strategic merge patch, as small as it gets. Conditions merge by type, so that
// other writers' conditions stay; addresses are replaced as a whole; everything else goes field by field.
import type { PodCondition, PodStatus } from '#api/generated/core-v1'

/** Undefined when nothing differs. */
export function statusPatch(from: PodStatus, to: PodStatus): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {}
  for (const name of owned) {
    const before = from[name]
    const after = to[name]
    if (same(before, after)) continue
    if (after === undefined) patch[name] = null
    else if (name === 'podIPs' || name === 'hostIPs')
      patch[name] = [...(before === undefined ? [] : [{ $patch: 'replace' }]), ...(after as object[])]
    else patch[name] = after
  }
  const conditions = changedConditions(from.conditions ?? [], to.conditions ?? [])
  if (conditions.length > 0) patch['conditions'] = conditions
  return Object.keys(patch).length === 0 ? undefined : patch
}

// What the node agent writes. Nomination, resize and resource claims are other components'.
const owned = [
  'observedGeneration',
  'phase',
  'reason',
  'message',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
  'qosClass',
] as const satisfies readonly (keyof PodStatus)[]

function changedConditions(from: readonly PodCondition[], to: readonly PodCondition[]): PodCondition[] {
  return to.filter((condition) => {
    const before = from.find((c) => c.type === condition.type)
    return before === undefined || !same(before, condition)
  })
}

/** Deep equality of plain data; a missing field and an undefined one are the same. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a)) return a.length === (b as unknown[]).length && a.every((item, i) => same(item, (b as unknown[])[i]))
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const key of Object.keys(left)) if (!same(left[key], right[key])) return false
  for (const key of Object.keys(right)) if (right[key] !== undefined && left[key] === undefined) return false
  return true
}
