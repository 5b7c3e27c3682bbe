// Keys in byte order with their values: a sorted list cut into short pieces, so that an insert moves a few hundred entries at
// most and finding anything is two binary searches. Simpler than a balanced tree and, in JavaScript, faster.
import { type CompareKeys, compareKeys, compareNarrowKeys, isWideKey } from '../keys.ts'

const pieceMax = 512

interface Piece<V> {
  readonly keys: string[]
  readonly values: V[]
}

/** A map ordered by `compareKeys`. */
export class OrderedMap<V> {
  #pieces: Piece<V>[] = []
  #size = 0
  #compare: CompareKeys = compareNarrowKeys

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    const piece = this.#pieces[this.#pieceOf(key)]
    if (piece === undefined) return undefined
    const at = lowerBound(piece.keys, key, this.#compare)
    return piece.keys[at] === key ? piece.values[at] : undefined
  }

  set(key: string, value: V): void {
    if (this.#compare === compareNarrowKeys && isWideKey(key)) this.#widen()
    const index = this.#pieceOf(key)
    const piece = this.#pieces[index]
    if (piece === undefined) {
      this.#pieces.push({ keys: [key], values: [value] })
      this.#size++
      return
    }
    const at = lowerBound(piece.keys, key, this.#compare)
    if (piece.keys[at] === key) {
      piece.values[at] = value
      return
    }
    piece.keys.splice(at, 0, key)
    piece.values.splice(at, 0, value)
    this.#size++
    if (piece.keys.length > pieceMax) this.#split(index, at)
  }

  delete(key: string): void {
    const index = this.#pieceOf(key)
    const piece = this.#pieces[index]
    if (piece === undefined) return
    const at = lowerBound(piece.keys, key, this.#compare)
    if (piece.keys[at] !== key) return
    piece.keys.splice(at, 1)
    piece.values.splice(at, 1)
    this.#size--
    if (piece.keys.length === 0) this.#pieces.splice(index, 1)
  }

  /** Entries under `prefix` in order, strictly after `after` if given. The map must not change while this runs. */
  *entries(prefix: string, after?: string): Generator<readonly [string, V]> {
    const compare = this.#compareWith(prefix, after)
    const fromAfter = after !== undefined && compare(after, prefix) >= 0
    const start = fromAfter ? after : prefix
    for (let index = this.#pieceOf(start); index < this.#pieces.length; index++) {
      const { keys, values } = this.#pieces[index]!
      let at = lowerBound(keys, start, compare)
      if (fromAfter && keys[at] === start) at++
      for (; at < keys.length; at++) {
        const key = keys[at]!
        if (!key.startsWith(prefix)) return
        yield [key, values[at]!]
      }
    }
  }

  /** How many keys are under `prefix`, strictly after `after` if given. */
  count(prefix: string, after?: string): number {
    const compare = this.#compareWith(prefix, after)
    const fromAfter = after !== undefined && compare(after, prefix) >= 0
    if (fromAfter && !after.startsWith(prefix)) return 0
    const start = fromAfter ? after : prefix
    let count = 0
    for (let index = this.#pieceOf(start); index < this.#pieces.length; index++) {
      const { keys } = this.#pieces[index]!
      let at = lowerBound(keys, start, compare)
      if (fromAfter && keys[at] === start) at++
      if (at < keys.length && keys[keys.length - 1]!.startsWith(prefix)) {
        count += keys.length - at
        continue
      }
      while (at < keys.length && keys[at]!.startsWith(prefix)) {
        at++
        count++
      }
      if (at < keys.length) break
    }
    return count
  }

  // The last piece whose first key is not greater, or the first piece.
  #pieceOf(key: string): number {
    let low = 0
    let high = this.#pieces.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(this.#pieces[middle]!.keys[0]!, key) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  // Appending in order leaves full pieces behind; anything else splits in the middle.
  #split(index: number, at: number): void {
    const piece = this.#pieces[index]!
    const cut = at === piece.keys.length - 1 ? at : piece.keys.length >>> 1
    this.#pieces.splice(index + 1, 0, { keys: piece.keys.splice(cut), values: piece.values.splice(cut) })
  }

  // The first wide key: what is there is all narrow, hence in byte order already.
  #widen(): void {
    this.#compare = compareKeys
  }

  #compareWith(prefix: string, after: string | undefined): CompareKeys {
    return isWideKey(prefix) || (after !== undefined && isWideKey(after)) ? compareKeys : this.#compare
  }
}

function lowerBound(keys: readonly string[], key: string, compare: CompareKeys): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
