// Objects that were found valid, and what was said of them: the next one that is made from the same template need not be looked at as
// closely. Whether two objects are alike is the kind's to say (`Strategy.alike`).
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { storedRest } from '../watch-cache/stored-json.ts'
import { cloneObject } from './written.ts'

export interface Valid<T> {
  /** A copy of our own: nobody can change it afterwards. */
  readonly object: T
  readonly warnings: readonly string[]
  /** Its bytes after metadata. */
  readonly rest: Buffer
}

const validMax = 4

/** The last objects of one kind that were valid. */
export class Checked<T extends KubeObject> {
  readonly #valid: Valid<T>[] = []
  #next = 0

  /** An object like this one that was valid; undefined: there was none. */
  find(object: T, alike: (object: T, other: T) => boolean): Valid<T> | undefined {
    return this.#valid.find((valid) => alike(object, valid.object))
  }

  add(kind: Kind, object: T, warnings: readonly string[]): void {
    const copy = cloneObject(object)
    this.#valid[this.#next] = { object: copy, warnings, rest: storedRest(kind, copy) }
    this.#next = (this.#next + 1) % validMax
  }
}

/** Lets an object have all but its metadata from one that is equal to it there: what many objects share is kept once. */
export function shareRest<T extends KubeObject>(object: T, { object: other }: Valid<T>): void {
  const [to, from] = [object as Record<string, unknown>, other as Record<string, unknown>]
  for (const name in from) if (name !== 'metadata') to[name] = from[name]
}
