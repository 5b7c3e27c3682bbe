// Objects that were found valid, and what was said of them: the next one that is made from the same template need not be looked at as
// closely. Whether two objects are alike is the kind's to say (`Strategy.alike`).
import type { KubeObject } from '#api/object'
import { cloneObject } from './written.ts'

interface Valid<T> {
  /** A copy of our own: nobody can change it afterwards. */
  readonly object: T
  readonly warnings: readonly string[]
}

const validMax = 4

/** The last objects of one kind that were valid. */
export class Checked<T extends KubeObject> {
  readonly #valid: Valid<T>[] = []
  #next = 0

  /** Warnings about an object like this one, which was valid; undefined: there was none. */
  find(object: T, alike: (object: T, other: T) => boolean): readonly string[] | undefined {
    for (const valid of this.#valid) if (alike(object, valid.object)) return valid.warnings
    return undefined
  }

  add(object: T, warnings: readonly string[]): void {
    this.#valid[this.#next] = { object: cloneObject(object), warnings }
    this.#next = (this.#next + 1) % validMax
  }
}
