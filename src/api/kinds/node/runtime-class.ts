// RuntimeClass of node.k8s.io/v1: which container runtime configuration a pod is run with.
import type { FieldError } from '../../errors.ts'
import type * as nodeV1 from '../../generated/node-v1.ts'
import { canonicalJson } from '../../hash.ts'
import { column, defineKind } from '../../kind.ts'
import { duplicate, immutable, invalidEach } from '../../validation/field-errors.ts'
import { nameIsDnsLabel } from '../../validation/names.ts'
import { validateLabels } from '../../validation/object-meta.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateTolerations } from '../core/pod-scheduling.ts'
import { validateContainerResources } from '../core/resource-validation.ts'

export type RuntimeClass = nodeV1.RuntimeClass

function validate({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  const errors = invalidEach('handler', handler, nameIsDnsLabel(handler, false))
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
    if (seen.has(text)) errors.push(duplicate(`${path}.tolerations[${i}]`, toleration))
    seen.add(text)
  }
  return errors
}

export const RuntimeClass = defineKind<RuntimeClass>('node.k8s.io/v1/runtimeclasses', {
  validate,
  validateUpdate: ({ handler }, old) => immutable('handler', handler, old.handler),
  columns: [nameColumn, column<RuntimeClass>('Handler', ({ handler }) => handler), ageColumn],
})
