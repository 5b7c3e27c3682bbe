// Buffers for the chunks of long lists, used again once they are sent. Made anew they would be megabytes a list outside V8's heap,
// which collects everything each time a few of them have come together.

export class ChunkPool {
  readonly chunkBytes: number
  readonly #freeMax: number
  readonly #free: Buffer[] = []

  constructor(chunkBytes: number, freeMax: number) {
    this.chunkBytes = chunkBytes
    this.#freeMax = freeMax
  }

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    if (bytes > this.chunkBytes) return Buffer.allocUnsafeSlow(bytes)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.chunkBytes)
  }

  /** Gives a buffer back that nobody reads any more. One that is never given back is garbage like any other. */
  giveBack(buffer: Buffer): void {
    if (buffer.length === this.chunkBytes && this.#free.length < this.#freeMax) this.#free.push(buffer)
  }
}
