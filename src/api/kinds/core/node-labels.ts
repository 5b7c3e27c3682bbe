// Labels of nodes that have newer names: who selects by them is warned.
import type * as metaV1 from '../../generated/meta-v1.ts'

const deprecatedLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  'app.kubernetes.io/created-by': 'deprecated since v1.9',
  'scheduler.alpha.kubernetes.io/preferAvoidPods': 'deprecated since v1.22; use Taints and Tolerations instead',
  'node-role.kubernetes.io/master': 'use "node-role.kubernetes.io/control-plane" instead',
}

/** What to say of a label; undefined: it is in use. */
export function deprecatedLabel(key: string): string | undefined {
  return Object.hasOwn(deprecatedLabels, key) ? deprecatedLabels[key] : undefined
}

/** Warnings about a label selector for nodes. */
export function nodeSelectorWarnings(selector: metaV1.LabelSelector | undefined, path: string): string[] {
  const warnings: string[] = []
  for (const [i, { key }] of (selector?.matchExpressions ?? []).entries()) {
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${path}.matchExpressions[${i}].key: ${key} is ${problem}`)
  }
  for (const key of Object.keys(selector?.matchLabels ?? {})) {
    const problem = deprecatedLabel(key)
    if (problem !== undefined) warnings.push(`${path}.matchLabels.${key}: ${problem}`)
  }
  return warnings
}
