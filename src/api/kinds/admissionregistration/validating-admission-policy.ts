// ValidatingAdmissionPolicy of admissionregistration.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { defineKind } from '../../kind.ts'
import { validateConditions } from '../../validation/conditions.ts'
import { duplicate, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { paramKindColumn, validatePolicySpec } from './policies.ts'
import { setMatchResourcesDefaults } from './rules.ts'

export type ValidatingAdmissionPolicy = admissionV1.ValidatingAdmissionPolicy

const annotationsMax = 20
const annotationExpressionBytesMax = 5 * 1024
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge']
const atLeastOne = 'validations or auditAnnotations must contain at least one item'

function validate({ metadata, spec }: ValidatingAdmissionPolicy): FieldError[] {
  const errors = validatePolicySpec(spec, 'spec')
  const validations = spec.validations ?? []
  const annotations = spec.auditAnnotations ?? []
  if (validations.length === 0 && annotations.length === 0) {
    return [...errors, required('spec.validations', atLeastOne), required('spec.auditAnnotations', atLeastOne)]
  }
  for (const [i, validation] of validations.entries()) errors.push(...validateValidation(validation, `spec.validations[${i}]`))
  if (annotations.length > annotationsMax) {
    errors.push(invalid('spec.auditAnnotations', annotations, `must not have more than ${annotationsMax} auditAnnotations`))
  }
  const keys = new Set<string>()
  for (const [i, { key, valueExpression }] of annotations.entries()) {
    const path = `spec.auditAnnotations[${i}]`
    const name = metadata.name ? `${metadata.name}/${key}` : key
    errors.push(...invalidEach(`${path}.key`, name, checkLabelKey(name)))
    const expression = valueExpression.trim()
    if (expression === '') errors.push(required(`${path}.valueExpression`, 'valueExpression is not specified'))
    else if (byteLength(expression) > annotationExpressionBytesMax) {
      errors.push(required(`${path}.valueExpression`, `must not exceed ${annotationExpressionBytesMax} bytes in length`))
    }
    if (keys.has(key)) errors.push(duplicate(`${path}.key`, key))
    keys.add(key)
  }
  return errors
}

function validateValidation({ expression, message, messageExpression, reason }: admissionV1.Validation, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (expression.trim() === '') errors.push(required(`${path}.expression`, 'expression is not specified'))
  if (messageExpression && messageExpression.trim() === '') {
    errors.push(invalid(`${path}.messageExpression`, messageExpression, 'must be non-empty if specified'))
  }
  const text = message?.trim() ?? ''
  if (message && text === '') errors.push(invalid(`${path}.message`, message, 'must be non-empty if specified'))
  else if (/[\r\n]/.test(text)) errors.push(invalid(`${path}.message`, message, 'must not contain line breaks'))
  if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, reasons))
  return errors
}

function validateStatus({ typeChecking, conditions }: admissionV1.ValidatingAdmissionPolicyStatus): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { warning, fieldRef }] of (typeChecking?.expressionWarnings ?? []).entries()) {
    const path = `status.typeChecking.expressionWarnings[${i}]`
    if (!warning) errors.push(required(`${path}.warning`))
    if (!fieldRef?.trim()) errors.push(required(`${path}.fieldRef`))
  }
  return [...errors, ...validateConditions(conditions, 'status.conditions')]
}

export const ValidatingAdmissionPolicy = defineKind<ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  {
    setDefaults({ spec }) {
      spec.failurePolicy ??= 'Fail'
      setMatchResourcesDefaults(spec.matchConstraints)
    },
    allowUnconditionalUpdate: false,
    validate,
    validateStatusUpdate: ({ status }) => validateStatus(status ?? {}),
    columns: [
      nameColumn,
      countColumn<ValidatingAdmissionPolicy>('Validations', ({ spec }) => spec.validations?.length),
      paramKindColumn<ValidatingAdmissionPolicy>(),
      ageColumn,
    ],
  },
)
