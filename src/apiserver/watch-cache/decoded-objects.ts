// Decoded forms of cached objects, bounded: bytes are what a cache holds, decoded objects only what was asked for lately.
import type { KubeObject } from '#api/object'

/** Something that can forget its decoded form. */
export interface Decodable {
  /** The sweep in which it was used last. */
  lastUsed: number
  readonly storedBytes: number
  forget(): void
}

export interface DecodedObjectsLimits {
  /** Stored bytes of the objects that may be held decoded (a decoded object takes several times its bytes). */
  readonly storedBytesMax: number
}

/** Keeps track of who is decoded, and lets go of those that were not used since the last sweep. */
export class DecodedObjects {
  readonly #storedBytesMax: number
  readonly #justWritten = new WeakMap<Buffer, KubeObject>()
  #held: Decodable[] = []
  #heldBytes = 0
  #sweep = 1

  constructor({ storedBytesMax }: DecodedObjectsLimits) {
    this.#storedBytesMax = storedBytesMax
  }

  get now(): number {
    return this.#sweep
  }

  /** The writer leaves the object with the bytes it hands to the store; the store's event brings the very same bytes. */
  leave(stored: Buffer, object: KubeObject): void {
    this.#justWritten.set(stored, object)
  }

  take(stored: Buffer): KubeObject | undefined {
    const object = this.#justWritten.get(stored)
    if (object !== undefined) this.#justWritten.delete(stored)
    return object
  }

  /** `item` has just been decoded. */
  hold(item: Decodable): void {
    item.lastUsed = this.#sweep
    this.#held.push(item)
    this.#heldBytes += item.storedBytes
    if (this.#heldBytes > this.#storedBytesMax) this.#letGo()
  }

  // Drops what was not used since the last sweep; if that is less than half, the oldest half goes.
  #letGo(): void {
    const limit = this.#storedBytesMax / 2
    const used: Decodable[] = []
    let bytes = 0
    for (let i = this.#held.length - 1; i >= 0; i--) {
      const item = this.#held[i]!
      if (item.lastUsed === this.#sweep && bytes + item.storedBytes <= limit) {
        used.push(item)
        bytes += item.storedBytes
      } else {
        item.forget()
      }
    }
    this.#held = used.reverse()
    this.#heldBytes = bytes
    this.#sweep++
  }
}

/** Freezes an object to the bottom. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const child of Object.values(value)) deepFreeze(child)
  }
  return value
}
