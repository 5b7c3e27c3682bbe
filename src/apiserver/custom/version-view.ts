// One version of a custom kind over the objects of its definition, which may be stored in any version of it: how what is stored comes to
// look like this version, and how an object of this version is stored. As Kubernetes does it: what is read is put into the form that
// its own version has now (pruned, defaults filled in), then converted, then pruned by the version that it is shown in.
import type { ConvertObject } from '#api/apply/versions'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { parseStored } from '#api/schema/json'
import { stringifyJson } from '#api/schema/stringify'
import { cloneJson } from '../registry/written.ts'
import { encodeStored, peekString } from '../watch-cache/stored-json.ts'
import { ObjectContext, StoredObject } from '../watch-cache/stored-object.ts'
import { conversionError, type Family, familyOf } from './family.ts'
import { pruneObject, settleObject } from './settle-value.ts'

type Json = Record<string, unknown>

export interface VersionView {
  /** This version is the one that objects are stored in. */
  readonly isStorage: boolean
  /** What shown objects share. */
  readonly context: ObjectContext
  /** The object as this version; undefined when a webhook must be asked first. */
  now(object: StoredObject): StoredObject | undefined
  show(object: StoredObject): StoredObject | Promise<StoredObject>
  /** All of them, in order; a webhook is asked about many at once. */
  showAll(objects: readonly StoredObject[]): Promise<readonly StoredObject[]>
  /** What to store for an object of this version. */
  encode(object: KubeObject): Buffer | Promise<Buffer>
  /** The bytes that a shown object was made of: when a write of the same object would store others, it is a change all the same. */
  storedBytes(object: StoredObject): Buffer
  /**
   * Runs what looks at objects in several versions, with a function that converts them. `run` must come to the same each time: it is
   * called anew when an answer of the webhook has come that it waits for.
   */
  converting<R>(run: (convert: ConvertObject | undefined) => R): R | Promise<R>
}

// Objects that are put into form before others get a turn.
const turnItems = 100

export function versionView(kind: Kind, shared: ObjectContext): VersionView {
  const context = shared.kind === kind ? shared : new ObjectContext(kind, shared.decoded, shared.freeze)
  const shown = new WeakMap<StoredObject, StoredObject>()
  const waiting = new WeakMap<StoredObject, Promise<StoredObject>>()
  const sources = new WeakMap<StoredObject, StoredObject>()

  const make = (object: StoredObject, value: Json): StoredObject => {
    const bytes = encodeStored(kind, value as unknown as KubeObject)
    // Mostly nothing was to be done: then the bytes are shared.
    const same = bytes.equals(object.stored)
    const made = new StoredObject(context, object.key, same ? object.stored : bytes, object.revision)
    shown.set(object, made)
    if (!same) sources.set(made, object)
    return made
  }

  const now = (object: StoredObject): StoredObject | undefined => {
    if (object.context === context) return object
    const known = shown.get(object)
    if (known !== undefined) return known
    const family = familyOf(kind)!
    const { value, from } = settled(object, family)
    if (from === kind.apiVersion) return make(object, value)
    if (family.converter !== undefined) return undefined
    return make(object, renamed(value, kind))
  }

  const ask = async (objects: readonly StoredObject[]): Promise<StoredObject[]> => {
    const family = familyOf(kind)!
    const values = objects.map((object) => settled(object, family).value)
    const converted = await family.converter!.convert(values, kind.apiVersion)
    return objects.map((object, i) => {
      pruneObject(converted[i]!, kind)
      return make(object, converted[i]!)
    })
  }

  const show = (object: StoredObject): StoredObject | Promise<StoredObject> => {
    const ready = now(object)
    if (ready !== undefined) return ready
    let asked = waiting.get(object)
    if (asked === undefined) {
      asked = ask([object]).then(
        ([made]) => made!,
        (error: unknown) => {
          waiting.delete(object)
          throw error
        },
      )
      waiting.set(object, asked)
    }
    return asked
  }

  return {
    isStorage: familyOf(kind)?.storage === kind,
    context,
    now,
    show,
    async showAll(objects) {
      const out: (StoredObject | undefined)[] = []
      const open: number[] = []
      for (const [i, object] of objects.entries()) {
        if (i % turnItems === turnItems - 1) await new Promise((resolve) => setImmediate(resolve))
        out[i] = now(object)
        if (out[i] === undefined) open.push(i)
      }
      if (open.length > 0) {
        const made = await ask(open.map((i) => objects[i]!))
        for (const [at, i] of open.entries()) out[i] = made[at]
      }
      return out as StoredObject[]
    },
    encode(object) {
      const { storage, converter } = familyOf(kind)!
      if (kind === storage) return encodeStored(kind, object)
      const finish = (value: Json): Buffer => {
        pruneObject(value, storage)
        return encodeStored(storage, value as unknown as KubeObject)
      }
      const value = forStorage(object)
      if (converter === undefined) return finish(renamed(value, storage))
      return converter.convert([value], storage.apiVersion).then(([converted]) => finish(converted!))
    },
    storedBytes: (object) => (sources.get(object) ?? object).stored,
    converting: (run) => runConverting(familyOf(kind)!, kind, run),
  }
}

/** An object of a custom kind as another version of its family; not changed itself. */
export function inOtherVersion(object: KubeObject, to: Kind): KubeObject | Promise<KubeObject> {
  return converted(familyOf(to)!, cloneJson(object) as unknown as Json, to) as unknown as KubeObject | Promise<KubeObject>
}

function converted(family: Family, value: Json, to: Kind): Json | Promise<Json> {
  if (value['apiVersion'] === to.apiVersion) return value
  const { converter } = family
  if (converter === undefined || isBlank(value)) return renamed(value, to)
  return converter.convert([value], to.apiVersion).then(([answer]) => {
    pruneObject(answer!, to)
    return answer!
  })
}

// No object yet: what an object is compared with that is about to be made.
function isBlank(value: Json): boolean {
  return (
    Object.keys(value).every((name) => name === 'apiVersion' || name === 'kind' || name === 'metadata') &&
    !(value['metadata'] as Json)?.['name']
  )
}

class ConversionWanted extends Error {
  readonly key: string
  readonly value: Json
  readonly to: Kind
  constructor(key: string, value: Json, to: Kind) {
    super('a conversion is wanted')
    this.key = key
    this.value = value
    this.to = to
  }
}

// Managers of one object write through few versions.
const conversionsMax = 200

function runConverting<R>(family: Family, own: Kind, run: (convert: ConvertObject | undefined) => R): R | Promise<R> {
  if (family.kinds.size === 1) return run(undefined)
  const known = new Map<string, Json>()
  const convert: ConvertObject = (object, apiVersion) => {
    const to = family.kinds.get(apiVersion)
    if (to === undefined) return undefined
    const value: Json = { apiVersion: own.apiVersion, kind: own.kind, ...cloneJson(object as Json) }
    if (family.converter === undefined || value['apiVersion'] === apiVersion || isBlank(value)) {
      return { schema: to.schema(), object: converted(family, value, to) }
    }
    const key = `${apiVersion} ${stringifyJson(value)}`
    const answer = known.get(key)
    if (answer === undefined) throw new ConversionWanted(key, value, to)
    return { schema: to.schema(), object: answer }
  }
  const attempt = (left: number): R | Promise<R> => {
    try {
      return run(convert)
    } catch (error) {
      if (!(error instanceof ConversionWanted) || left === 0) throw error
      return Promise.resolve(converted(family, error.value, error.to)).then((answer) => {
        known.set(error.key, answer)
        return attempt(left - 1)
      })
    }
  }
  return attempt(conversionsMax)
}

const apiVersionPath = [Buffer.from('apiVersion')]

// The stored object in the form that its version has now.
function settled(object: StoredObject, family: Family): { value: Json; from: string } {
  const from = object.context.unsettled ? peekString(object.stored, apiVersionPath) : object.context.kind.apiVersion
  const own = family.kinds.get(from)
  if (own === undefined) throw conversionError(`request to convert CR from an invalid group/version: ${from}`)
  const value = parseStored(object.stored.toString()) as Json
  settleObject(value, own)
  return { value, from }
}

function renamed(value: Json, kind: Kind): Json {
  const object: Json = { ...value, apiVersion: kind.apiVersion, kind: kind.kind }
  pruneObject(object, kind)
  return object
}

// resourceVersion is the store's.
function forStorage(object: KubeObject): Json {
  const copy = cloneJson(object) as unknown as Json
  delete (copy['metadata'] as Json)['resourceVersion']
  return copy
}
