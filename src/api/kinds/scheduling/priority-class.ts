// PriorityClass of scheduling.k8s.io/v1: a name for how important pods are.
import type { FieldError } from '../../errors.ts'
import type * as schedulingV1 from '../../generated/scheduling-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, immutable, notSupported, required } from '../../validation/field-errors.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'

export type PriorityClass = schedulingV1.PriorityClass

/** Above it only the system's own pods are. */
export const userPriorityMax = 1_000_000_000

/** The classes that every cluster has. */
export const systemPriorityClasses: ReadonlyMap<string, number> = new Map([
  ['system-node-critical', 2 * userPriorityMax + 1000],
  ['system-cluster-critical', 2 * userPriorityMax],
])

const systemPrefix = 'system-'
const policies = ['PreemptLowerPriority', 'Never']

function validate({ metadata, value, globalDefault, preemptionPolicy }: PriorityClass): FieldError[] {
  const errors: FieldError[] = []
  if (metadata.name.startsWith(systemPrefix)) {
    const problem = systemClassProblem(metadata.name, value ?? 0, globalDefault ?? false)
    const detail = `priority class names with '${systemPrefix}' prefix are reserved for system use only. error: ${problem}`
    if (problem !== undefined) errors.push(forbidden('metadata.name', detail))
  } else if ((value ?? 0) > userPriorityMax) {
    errors.push(forbidden('value', `maximum allowed value of a user defined priority is ${userPriorityMax}`))
  }
  if (preemptionPolicy === undefined) return errors
  const policy: string = preemptionPolicy
  if (policy === '') errors.push(required('preemptionPolicy'))
  else if (!policies.includes(policy)) errors.push(notSupported('preemptionPolicy', policy, policies))
  return errors
}

function systemClassProblem(name: string, value: number, globalDefault: boolean): string | undefined {
  const known = systemPriorityClasses.get(name)
  if (known === undefined) return `${name} is not a known system priority class`
  if (value !== known) return `value of ${name} PriorityClass must be ${known}`
  if (globalDefault) return `globalDefault of ${name} PriorityClass must be false`
  return undefined
}

export const PriorityClass = defineKind<PriorityClass>('scheduling.k8s.io/v1/priorityclasses', {
  setDefaults(priorityClass) {
    priorityClass.preemptionPolicy ??= 'PreemptLowerPriority'
  },
  prepareForCreate({ metadata }) {
    // The first generation is also the last, whatever changes.
    metadata.generation = 1
  },
  validateCreate: validate,
  validateUpdate: (object, old) => [
    ...((object.value ?? 0) === (old.value ?? 0) ? [] : [forbidden('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy', object.preemptionPolicy, old.preemptionPolicy),
  ],
  hasGeneration: false,
  columns: [
    nameColumn,
    countColumn<PriorityClass>('Value', ({ value }) => value),
    column<PriorityClass>('Global-Default', ({ globalDefault }) => globalDefault === true, { type: 'boolean' }),
    ageColumn,
    column<PriorityClass>('PreemptionPolicy', ({ preemptionPolicy }) => preemptionPolicy ?? ''),
  ],
})
