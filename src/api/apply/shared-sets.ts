// One set, and one text, for all sets that say the same. Pods of one template have the same managers with the same fields, and these are
// a third of an object and half of the work of encoding it: sets that go into managedFields are exchanged for the one that says the
// same, whose text is known. Bounded by the characters of the texts; all are forgotten when there are more.
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { type FieldSet, leaf } from './field-set.ts'

const charsMax = 2 ** 20
// A set so large is somebody's alone.
const oneCharsMax = 2 ** 16

const byText = new Map<string, FieldSet>()
const texts = new WeakMap<FieldSet, string>()
let chars = 0

/** The set that stands for all with the same elements in the same order: `set` itself, or an earlier one. */
export function sharedSet(set: FieldSet): FieldSet {
  if (texts.has(set) || isLarge(set)) return set
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

// Whether there are so many elements that the text must be longer than one that is kept. Looks at no more than that many.
function isLarge(set: FieldSet): boolean {
  let elements = 0
  const open = [set]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const element in next) {
      // Quotes, a colon and braces stand around the shortest element.
      if (++elements > oneCharsMax / 6) return true
      const below = next[element]!
      if (below !== leaf) open.push(below)
    }
  }
  return false
}

/** The set with this JSON, which may be that of others. */
export function setOfText(text: string): FieldSet {
  if (text.length > oneCharsMax) return JSON.parse(text) as FieldSet
  return byText.get(text) ?? sharedSet(JSON.parse(text) as FieldSet)
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

const setOpen = ',"fieldsV1":{'

/**
 * What `managedFieldsText` wrote, beginning at the first entry's brace; `end` is the place of the closing bracket. The sets are
 * those of others with the same text. Throws SyntaxError, or returns undefined, for what it did not write.
 */
export function readManagedFields(text: string, begin: number): { entries: ManagedFieldsEntry[]; end: number } | undefined {
  const entries: ManagedFieldsEntry[] = []
  for (let at = begin; ; at++) {
    const set = text.indexOf(setOpen, at)
    if (set < 0) return undefined
    const setAt = set + setOpen.length - 1
    const setEnd = endOfObject(text, setAt)
    const end = text.indexOf('}', setEnd)
    if (end < 0) return undefined
    const before = JSON.parse(`${text.slice(at, set)}}`) as ManagedFieldsEntry
    const after = end === setEnd ? undefined : (JSON.parse(`{${text.slice(setEnd + 1, end + 1)}`) as object)
    entries.push({ ...before, fieldsV1: setOfText(text.slice(setAt, setEnd)), ...after })
    at = end + 1
    if (text[at] === ']') return { entries, end: at }
    if (text[at] !== ',') return undefined
  }
}

// The place after the brace that closes the one at `at`.
function endOfObject(text: string, at: number): number {
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++
    } else if (code === 0x7b) depth++
    else if (code === 0x7d && --depth === 0) return i + 1
  }
  return text.length
}
