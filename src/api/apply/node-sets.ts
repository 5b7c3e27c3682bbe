// Sets of fields that were made once, found again by what they are made of: which fields are there, and the sets below them. What is
// found is the set itself, so that sets of equal form are one object all the way up. Bounded: what comes again and again is few.
import type { FieldSet } from './field-set.ts'

// Objects of one form under one key differ in what lies below: so many of them are told apart.
const variantsMax = 16
// Sets that all places together remember; all are forgotten when there are more. What names so much on its own is not remembered.
const setsMax = 8_192
const namesMax = 64

interface Variant {
  readonly names: readonly string[]
  readonly below: readonly FieldSet[]
  readonly set: FieldSet
}

/** The variants under one key, the oldest of which gives way. */
class Variants {
  readonly #all: Variant[] = []
  #next = 0

  find(names: readonly string[], namesFrom: number, below: readonly FieldSet[], belowFrom: number): FieldSet | undefined {
    for (const variant of this.#all) {
      if (endsWith(names, namesFrom, variant.names) && endsWith(below, belowFrom, variant.below)) return variant.set
    }
    return undefined
  }

  add(variant: Variant): void {
    this.#all[this.#next] = variant
    this.#next = (this.#next + 1) % variantsMax
  }
}

function endsWith<T>(all: readonly T[], from: number, end: readonly T[]): boolean {
  if (all.length - from !== end.length) return false
  for (let i = 0; i < end.length; i++) if (all[from + i] !== end[i]) return false
  return true
}

let remembered = 0
let generation = 0

/** The sets of one place in a schema. */
export class NodeSets<K> {
  readonly #byKey = new Map<K, Variants>()
  #generation = generation

  /** The set under this key with the names and sets that stand at the ends of these lists. */
  find(key: K, names: readonly string[], namesFrom: number, below: readonly FieldSet[], belowFrom: number): FieldSet | undefined {
    return this.#byKey.get(key)?.find(names, namesFrom, below, belowFrom)
  }

  /** Remembers a set and returns it. */
  add(key: K, variant: Variant): FieldSet {
    if (variant.names.length > namesMax) return variant.set
    if (++remembered > setsMax) {
      remembered = 0
      generation++
    }
    if (this.#generation !== generation) {
      this.#generation = generation
      this.#byKey.clear()
    }
    let variants = this.#byKey.get(key)
    if (variants === undefined) {
      variants = new Variants()
      this.#byKey.set(key, variants)
    }
    variants.add(variant)
    return variant.set
  }
}
