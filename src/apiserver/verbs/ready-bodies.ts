// The bodies of objects that are read again and again. An object at one revision never changes, so what was made of it once can be
// sent again: a fresh body a request is five kilobytes to allocate, to fill and to collect, a sixth of what a GET costs, and in
// protobuf many times that. Kept within a bound, and only from the second reading on: most objects are read once.
import type { StoredObject } from '../watch-cache/stored-object.ts'

/** The forms that bodies are kept in: they follow from the object alone, and machines ask for them. */
export type ReadyForm = 'json' | 'protobuf'

interface Kept {
  json?: Buffer
  protobuf?: Buffer
}

const bytesMaxDefault = 2 * 1_048_576
// A body beyond this part of the bound would put out too many others.
const partMax = 1 / 16
const seenMax = 256

export class ReadyBodies {
  readonly #bytesMax: number
  // The one kept longest first.
  readonly #kept = new Map<StoredObject, Kept>()
  readonly #seen = new Set<StoredObject>()
  #bytes = 0

  constructor(bytesMax = bytesMaxDefault) {
    this.#bytesMax = bytesMax
  }

  /** Bytes of all bodies that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  find(object: StoredObject, form: ReadyForm): Buffer | undefined {
    return this.#kept.get(object)?.[form]
  }

  /** Tells of a body that was made; from now on nobody changes it. */
  made(object: StoredObject, form: ReadyForm, body: Buffer): void {
    if (body.length > this.#bytesMax * partMax) return
    const kept = this.#kept.get(object)
    if (kept === undefined && !this.#seen.delete(object)) {
      if (this.#seen.size >= seenMax) this.#seen.clear()
      this.#seen.add(object)
      return
    }
    this.#bytes += body.length
    if (kept === undefined) this.#kept.set(object, { [form]: body })
    else kept[form] = body
    for (const [oldest, { json, protobuf }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) break
      this.#kept.delete(oldest)
      this.#bytes -= (json?.length ?? 0) + (protobuf?.length ?? 0)
    }
  }
}
