// CSIStorageCapacity of storage.k8s.io/v1: how much a driver has left of a storage class in a part of the cluster.
import type { FieldError } from '../../errors.ts'
import type * as storageV1 from '../../generated/storage-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { parseQuantity, quantitySign } from '../../quantity.ts'
import { immutable, invalid, invalidEach } from '../../validation/field-errors.ts'
import { nameIsDnsSubdomain } from '../../validation/names.ts'
import { nameColumn, unset } from '../columns.ts'
import { nodeSelectorWarnings } from '../core/node-labels.ts'

export type CSIStorageCapacity = storageV1.CSIStorageCapacity

function notNegative(amount: string | undefined, path: string): FieldError[] {
  if (amount === undefined || quantitySign(parseQuantity(amount)) >= 0) return []
  return [invalid(path, amount, 'must be greater than or equal to 0')]
}

export const CSIStorageCapacity = defineKind<CSIStorageCapacity>('storage.k8s.io/v1/csistoragecapacities', {
  validate: ({ nodeTopology, storageClassName, capacity }) => [
    ...validateLabelSelector(nodeTopology, 'nodeTopology'),
    ...invalidEach('storageClassName', storageClassName, nameIsDnsSubdomain(storageClassName, false)),
    ...notNegative(capacity, 'capacity'),
  ],
  validateUpdate: (object, old) => [
    ...immutable('nodeTopology', object.nodeTopology, old.nodeTopology),
    ...immutable('storageClassName', object.storageClassName, old.storageClassName),
  ],
  warnings: ({ nodeTopology }) => nodeSelectorWarnings(nodeTopology, 'nodeTopology'),
  allowUnconditionalUpdate: false,
  columns: [
    nameColumn,
    column<CSIStorageCapacity>('StorageClassName', ({ storageClassName }) => storageClassName),
    column<CSIStorageCapacity>('Capacity', ({ capacity }) => capacity ?? unset),
  ],
})
