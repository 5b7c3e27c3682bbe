// Sets of field paths, in the form in which managedFields carry them (FieldsV1, KEP-555): objects whose keys are path elements.
//
//   `f:name`  a field or map key       `k:{"name":"a"}`  the item of a list with these keys
//   `v:"x"`   an item of a set         `i:0`             the item at an index
//
// `{}` under an element says that the path itself is in the set, and nothing below it; `.` beside children says that it is in the
// set as well as they. The sets that a write changes are small and those that it leaves are large, so the algebra works on this
// form directly: it looks at what the smaller set names and returns its argument itself when nothing changes.
// Sets are immutable; the empty one is undefined. What is made of sets in Kubernetes' order is in that order (`sortedFieldSet`).
import { comparePathElements, pathElementText } from './path-element.ts'

/** A set that is not empty, or a path that is in one. */
export interface FieldSet {
  readonly [element: string]: FieldSet
}

/** What stands under an element that is in the set, with nothing below it. */
export const leaf: FieldSet = Object.freeze({})

const self = '.'

export function isLeaf(set: FieldSet): boolean {
  for (const _ in set) return false
  return true
}

/** Whether the element under which `node` stands is itself in the set. */
export function isMember(node: FieldSet): boolean {
  return isLeaf(node) || Object.hasOwn(node, self)
}

/** `node`, with the element itself in the set. */
export function asMember(node: FieldSet): FieldSet {
  return isMember(node) ? node : { [self]: leaf, ...node }
}

export function isEmptySet(set: FieldSet | undefined): set is undefined {
  return set === undefined || isLeaf(set)
}

/** A set of the paths given as lists of elements. */
export function fieldSetOf(...paths: readonly (readonly string[])[]): FieldSet {
  let set: FieldSet | undefined
  for (const path of paths) {
    let node: FieldSet = leaf
    for (const element of path.toReversed()) node = { [element]: node }
    set = union(set, node)
  }
  return set ?? leaf
}

export function hasPath(set: FieldSet | undefined, path: readonly string[]): boolean {
  let node = set
  for (const element of path) {
    if (node === undefined || !Object.hasOwn(node, element)) return false
    node = node[element]
  }
  return node !== undefined && isMember(node)
}

/** Paths in either. */
export function union(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || a === b) return b
  if (b === undefined) return a
  let out: Record<string, FieldSet> | undefined
  let grown = false
  for (const element in b) {
    const left = a[element]
    const joined = left === undefined ? b[element]! : element === self ? left : unionNode(left, b[element]!)
    if (joined === left) continue
    if (left === undefined) grown = true
    out ??= { ...a }
    out[element] = joined
  }
  if (out === undefined) return a
  return grown ? withElementsInOrder(out) : out
}

function withElementsInOrder(set: FieldSet): FieldSet {
  const elements = Object.keys(set)
  if (inOrder(elements)) return set
  const out: Record<string, FieldSet> = {}
  for (const element of elements.sort(comparePathElements)) out[element] = set[element]!
  return out
}

// Nodes under one element: here being a leaf says something.
function unionNode(a: FieldSet, b: FieldSet): FieldSet {
  if (isLeaf(a)) return isLeaf(b) ? a : asMember(b)
  if (isLeaf(b)) return asMember(a)
  return union(a, b)!
}

/** Paths in both. */
export function intersection(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return undefined
  let out: Record<string, FieldSet> | undefined
  for (const element in b) {
    const left = a[element]
    if (left === undefined || element === self) continue
    const right = b[element]!
    const children = intersection(left, right)
    const node = nodeOf(isMember(left) && isMember(right), children)
    if (node === undefined) continue
    out ??= {}
    out[element] = node
  }
  return out
}

function nodeOf(member: boolean, children: FieldSet | undefined): FieldSet | undefined {
  if (isEmptySet(children)) return member ? leaf : undefined
  return member ? asMember(children) : children
}

/** Paths in `a` that are not in `b`. */
export function difference(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  return subtract(a, b, false)
}

/** Paths in `a` that are neither in `b` nor below one that is. */
export function recursiveDifference(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  return subtract(a, b, true)
}

function subtract(a: FieldSet | undefined, b: FieldSet | undefined, recursive: boolean): FieldSet | undefined {
  if (a === undefined || b === undefined) return a
  let out: Record<string, FieldSet> | undefined
  for (const element in b) {
    const left = a[element]
    if (left === undefined || element === self) continue
    const node = subtractNode(left, b[element]!, recursive)
    if (node === left) continue
    out ??= { ...a }
    if (node === undefined) delete out[element]
    else out[element] = node
  }
  if (out === undefined) return a
  return hasElements(out) ? out : undefined
}

function hasElements(set: FieldSet): boolean {
  for (const element in set) if (element !== self) return true
  return false
}

function subtractNode(left: FieldSet, right: FieldSet, recursive: boolean): FieldSet | undefined {
  const removesSelf = isMember(right)
  if (removesSelf && recursive) return undefined
  if (isLeaf(left)) return removesSelf ? undefined : left
  const children = subtract(left, right, recursive)
  if (children === left && !(removesSelf && Object.hasOwn(left, self))) return left
  return nodeOf(Object.hasOwn(left, self) && !removesSelf, withoutSelf(children))
}

function withoutSelf(node: FieldSet | undefined): FieldSet | undefined {
  if (node === undefined || !Object.hasOwn(node, self)) return node
  const { [self]: _, ...children } = node
  return hasElements(children) ? children : undefined
}

/** Elements directly below `node`, without the one that says that it is a member. */
export function elementsOf(node: FieldSet): string[] {
  return Object.keys(node).filter((element) => element !== self)
}

/** Calls `visit` with each path in the set: those that end here first, then those below, both in the order of their elements. */
export function forEachPath(set: FieldSet | undefined, visit: (path: readonly string[]) => void): void {
  if (set !== undefined) visitNode(set, [], visit)
}

function visitNode(set: FieldSet, path: string[], visit: (path: readonly string[]) => void): void {
  const elements = elementsOf(set).sort(comparePathElements)
  for (const element of elements) if (isMember(set[element]!)) visit([...path, element])
  for (const element of elements) visitNode(set[element]!, [...path, element], visit)
}

/** A path as messages show it: `.spec.containers[name="a"].image`. */
export function pathText(path: readonly string[]): string {
  return path.map(pathElementText).join('')
}

/** The set with its elements in Kubernetes' order, so that equal sets have equal texts. Returns the set itself when they are. */
export function sortedFieldSet(set: FieldSet): FieldSet {
  const elements = Object.keys(set)
  if (elements.length === 0) return set
  let same = inOrder(elements)
  if (!same) elements.sort(comparePathElements)
  const out: Record<string, FieldSet> = {}
  for (const element of elements) {
    const child = sortedFieldSet(set[element]!)
    if (child !== set[element]) same = false
    out[element] = child
  }
  return same ? set : out
}

function inOrder(elements: readonly string[]): boolean {
  for (let i = 1; i < elements.length; i++) if (comparePathElements(elements[i - 1]!, elements[i]!) > 0) return false
  return true
}
