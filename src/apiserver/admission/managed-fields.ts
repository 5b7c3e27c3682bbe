// What mutating webhooks make of metadata.managedFields: when nobody could read it any more, it is as it was before, and the client is told.
import { readForeignManagers } from '#api/apply/managers'
import type { ManagedFieldsEntry } from '#api/generated/meta-v1'
import { goQuote } from '#api/validation/text'
import type { AdmissionRequest } from './plugin.ts'

const words =
  '.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: '

type Entries = ManagedFieldsEntry[] | undefined

/** `before`: what they were when admission began. */
export function keepManagedFieldsValid({ object, warn }: AdmissionRequest, before: Entries): void {
  const after = object?.metadata?.managedFields
  if (object === undefined || after === undefined || after === before) return
  const problem = problemOf(after)
  if (problem === undefined) return
  if (before === undefined) delete object.metadata.managedFields
  else object.metadata.managedFields = before
  warn(words + problem)
}

function problemOf(entries: readonly ManagedFieldsEntry[]): string | undefined {
  for (const [i, { operation, apiVersion, fieldsType }] of entries.entries()) {
    if (operation !== 'Apply' && operation !== 'Update') return 'operation must be `Apply` or `Update`'
    if (!apiVersion) return 'apiVersion must not be empty'
    if (!fieldsType) return `missing fieldsType in managed fields entry ${i}`
    if (fieldsType !== 'FieldsV1') return `invalid fieldsType ${goQuote(fieldsType)} in managed fields entry ${i}`
  }
  return readForeignManagers(entries) === undefined ? 'error decoding set' : undefined
}
