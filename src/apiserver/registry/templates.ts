// Bodies that are created again and again, and what was made of them up to admission. A controller that makes a hundred pods from one
// template sends the same bytes a hundred times, and decoding them, filling in defaults and naming their fields takes longer than
// all that follows: the second time a body comes, the result is kept, and from the third on it is copied.
//
// What is kept depends on the bytes and on what is compared with them here, and on nothing else; the times in it are set anew.
// Only objects whose name is generated: no other body can be created twice.
import type { KubeObject } from '#api/object'
import { timestamp } from '#base/clock'
import type { FieldValidation } from './call.ts'
import { cloneObject } from './written.ts'

/** All that decides, besides the bytes and the kind, what becomes of a body before admission. */
export interface BodyOrigin {
  readonly media: string
  readonly namespace: string
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
}

/** An object as it is before admission, to be copied. */
export interface Template {
  readonly object: KubeObject
  /** What the client is warned of each time. */
  readonly warnings: readonly string[]
}

interface Known {
  readonly origin: BodyOrigin
  readonly bytes: Buffer
  /** Undefined: seen once. */
  template: Template | undefined
}

const bodiesMax = 16
const bodyBytesMax = 16_384

/** The bodies of one kind that came lately, within bounds; newest first. */
export class Templates {
  readonly #known: Known[] = []

  /** What is kept of these bytes; 'seen': they came before, and nothing is kept yet; undefined: they are new, and seen from now on. */
  find(origin: BodyOrigin, bytes: Buffer): Template | 'seen' | undefined {
    const known = this.#known
    for (let i = 0; i < known.length; i++) {
      const one = known[i]!
      if (one.bytes.length !== bytes.length || !sameOrigin(one.origin, origin) || !one.bytes.equals(bytes)) continue
      if (i > 0) {
        known.splice(i, 1)
        known.unshift(one)
      }
      return one.template ?? 'seen'
    }
    return undefined
  }

  /** Remembers bytes that came for the first time. The caller keeps `bytes`. */
  see(origin: BodyOrigin, bytes: Buffer): void {
    if (bytes.length > bodyBytesMax) return
    if (this.#known.length >= bodiesMax) this.#known.pop()
    this.#known.unshift({ origin, bytes: Buffer.from(bytes), template: undefined })
  }

  /** Keeps what became of bytes that were seen. */
  keep(origin: BodyOrigin, bytes: Buffer, template: Template): void {
    const one = this.#known.find((known) => sameOrigin(known.origin, origin) && known.bytes.equals(bytes))
    if (one !== undefined) one.template = template
  }
}

function sameOrigin(a: BodyOrigin, b: BodyOrigin): boolean {
  return a.namespace === b.namespace && a.fieldManager === b.fieldManager && a.fieldValidation === b.fieldValidation && a.media === b.media
}

/** Whether what was made of a body may be kept: the name is generated, and who set which field is what the server found. */
export function canBeTemplate({ metadata }: KubeObject): boolean {
  return !metadata.name && Boolean(metadata.generateName) && !metadata.resourceVersion && metadata.managedFields === undefined
}

/** A private object from a template, with the time of now. */
export function fromTemplate({ object }: Template, nowMs: number): KubeObject {
  const copy = cloneObject(object)
  const { managedFields } = copy.metadata
  if (managedFields !== undefined) copy.metadata.managedFields = managedFields.map((entry) => ({ ...entry, time: timestamp(nowMs) }))
  return copy
}
