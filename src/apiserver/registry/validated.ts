// What `Strategy.validate` has found valid, so that an update that leaves all of it alone is not checked for it again. Objects are known
// by the very values of their fields, which updates share with what stood there before (`shareUnchanged`): what somebody else wrote
// into the store, or an older server by other rules, is another value and is checked.
import type { Strategy } from '#api/kind'
import type { KubeObject } from '#api/object'
import { sameJson } from './written.ts'

type Fields = Readonly<Record<string, unknown>>

// What an object says that is no part of its content for `validate`.
const aside: ReadonlySet<string> = new Set(['kind', 'apiVersion', 'metadata', 'status'])
// Metadata that the server sets, and no kind's `validate` looks at.
const serversOwn: ReadonlySet<string> = new Set(['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields'])

/** The objects of one kind that were valid; none is kept for longer than its content is. */
export class Validated<T extends KubeObject> {
  readonly #strategy: Pick<Strategy<T>, 'sameForValidation'>
  // By the first of its fields that is an object.
  readonly #valid = new WeakMap<object, T>()

  constructor(strategy: Pick<Strategy<T>, 'sameForValidation'>) {
    this.#strategy = strategy
  }

  /** The object is valid, and is not changed any more. */
  add(object: T): void {
    const anchor = anchorOf(object)
    if (anchor !== undefined) this.#valid.set(anchor, object)
  }

  /** Whether `validate` is known to find nothing. */
  has(object: T): boolean {
    const anchor = anchorOf(object)
    const valid = anchor === undefined ? undefined : this.#valid.get(anchor)
    if (valid === undefined || !sameContent(object, valid)) return false
    const { sameForValidation } = this.#strategy
    if (sameForValidation !== undefined) return sameForValidation(object, valid)
    return (object as Fields)['status'] === (valid as Fields)['status'] && sameMetadata(object.metadata, valid.metadata)
  }
}

function anchorOf(object: KubeObject): object | undefined {
  for (const name in object) {
    const value = (object as unknown as Fields)[name]
    if (typeof value === 'object' && value !== null && !aside.has(name)) return value
  }
  return undefined
}

function sameContent(object: KubeObject, other: KubeObject): boolean {
  const [a, b] = [object as unknown as Fields, other as unknown as Fields]
  for (const name in a) if (!aside.has(name) && a[name] !== b[name]) return false
  for (const name in b) if (!aside.has(name) && a[name] !== b[name]) return false
  return true
}

function sameMetadata(metadata: object, other: object): boolean {
  const [a, b] = [metadata as Fields, other as Fields]
  for (const name in a) if (!serversOwn.has(name) && !sameJson(a[name], b[name])) return false
  for (const name in b) if (!serversOwn.has(name) && a[name] === undefined && b[name] !== undefined) return false
  return true
}
