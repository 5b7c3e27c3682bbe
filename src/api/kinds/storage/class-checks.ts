// Checks that StorageClass and VolumeAttributesClass share.
import type { FieldError } from '../../errors.ts'
import { invalid, invalidEach, required, tooLong } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'

const parametersMax = 512
const parametersBytesMax = 256 * 1024

/** The name of a driver: a qualified name in which case does not matter. */
export function validateProvisioner(provisioner: string, path: string): FieldError[] {
  if (provisioner === '') return [required(path)]
  return invalidEach(path, provisioner, checkLabelKey(provisioner.toLowerCase()))
}

export function validateParameters(
  parameters: Readonly<Record<string, string>> | undefined,
  path: string,
  mayBeEmpty: boolean,
): FieldError[] {
  const entries = Object.entries(parameters ?? {})
  if (entries.length > parametersMax) return [tooLong(path, parametersMax)]
  if (entries.length === 0 && !mayBeEmpty) return [required(path, 'must contain at least one key/value pair')]
  const errors: FieldError[] = []
  let bytes = 0
  for (const [key, value] of entries) {
    if (key === '') errors.push(invalid(path, key, 'field can not be empty.'))
    bytes += byteLength(key) + byteLength(value)
  }
  if (bytes > parametersBytesMax) errors.push(tooLong(path, parametersBytesMax))
  return errors
}
