// CSINode of storage.k8s.io/v1: the volume drivers that run on a node.
import type { FieldError } from '../../errors.ts'
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'
import { duplicate, invalid, invalidEach, required, semanticEqual } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, countColumn, nameColumn } from '../columns.ts'
import { validateCsiDriverName } from '../core/volume-sources.ts'
import { nonNegative } from '../numbers.ts'

export type CSINode = storageV1.CSINode

const nodeIdBytesMax = 256

function validate({ spec }: CSINode): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, driver] of spec.drivers.entries()) {
    const path = `spec.drivers[${i}]`
    errors.push(...validateCsiDriverName(driver.name, `${path}.name`))
    if (driver.nodeID === '') errors.push(required(`${path}.nodeID`))
    if (byteLength(driver.nodeID) > nodeIdBytesMax) {
      errors.push(invalid(`${path}.nodeID`, driver.nodeID, `must be ${nodeIdBytesMax} characters or less`))
    }
    errors.push(...nonNegative(driver.allocatable?.count, `${path}.allocatable.count`))
    if (names.has(driver.name)) errors.push(duplicate(`${path}.name`, driver.name))
    names.add(driver.name)
    errors.push(...validateTopologyKeys(driver.topologyKeys ?? [], path))
  }
  return errors
}

function validateTopologyKeys(keys: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, key] of keys.entries()) {
    if (key === '') errors.push(required(path))
    if (keys.indexOf(key) < i) errors.push(duplicate(path, key))
    errors.push(...invalidEach(path, key, checkLabelKey(key)))
  }
  return errors
}

// A driver that stays must stay as it is, but for how many volumes it can attach.
function validateUpdate({ spec }: CSINode, old: CSINode): FieldError[] {
  const errors: FieldError[] = []
  for (const before of old.spec.drivers) {
    const driver = spec.drivers.find(({ name }) => name === before.name)
    if (driver === undefined || semanticEqual({ ...before, allocatable: undefined }, { ...driver, allocatable: undefined })) continue
    // Compat: shown as Kubernetes' internal structure.
    const keys = driver.topologyKeys ?? []
    const shown = { Name: driver.name, NodeID: driver.nodeID, TopologyKeys: keys.length > 0 ? keys : null, Allocatable: null }
    errors.push(invalid('spec.drivers', shown, 'field is immutable'))
  }
  return errors
}

export const CSINode = defineKind<CSINode>('storage.k8s.io/v1/csinodes', {
  validate,
  validateUpdate,
  allowUnconditionalUpdate: false,
  hasGeneration: false,
  columns: [nameColumn, countColumn<CSINode>('Drivers', ({ spec }) => spec.drivers.length), ageColumn],
})
