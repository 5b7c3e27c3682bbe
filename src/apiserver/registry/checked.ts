// Objects that were created lately, hence valid, and what was said of them: the next one that is made from the same template need not
// be looked at as closely, and is the same object but for metadata. Whether two objects are alike is the kind's to say
// (`Strategy.alike`, `Strategy.sameForValidation`).
import type { Kind, Strategy } from '#api/kind'
import type { KubeObject } from '#api/object'
import { storedRest } from '../watch-cache/stored-json.ts'
import { sameJson } from './written.ts'

/** An object that was found valid; nobody changes it any more. */
export class Valid<T extends KubeObject> {
  readonly #kind: Kind
  readonly object: T
  readonly warnings: readonly string[]
  #rest: Buffer | undefined

  constructor(kind: Kind, object: T, warnings: readonly string[]) {
    this.#kind = kind
    this.object = object
    this.warnings = warnings
  }

  /** Its bytes after metadata. */
  get rest(): Buffer {
    this.#rest ??= storedRest(this.#kind, this.object)
    return this.#rest
  }
}

/** A valid object with the same content as another one: all but metadata. */
export interface Same<T extends KubeObject> {
  readonly valid: Valid<T>
  /** Whatever is checked or warned of is the same too. */
  readonly alike: boolean
}

const validMax = 4

type Fields = Record<string, unknown>

/** The last objects of one kind that were created. */
export class Checked<T extends KubeObject> {
  readonly #kind: Kind<T>
  readonly #valid: Valid<T>[] = []
  #next = 0

  constructor(kind: Kind<T>) {
    this.#kind = kind
  }

  /**
   * A valid object with the same content; `object` then has that very content: what many objects share is kept once. It must be
   * complete, and not be changed any more after metadata.
   */
  find(object: T): Same<T> | undefined {
    const { strategy } = this.#kind
    if (!tells(strategy)) return undefined
    let same: Valid<T> | undefined
    for (const valid of this.#valid) {
      if (!sameContent(object, valid.object)) continue
      if (same === undefined) shareContent(object, valid.object)
      same ??= valid
      if (strategy.alike?.(object, valid.object) === true) return { valid, alike: true }
    }
    return same === undefined ? undefined : { valid: same, alike: false }
  }

  add(object: T, warnings: readonly string[]): void {
    if (!tells(this.#kind.strategy)) return
    this.#valid[this.#next] = new Valid(this.#kind as unknown as Kind, object, warnings)
    this.#next = (this.#next + 1) % validMax
  }
}

// Kinds that say nothing of which objects are checked with one outcome have each of them checked.
function tells({ alike, sameForValidation }: Pick<Strategy<never>, 'alike' | 'sameForValidation'>): boolean {
  return alike !== undefined || sameForValidation !== undefined
}

function sameContent(object: KubeObject, other: KubeObject): boolean {
  const [a, b] = [object as KubeObject & Fields, other as KubeObject & Fields]
  for (const name in a) if (name !== 'metadata' && !sameJson(a[name], b[name])) return false
  for (const name in b) if (name !== 'metadata' && b[name] !== undefined && a[name] === undefined) return false
  return true
}

function shareContent(object: KubeObject, from: KubeObject): void {
  const [a, b] = [object as KubeObject & Fields, from as KubeObject & Fields]
  for (const name in b) if (name !== 'metadata') a[name] = b[name]
}
