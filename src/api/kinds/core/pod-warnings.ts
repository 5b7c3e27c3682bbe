// Warnings about pod specs that are valid but hardly meant: the client sees them, nothing is refused.
import type * as coreV1 from '../../generated/core-v1.ts'

/** Warnings about a pod spec that is valid but hardly meant. */
export function podSpecWarnings(spec: coreV1.PodSpec, path: string): string[] {
  const warnings: string[] = []
  for (const [i, container] of (spec.containers ?? []).entries()) {
    const names = new Set<string>()
    for (const [j, { name }] of (container.env ?? []).entries()) {
      if (names.has(name)) {
        const at = `${path}.containers[${i}].env[${j}]`
        warnings.push(`${at}: hides previous definition of "${name}", which may be dropped when using apply`)
      }
      names.add(name)
    }
  }
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) warnings.push(`${path}.imagePullSecrets[${i}].name: invalid empty name ""`)
  }
  if (spec.terminationGracePeriodSeconds < 0) {
    warnings.push(`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`)
  }
  return warnings
}
