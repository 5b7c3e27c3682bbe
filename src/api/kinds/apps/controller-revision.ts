// ControllerRevision of apps/v1: a frozen copy of what a controller ran.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { controllerOf } from '../../object.ts'
import { immutable, required } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'
import { nonNegative } from '../numbers.ts'

export type ControllerRevision = appsV1.ControllerRevision

function controllerCell(revision: ControllerRevision): string {
  const owner = controllerOf(revision)
  if (owner === undefined) return none
  const slash = owner.apiVersion.indexOf('/')
  const group = slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}

export const ControllerRevision = defineKind<ControllerRevision>('apps/v1/controllerrevisions', {
  setDefaults(revision) {
    revision.revision ??= 0
  },
  validate: ({ revision }) => nonNegative(revision, 'revision'),
  validateCreate({ data }) {
    if (data === undefined || data === null) return [required('data', 'data is mandatory')]
    return typeof data === 'object' && !Array.isArray(data) ? [] : [required('data', 'data must be a valid JSON object')]
  },
  validateUpdate: (revision, old) => immutable('data', revision.data, old.data),
  columns: [
    nameColumn,
    column<ControllerRevision>('Controller', controllerCell),
    column<ControllerRevision>('Revision', ({ revision }) => revision),
    ageColumn,
  ],
})
