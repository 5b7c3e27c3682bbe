// The bytes of objects that the store could give again, kept while they are wanted, within a bound: of a hundred thousand pods few
// are read at all. Beyond the bound the one that waited longest goes, unless it has been wanted since.

/** Something that can let go of its bytes, and get them again. */
export interface Coolable {
  /** Set whenever the bytes are asked for. */
  wanted: boolean
  /** Whether it waits here; set by WarmBytes alone. */
  warm: boolean
  /** How many bytes it holds. */
  readonly heldBytes: number
  cool(): void
}

export class WarmBytes {
  readonly #bytesMax: number
  // A queue in an array: what is before #head has left.
  #queue: (Coolable | undefined)[] = []
  #head = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Whether more can be held without letting go of anything. */
  get hasRoom(): boolean {
    return this.#bytes < this.#bytesMax
  }

  /** `item` holds its bytes and may be asked to let go of them. */
  hold(item: Coolable): void {
    if (item.warm) return
    item.warm = true
    item.wanted = false
    this.#queue.push(item)
    this.#bytes += item.heldBytes
    while (this.#bytes > this.#bytesMax && this.#queue.length - this.#head > 1) this.#passOldest()
  }

  #passOldest(): void {
    const oldest = this.#queue[this.#head]!
    this.#queue[this.#head++] = undefined
    if (oldest.wanted) {
      oldest.wanted = false
      this.#queue.push(oldest)
    } else {
      this.#bytes -= oldest.heldBytes
      oldest.warm = false
      oldest.cool()
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }
}
