// The words in which an apply is told whose fields it would change.
import { goQuote } from '../validation/text.ts'
import { type FieldSet, forEachPath, pathText } from './field-set.ts'
import type { Managed } from './managers.ts'

export interface Conflict {
  readonly manager: Managed
  readonly fields: FieldSet
}

/** `"kubectl" using apps/v1`, `"a" with subresource "status" using v1`; appliers without version. */
export function managerText({ name, operation, apiVersion, subresource }: Managed): string {
  const named = subresource === '' ? goQuote(name) : `${goQuote(name)} with subresource ${goQuote(subresource)}`
  return operation === 'Update' ? `${named} using ${apiVersion}` : named
}

/** The message of the Status. `conflicts` are sorted by manager. */
export function conflictMessage(conflicts: readonly Conflict[]): string {
  const byManager = conflicts.map(({ manager, fields }) => ({ manager, paths: pathsOf(fields) }))
  const count = byManager.reduce((sum, { paths }) => sum + paths.length, 0)
  if (count === 1) return `Apply failed with 1 conflict: conflict with ${managerText(byManager[0]!.manager)}: ${byManager[0]!.paths[0]}`
  const lines = byManager.flatMap(({ manager, paths }) => [`conflicts with ${managerText(manager)}:`, ...paths.map((path) => `- ${path}`)])
  return `Apply failed with ${count} conflicts: ${lines.join('\n')}`
}

function pathsOf(fields: FieldSet): string[] {
  const paths: string[] = []
  forEachPath(fields, (path) => {
    paths.push(pathText(path))
  })
  return paths
}
