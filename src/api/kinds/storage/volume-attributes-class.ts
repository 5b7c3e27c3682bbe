// VolumeAttributesClass of storage.k8s.io/v1: parameters of a volume that may change in its life.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, semanticEqual } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateParameters, validateProvisioner } from './class-checks.ts'

export type VolumeAttributesClass = storageV1.VolumeAttributesClass

export const VolumeAttributesClass = defineKind<VolumeAttributesClass>('storage.k8s.io/v1/volumeattributesclasses', {
  validate: ({ driverName, parameters }) => [
    ...validateProvisioner(driverName, 'driverName'),
    ...validateParameters(parameters, 'parameters', false),
  ],
  validateUpdate: (object, old) =>
    (['driverName', 'parameters'] as const)
      .filter((field) => !semanticEqual(object[field], old[field]))
      .map((field) => forbidden(field, `updates to ${field} are forbidden.`)),
  columns: [nameColumn, column<VolumeAttributesClass>('DriverName', ({ driverName }) => driverName), ageColumn],
})
