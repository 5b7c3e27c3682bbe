// A sorted collection in blocks: cheap to insert into, cheap to walk in key order from anywhere, small in memory.
// A plain sorted array would move megabytes for each new object of a large collection.

interface Keyed {
  readonly key: string
}

const blockMax = 512

/** Items in ascending order of their keys (UTF-16 order, which is byte order for the names that keys are made of). */
export class OrderedObjects<T extends Keyed> {
  #blocks: T[][] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds an item, or replaces the one with the same key. */
  set(item: T): void {
    const blocks = this.#blocks
    if (blocks.length === 0) {
      blocks.push([item])
      this.#size = 1
      return
    }
    const b = this.#blockOf(item.key)
    const block = blocks[b]!
    const i = lowerBound(block, item.key)
    if (block[i]?.key === item.key) {
      block[i] = item
      return
    }
    this.#size++
    if (i === block.length) block.push(item)
    else block.splice(i, 0, item)
    // Appending in order, as the first load does, fills blocks; anywhere else an overfull block is halved.
    if (block.length > blockMax) {
      const at = b === blocks.length - 1 && i === block.length - 1 ? block.length - 1 : block.length >> 1
      blocks.splice(b + 1, 0, block.splice(at))
    }
  }

  delete(key: string): void {
    if (this.#size === 0) return
    const b = this.#blockOf(key)
    const block = this.#blocks[b]!
    const i = lowerBound(block, key)
    if (block[i]?.key !== key) return
    block.splice(i, 1)
    this.#size--
    if (block.length === 0) this.#blocks.splice(b, 1)
  }

  /** The items whose keys begin with `prefix` and are greater than `after`; at most `limit`. */
  range(prefix: string, after = '', limit = Number.POSITIVE_INFINITY): T[] {
    const out: T[] = []
    const from = after > prefix ? after : prefix
    for (let b = this.#blockOf(from); b < this.#blocks.length; b++) {
      const block = this.#blocks[b]!
      for (let i = out.length === 0 ? lowerBound(block, from) : 0; i < block.length; i++) {
        const item = block[i]!
        if (item.key <= after) continue
        if (!item.key.startsWith(prefix)) return out
        if (out.length >= limit) return out
        out.push(item)
      }
    }
    return out
  }

  /** How many keys begin with `prefix` and are greater than `after`. */
  count(prefix: string, after = ''): number {
    const end = this.#rank(`${prefix}\uffff`, false)
    const start = after > prefix ? this.#rank(after, true) : this.#rank(prefix, false)
    return Math.max(0, end - start)
  }

  // How many keys are less than `key` (or equal, if `inclusive`).
  #rank(key: string, inclusive: boolean): number {
    if (this.#size === 0) return 0
    const b = this.#blockOf(key)
    let rank = 0
    for (let i = 0; i < b; i++) rank += this.#blocks[i]!.length
    const block = this.#blocks[b]!
    const i = lowerBound(block, key)
    return rank + i + (inclusive && block[i]?.key === key ? 1 : 0)
  }

  // The last block whose first key is not greater than `key`.
  #blockOf(key: string): number {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#blocks[middle]![0]!.key <= key) low = middle
      else high = middle - 1
    }
    return low
  }
}

function lowerBound<T extends Keyed>(block: readonly T[], key: string): number {
  let low = 0
  let high = block.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (block[middle]!.key < key) low = middle + 1
    else high = middle
  }
  return low
}
