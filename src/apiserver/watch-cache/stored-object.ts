// `StoredObject`: a cached object as bytes, with the little that is needed to find and to decode it.

import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { decodeObject } from '#api/protobuf/envelope'
import { isProtobuf } from '#api/protobuf/unknown'
import { compileDecoder } from '#api/schema/decode'
import { parseStored } from '#api/schema/json'
import { type Decodable, type DecodedObjects, deepFreeze } from './decoded-objects.ts'
import { encodeStored, hasHead, peekString, peekText, readStoredText, type StoredHead, spliced, storedHead } from './stored-json.ts'
import type { Coolable, WarmBytes } from './warm-bytes.ts'
import type { CachedObject } from './watch-cache.ts'

export type Labels = Readonly<Record<string, string>>

const labelSetsMax = 10_000

/** Where bytes can be had again, so that they need not be held. */
export interface BytesSource {
  readonly warm: WarmBytes
  /**
   * The value that `key` got at `revision`, as the store has it. Throws when it cannot be had. With `inPassing` it is good only until
   * anything else is read.
   */
  read(key: string, revision: number, inPassing: boolean): Buffer
}

/** What the objects of one cache share. */
export class ObjectContext {
  readonly kind: Kind
  readonly head: StoredHead
  readonly decoded: DecodedObjects
  readonly freeze: boolean
  /** Length of the storage prefix with its slash: what follows in a key is `namespace/name` or `name`. */
  readonly prefixLength: number
  /**
   * Bytes are as the store has them, perhaps of another version or by an older schema: they are put into form when they are wanted
   * (custom/version-view.ts).
   */
  readonly unsettled: boolean
  /** Of objects that this process did not write just now; for custom kinds. */
  readonly asStored: ObjectContext | undefined
  /** Absent: objects hold their bytes. */
  readonly source: BytesSource | undefined
  // Label sets repeat (every pod of a ReplicaSet has the same): equal texts share one object.
  readonly #labelSets = new Map<string, Labels>()

  constructor(kind: Kind, decoded: DecodedObjects, freeze: boolean, unsettled = false, source?: BytesSource) {
    this.kind = kind
    this.unsettled = unsettled
    this.asStored = kind.custom && !unsettled ? new ObjectContext(kind, decoded, freeze, true) : undefined
    this.source = source
    this.head = storedHead(kind.apiVersion, kind.kind, kind.custom)
    this.decoded = decoded
    this.freeze = freeze
    this.prefixLength = kind.storagePrefix.length + 1
  }

  labelsOf(text: string): Labels {
    let labels = this.#labelSets.get(text)
    if (labels === undefined) {
      labels = JSON.parse(text) as Labels
      if (this.#labelSets.size >= labelSetsMax) this.#labelSets.clear()
      this.#labelSets.set(text, labels)
    }
    return labels
  }
}

const labelsPath = [Buffer.from('metadata'), Buffer.from('labels')]
const noLabels: Labels = {}

/**
 * One object at one revision; never changes. It holds its bytes, or, when its context has a source, may leave them there: then they
 * are read when they are asked for, and held while they are wanted.
 */
export class StoredObject<T extends KubeObject = KubeObject> implements CachedObject<T>, Decodable, Coolable {
  readonly context: ObjectContext
  readonly key: string
  readonly revision: number
  lastUsed = 0
  wanted = false
  warm = false
  /** 0 until the bytes are first read. */
  storedBytes: number
  #stored: Buffer | undefined
  #pinned: boolean
  #object: T | undefined
  #labels: Labels | undefined

  constructor(context: ObjectContext, key: string, stored: Buffer | undefined, revision: number) {
    this.context = context
    this.key = key
    this.revision = revision
    this.storedBytes = stored?.length ?? 0
    this.#stored = stored
    this.#pinned = stored !== undefined
  }

  get stored(): Buffer {
    this.wanted = true
    return this.#stored ?? this.#fetch(true)
  }

  /** How many bytes `stored` has. */
  get storedLength(): number {
    if (this.storedBytes === 0) this.look(() => undefined)
    return this.storedBytes
  }

  get heldBytes(): number {
    return this.#stored?.length ?? 0
  }

  /**
   * Looks at the bytes without holding on to them for the sake of this alone, save when there is room for more. They are good only
   * within `at`, which must not look at another object.
   */
  look<R>(at: (stored: Buffer) => R): R {
    return at(this.#stored ?? this.#fetch(this.context.source!.warm.hasRoom))
  }

  #fetch(hold: boolean): Buffer {
    const { source, kind } = this.context
    const value = source!.read(this.key, this.revision, !hold)
    const stored = hasHead(value, this.context.head) ? value : canonicalBytes(kind, value)
    this.storedBytes = stored.length
    if (hold) {
      this.#stored = stored
      source!.warm.hold(this)
    }
    return stored
  }

  /** The source may forget this revision: from now on the bytes are held. `value`: what the store had. */
  pin(value: Buffer | undefined): void {
    if (this.#pinned) return
    if (value !== undefined) this.#stored ??= hasHead(value, this.context.head) ? value : canonicalBytes(this.context.kind, value)
    else if (this.#stored === undefined) this.#fetch(true)
    this.storedBytes = this.#stored!.length
    this.#pinned = true
  }

  /** The source has this revision for as long as it is asked for. */
  unpin(): void {
    if (!this.#pinned || this.context.source === undefined) return
    this.#pinned = false
    this.context.source.warm.hold(this)
  }

  cool(): void {
    if (!this.#pinned) this.#stored = undefined
  }

  /** From bytes of the store. What Kubernetes or somebody else wrote, in protobuf or in another order, is put into our form. */
  static read(context: ObjectContext, key: string, value: Buffer, revision: number): StoredObject {
    const { asStored } = context
    if (asStored !== undefined) {
      const written = context.decoded.take(value)
      const object = new StoredObject(written === undefined ? asStored : context, key, value, revision)
      if (written !== undefined) object.#keep(written)
      return object
    }
    if (hasHead(value, context.head)) {
      const written = context.decoded.take(value)
      const object = new StoredObject(context, key, value, revision)
      if (written !== undefined) object.#keep(written)
      return object
    }
    return new StoredObject(context, key, canonicalBytes(context.kind, value), revision)
  }

  /** The same content under another revision: what a deletion reports. */
  at(revision: number): StoredObject<T> {
    const copy = new StoredObject<T>(this.context, this.key, this.stored, revision)
    copy.#labels = this.#labels
    return copy
  }

  get namespace(): string {
    if (!this.context.kind.namespaced) return ''
    return this.key.slice(this.context.prefixLength, this.key.indexOf('/', this.context.prefixLength))
  }

  get name(): string {
    return this.key.slice(this.key.lastIndexOf('/') + 1)
  }

  get labels(): Labels {
    if (this.#labels === undefined) {
      const text = this.look((stored) => peekText(stored, labelsPath))
      this.#labels = text === undefined ? noLabels : this.context.labelsOf(text)
    }
    return this.#labels
  }

  get json(): Buffer {
    return spliced(this.stored, this.context.head, String(this.revision))
  }

  object(): T {
    if (this.#object !== undefined) {
      this.lastUsed = this.context.decoded.now
      return this.#object
    }
    const { kind, head, unsettled } = this.context
    const text = this.look((stored) => stored.toString())
    if (unsettled) return this.#keep(parseStored(text) as KubeObject)
    return this.#keep(readStoredText(kind, head, text))
  }

  /** The decoded form, if it is at hand. */
  get decodedNow(): T | undefined {
    return this.#object
  }

  field(path: string): string {
    if (path === 'metadata.name') return this.name
    if (path === 'metadata.namespace') return this.namespace
    const read = this.context.kind.strategy.selectableFields?.[path]
    return read === undefined ? '' : read(this.object())
  }

  /** A string straight from the bytes, or from the decoded object when there is one. */
  peek(path: readonly Buffer[], fieldPath: string): string {
    return this.#object === undefined ? this.look((stored) => peekString(stored, path)) : this.field(fieldPath)
  }

  forget(): void {
    this.#object = undefined
  }

  #keep(object: KubeObject): T {
    object.metadata.resourceVersion = String(this.revision)
    const kept = (this.context.freeze ? deepFreeze(object) : object) as T
    this.#object = kept
    // May let go of this very object at once, when it is a big one.
    this.context.decoded.hold(this)
    return kept
  }
}

function canonicalBytes(kind: Kind, value: Buffer): Buffer {
  const schema = kind.schema()
  const object = isProtobuf(value)
    ? (decodeObject(value).object as unknown as KubeObject)
    : compileDecoder<KubeObject>(schema)(parseStored(value.toString()), 'ignore').object
  return encodeStored(kind, object)
}
