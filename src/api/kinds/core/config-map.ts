// ConfigMap of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, semanticEqual, tooLong } from '../../validation/field-errors.ts'
import { checkConfigMapKey } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { base64Bytes } from './base64.ts'

export type ConfigMap = coreV1.ConfigMap

/** What ConfigMaps and Secrets may hold. */
export const dataBytesMax = 1024 * 1024
export const immutableWhenSet = 'field is immutable when `immutable` is set'

function validate({ data = {}, binaryData = {} }: ConfigMap): FieldError[] {
  const errors: FieldError[] = []
  let bytes = 0
  for (const [key, value] of Object.entries(data)) {
    const problems = checkConfigMapKey(key)
    if (problems.length > 0) errors.push(...invalidEach(`data[${key}]`, key, problems))
    if (Object.hasOwn(binaryData, key)) errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'))
    bytes += byteLength(value)
  }
  for (const [key, value] of Object.entries(binaryData)) {
    const problems = checkConfigMapKey(key)
    if (problems.length > 0) errors.push(...invalidEach(`binaryData[${key}]`, key, problems))
    bytes += base64Bytes(value)
  }
  // Compat: the whole object has no field path; Kubernetes prints it as empty brackets.
  if (bytes > dataBytesMax) errors.push(tooLong('[]', dataBytesMax))
  return errors
}

function validateUpdate(configMap: ConfigMap, old: ConfigMap): FieldError[] {
  if (!old.immutable) return validate(configMap)
  const errors: FieldError[] = []
  if (!configMap.immutable) errors.push(forbidden('immutable', immutableWhenSet))
  if (!semanticEqual(configMap.data, old.data)) errors.push(forbidden('data', immutableWhenSet))
  if (!semanticEqual(configMap.binaryData, old.binaryData)) errors.push(forbidden('binaryData', immutableWhenSet))
  return [...errors, ...validate(configMap)]
}

export const ConfigMap = defineKind<ConfigMap>('core/v1/configmaps', {
  validateCreate: validate,
  validateUpdate,
  columns: [
    nameColumn,
    column<ConfigMap>('Data', ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length),
    ageColumn,
  ],
})
