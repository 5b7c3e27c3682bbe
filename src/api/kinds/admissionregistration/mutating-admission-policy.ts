// MutatingAdmissionPolicy of admissionregistration.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { invalid, notSupported, required } from '../../validation/field-errors.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { paramKindColumn, validatePolicySpec } from './policies.ts'
import { setMatchResourcesDefaults, validateMutatingOperations, validateReinvocationPolicy } from './rules.ts'

export type MutatingAdmissionPolicy = admissionV1.MutatingAdmissionPolicy

// Patch type, and the field that it wants.
const patchFields = { ApplyConfiguration: 'applyConfiguration', JSONPatch: 'jsonPatch' } as const

function validate({ spec }: MutatingAdmissionPolicy): FieldError[] {
  const errors = validatePolicySpec(spec, 'spec')
  errors.push(...validateMutatingOperations(spec.matchConstraints, 'spec.matchConstraints'))
  const mutations = spec.mutations ?? []
  if (mutations.length === 0) errors.push(required('spec.mutations', 'mutations must contain at least one item'))
  for (const [i, mutation] of mutations.entries()) errors.push(...validateMutation(mutation, `spec.mutations[${i}]`))
  if (!spec.reinvocationPolicy) errors.push(required('spec.reinvocationPolicy'))
  else errors.push(...validateReinvocationPolicy(spec.reinvocationPolicy, 'spec.reinvocationPolicy'))
  return errors
}

function validateMutation(mutation: admissionV1.Mutation, path: string): FieldError[] {
  const type: string = mutation.patchType
  if (type === '') return [required(`${path}.patchType`)]
  if (!Object.hasOwn(patchFields, type)) return [notSupported(`${path}.patchType`, type, Object.keys(patchFields))]
  const errors: FieldError[] = []
  for (const [name, field] of Object.entries(patchFields)) {
    const patch = mutation[field]
    if (name !== type) {
      if (patch !== undefined) errors.push(invalid(`${path}.${field}`, `{${field}}`, `must not be specified when patchType is ${type}`))
    } else if (patch === undefined) errors.push(required(`${path}.${field}`, `must be specified when patchType is ${type}`))
    else if (!patch.expression?.trim()) errors.push(required(`${path}.${field}.expression`))
  }
  return errors
}

export const MutatingAdmissionPolicy = defineKind<MutatingAdmissionPolicy>('admissionregistration.k8s.io/v1/mutatingadmissionpolicies', {
  setDefaults({ spec }) {
    spec.failurePolicy ??= 'Fail'
    setMatchResourcesDefaults(spec.matchConstraints)
  },
  allowUnconditionalUpdate: false,
  validate,
  columns: [
    nameColumn,
    countColumn<MutatingAdmissionPolicy>('Mutations', ({ spec }) => spec.mutations?.length),
    paramKindColumn<MutatingAdmissionPolicy>(),
    ageColumn,
  ],
})
