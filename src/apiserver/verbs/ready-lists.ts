// The items of lists that are read again and again, joined. A list's own metadata changes with every write anywhere; its items often
// stay for long, and many clients ask for the same ones at the same time (all of them, after a restart). Objects never change, so
// the same objects in the same order are the same bytes, whatever was asked that they are the answer to.
import type { Kind } from '#api/kind'
import type { StoredObject } from '../watch-cache/stored-object.ts'

interface Kept {
  readonly kind: Kind
  readonly items: readonly StoredObject[]
  readonly bytes: Buffer
}

const bytesMaxDefault = 8 * 1_048_576
// Of one list. A bigger one is made piece by piece, as it is sent.
const partMax = 1 / 2
const seenMax = 64

export class ReadyLists {
  readonly #bytesMax: number
  // The one used longest ago first.
  #kept: Kept[] = []
  readonly #seen = new Set<string>()
  #bytes = 0

  constructor(bytesMax = bytesMaxDefault) {
    this.#bytesMax = bytesMax
  }

  /** Bytes of all lists that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** The items as one text; undefined when they are not kept. */
  find(kind: Kind, items: readonly StoredObject[]): Buffer | undefined {
    const at = this.#kept.findIndex((kept) => kept.kind === kind && sameItems(kept.items, items))
    if (at < 0) return undefined
    const kept = this.#kept[at]!
    if (at < this.#kept.length - 1) this.#kept = [...this.#kept.slice(0, at), ...this.#kept.slice(at + 1), kept]
    return kept.bytes
  }

  /** Whether the list is worth making in one piece: it was asked for before, and is not too long. */
  isWanted(kind: Kind, items: readonly StoredObject[], bytes: number): boolean {
    if (items.length === 0 || bytes > this.#bytesMax * partMax) return false
    const print = printOf(kind, items)
    if (this.#seen.has(print)) return true
    if (this.#seen.size >= seenMax) this.#seen.clear()
    this.#seen.add(print)
    return false
  }

  /** Keeps a list; nobody changes its bytes from now on. */
  keep(kind: Kind, items: readonly StoredObject[], bytes: Buffer): void {
    this.#kept.push({ kind, items, bytes })
    this.#bytes += bytes.length
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#kept.shift()!.bytes.length
  }
}

function sameItems(a: readonly StoredObject[], b: readonly StoredObject[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

// Tells most lists from one another. No more hangs on it than whether a list is kept.
function printOf({ id }: Kind, items: readonly StoredObject[]): string {
  let revisions = 0
  for (const { revision } of items) revisions = (revisions * 31 + revision) % 1_000_000_007
  return `${id} ${items.length} ${items[0]!.key} ${items.at(-1)!.key} ${revisions}`
}
