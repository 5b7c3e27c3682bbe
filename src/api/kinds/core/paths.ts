// Checks of file paths in API fields: nothing may climb out of its volume.
import type { FieldError } from '../../errors.ts'
import { invalid } from '../../validation/field-errors.ts'

/** No `..` element; one complaint is enough. */
export function noBacksteps(target: string, path: string): FieldError[] {
  return target.split('/').includes('..') ? [invalid(path, target, "must not contain '..'")] : []
}

/** Relative, and without `..`. */
export function localDescending(target: string, path: string): FieldError[] {
  const errors = target.startsWith('/') ? [invalid(path, target, 'must be a relative path')] : []
  return [...errors, ...noBacksteps(target, path)]
}

/** As `localDescending`, and not beginning with `..`, which the node agent keeps for itself. */
export function localNonReserved(target: string, path: string): FieldError[] {
  const errors = localDescending(target, path)
  if (target.startsWith('..') && !target.startsWith('../')) errors.push(invalid(path, target, "must not start with '..'"))
  return errors
}

export const fileModeError = 'must be a number between 0 and 0777 (octal), both inclusive'

export function validateFileMode(mode: number | undefined, path: string): FieldError[] {
  return mode !== undefined && (mode > 0o777 || mode < 0) ? [invalid(path, mode, fileModeError)] : []
}
