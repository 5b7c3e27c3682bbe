// `StoredObject`: a cached object as bytes, with the little that is needed to find and to decode it.

import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { decodeObject } from '#api/protobuf/envelope'
import { isProtobuf } from '#api/protobuf/unknown'
import { compileDecoder } from '#api/schema/decode'
import { parseStored } from '#api/schema/json'
import { fromWire } from '#api/schema/wire'
import { type Decodable, type DecodedObjects, deepFreeze } from './decoded-objects.ts'
import { encodeStored, hasHead, peekString, peekText, type StoredHead, spliced, storedHead } from './stored-json.ts'
import type { CachedObject } from './watch-cache.ts'

export type Labels = Readonly<Record<string, string>>

const labelSetsMax = 10_000

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
  // Label sets repeat (every pod of a ReplicaSet has the same): equal texts share one object.
  readonly #labelSets = new Map<string, Labels>()

  constructor(kind: Kind, decoded: DecodedObjects, freeze: boolean, unsettled = false) {
    this.kind = kind
    this.unsettled = unsettled
    this.asStored = kind.custom && !unsettled ? new ObjectContext(kind, decoded, freeze, true) : undefined
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

/** One object at one revision; never changes. */
export class StoredObject<T extends KubeObject = KubeObject> implements CachedObject<T>, Decodable {
  readonly context: ObjectContext
  readonly key: string
  readonly revision: number
  readonly stored: Buffer
  lastUsed = 0
  #object: T | undefined
  #labels: Labels | undefined

  constructor(context: ObjectContext, key: string, stored: Buffer, revision: number) {
    this.context = context
    this.key = key
    this.revision = revision
    this.stored = stored
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
      const text = peekText(this.stored, labelsPath)
      this.#labels = text === undefined ? noLabels : this.context.labelsOf(text)
    }
    return this.#labels
  }

  get json(): Buffer {
    return spliced(this.stored, this.context.head, String(this.revision))
  }

  get storedBytes(): number {
    return this.stored.length
  }

  object(): T {
    if (this.#object !== undefined) {
      this.lastUsed = this.context.decoded.now
      return this.#object
    }
    const value: unknown = parseStored(this.stored.toString())
    return this.#keep(this.context.unsettled ? (value as KubeObject) : fromWire(this.context.kind.schema(), value))
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
    return this.#object === undefined ? peekString(this.stored, path) : this.field(fieldPath)
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
