// One set, and one text, for all sets that say the same. Pods of one template have the same managers with the same fields, and these are
// a third of an object and half of the work of encoding it: sets that go into managedFields are exchanged for the one that says the
// same, whose text is known. Bounded by the characters of the texts; all are forgotten when there are more.
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import type { FieldSet } from './field-set.ts'

const charsMax = 2 ** 20
// A set so large is somebody's alone.
const oneCharsMax = 2 ** 16

const byText = new Map<string, FieldSet>()
const texts = new WeakMap<FieldSet, string>()
let chars = 0

/** The set that stands for all with the same elements in the same order: `set` itself, or an earlier one. */
export function sharedSet(set: FieldSet): FieldSet {
  if (texts.has(set)) return set
  const text = JSON.stringify(set)
  const known = byText.get(text)
  if (known !== undefined) return known
  if (text.length > oneCharsMax) return set
  chars += text.length
  if (chars > charsMax) {
    byText.clear()
    chars = text.length
  }
  byText.set(text, set)
  texts.set(set, text)
  return set
}

/** The JSON of managedFields. */
export function managedFieldsText(entries: readonly ManagedFieldsEntry[]): string {
  let text = '['
  for (const entry of entries) text += text === '[' ? entryText(entry) : `,${entryText(entry)}`
  return `${text}]`
}

function entryText(entry: ManagedFieldsEntry): string {
  const known = entry.fieldsV1 === undefined ? undefined : texts.get(entry.fieldsV1 as FieldSet)
  if (known === undefined) return JSON.stringify(entry)
  const { fieldsV1: _, subresource, ...before } = entry
  const after = subresource === undefined ? '}' : `,"subresource":${JSON.stringify(subresource)}}`
  return `${JSON.stringify(before).slice(0, -1)},"fieldsV1":${known}${after}`
}
