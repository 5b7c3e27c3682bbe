// RuntimeClass of node.k8s.io/v1: which container runtime configuration a pod is run with.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type * as nodeV1 from '../../generated/node-v1.ts'
import { canonicalJson } from '../../hash.ts'
import { column, defineKind } from '../../kind.ts'
import { duplicate, immutable, invalidEach, required } from '../../validation/field-errors.ts'
import { nameIsDnsLabel } from '../../validation/names.ts'
import { validateLabels } from '../../validation/object-meta.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { deprecatedLabel } from '../core/node-labels.ts'
import { validateTolerations } from '../core/pod-scheduling.ts'
import { validateContainerResources } from '../core/resource-validation.ts'

export type RuntimeClass = nodeV1.RuntimeClass

function validate({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  const errors = handler ? invalidEach('handler', handler, nameIsDnsLabel(handler, false)) : [required('handler')]
  if (overhead !== undefined) errors.push(...validateContainerResources({ limits: overhead.podFixed }, new Set(), 'overhead'))
  if (scheduling !== undefined) errors.push(...validateScheduling(scheduling, 'scheduling'))
  return errors
}

function validateScheduling({ nodeSelector, tolerations }: nodeV1.Scheduling, path: string): FieldError[] {
  const errors = validateLabels(nodeSelector, `${path}.nodeSelector`)
  errors.push(...validateTolerations(tolerations, `${path}.tolerations`))
  const seen = new Set<string>()
  for (const [i, toleration] of (tolerations ?? []).entries()) {
    const text = canonicalJson({ ...toleration, tolerationSeconds: undefined })
    if (seen.has(text)) errors.push(duplicate(`${path}.tolerations[${i}]`, internalToleration(toleration)))
    seen.add(text)
  }
  return errors
}

// Compat: shown as Kubernetes' internal structure.
function internalToleration({ key, operator, value, effect, tolerationSeconds }: coreV1.Toleration): object {
  return {
    Key: key ?? '',
    Operator: operator ?? '',
    Value: value ?? '',
    Effect: effect ?? '',
    TolerationSeconds: tolerationSeconds ?? null,
  }
}

function warnings({ scheduling }: RuntimeClass): string[] {
  return Object.keys(scheduling?.nodeSelector ?? {}).flatMap((key) => {
    const problem = deprecatedLabel(key)
    return problem === undefined ? [] : [`scheduling.nodeSelector: ${problem}`]
  })
}

export const RuntimeClass = defineKind<RuntimeClass>('node.k8s.io/v1/runtimeclasses', {
  validate,
  validateUpdate: ({ handler }, old) => immutable('handler', handler, old.handler),
  warnings,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  columns: [nameColumn, column<RuntimeClass>('Handler', ({ handler }) => handler), ageColumn],
})
