// Watch events as they go over the wire, one line of JSON (or one length-delimited message) each, encoded once for all watchers
// that want the same form.
import type { StatusBody } from '#api/errors'
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import { splicedLength, spliceInto } from '../watch-cache/stored-json.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import type { CachedObject, CacheEvent, EventType } from '../watch-cache/watch-cache.ts'
import type { Output } from './negotiate.ts'
import { partialText } from './partial.ts'
import { frameBookmark, frameError, frameObject } from './protobuf.ts'
import type { Served } from './served.ts'
import { bookmarkRow, columnDefinitions, type IncludeObject, rowText, tableHead } from './table.ts'

/** Frames of one watch. */
export interface FrameMaker {
  readonly contentType: string
  /** `event` is absent for what was there before the watch began. */
  event(type: EventType, object: CachedObject, event: CacheEvent | undefined): Buffer
  bookmark(revision: number, initialEventsEnd: boolean): Buffer
  error(status: StatusBody): Buffer
}

// Watches of one kind that want the same form share a maker. Tables do not: each tells its columns once.
const shared = new WeakMap<Served, Map<string, FrameMaker>>()

export function createFrameMaker(served: Served, output: Output, includeObject: IncludeObject, clock: Clock): FrameMaker {
  if (output.as === 'Table') return makeFrames(served, output, includeObject, clock)
  const form = `${output.media} ${output.as} ${output.metaVersion}`
  let makers = shared.get(served)
  if (makers === undefined) {
    makers = new Map()
    shared.set(served, makers)
  }
  let maker = makers.get(form)
  if (maker === undefined) {
    maker = makeFrames(served, output, includeObject, clock)
    makers.set(form, maker)
  }
  return maker
}

// A custom kind may come again under its id with another schema, while events are remembered as they were shown by the one before.
const customForms = new WeakMap<Kind, string>()
let formsMade = 0

function formOf(kind: Kind): string {
  if (!kind.custom) return kind.id
  const known = customForms.get(kind)
  if (known !== undefined) return known
  const form = `${kind.id} ${++formsMade}`
  customForms.set(kind, form)
  return form
}

function makeFrames(served: Served, output: Output, includeObject: IncludeObject, clock: Clock): FrameMaker {
  const { kind } = served
  const { metaVersion, media } = output
  const base = `${formOf(kind)} ${media} ${output.as} ${metaVersion} ${includeObject}`
  const keys = { ADDED: `${base} ADDED`, MODIFIED: `${base} MODIFIED`, DELETED: `${base} DELETED` }
  // Only the first event of a table says its columns.
  let columns = output.as === 'Table' ? columnDefinitions(kind) : ''

  const text = (object: StoredObject): string => {
    if (output.as !== 'Table') return partialText(object, metaVersion)
    const row = rowText(object, includeObject, metaVersion, clock.now())
    return `${tableHead(metaVersion, `{"resourceVersion":"${object.revision}"}`, columns)}${row}]}`
  }
  const make = (type: EventType, object: CachedObject): Buffer => {
    const shown = served.view(object)
    if (media === 'protobuf') return frameObject(type, shown, output)
    return output.as === 'object' ? jsonFrame(type, shown) : textFrame(type, text(shown))
  }
  return {
    contentType: media === 'protobuf' ? 'application/vnd.kubernetes.protobuf;stream=watch' : 'application/json',
    event(type, object, event) {
      const frame = event === undefined || columns.length > 4 ? make(type, object) : event.encoded(keys[type], () => make(type, object))
      if (columns !== '') columns = 'null'
      return frame
    },
    bookmark(revision, initialEventsEnd) {
      const annotations = initialEventsEnd ? ',"annotations":{"k8s.io/initial-events-end":"true"}' : ''
      const metadata = `{"resourceVersion":"${revision}"${annotations}}`
      if (media === 'protobuf') return frameBookmark(kind, revision, initialEventsEnd, output)
      return textFrame('BOOKMARK', bookmarkText(kind, output, metadata, columns))
    },
    error: (status) => (media === 'protobuf' ? frameError(status) : textFrame('ERROR', JSON.stringify(status))),
  }
}

function bookmarkText(kind: Kind, { as, metaVersion }: Output, metadata: string, columns: string): string {
  if (as === 'object') return `{"kind":"${kind.kind}","apiVersion":"${kind.apiVersion}","metadata":${metadata}}`
  if (as !== 'Table') return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${metadata}}`
  return `${tableHead(metaVersion, metadata, columns === '' ? 'null' : columns)}${bookmarkRow(kind, metaVersion, metadata)}]}`
}

function textFrame(type: string, json: string): Buffer {
  return Buffer.from(`{"type":"${type}","object":${json}}\n`)
}

const openings: Readonly<Record<EventType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
}
const closing = Buffer.from('}\n')

function jsonFrame(type: EventType, object: StoredObject): Buffer {
  const version = String(object.revision)
  const { head } = object.context
  const opening = openings[type]
  const out = Buffer.allocUnsafeSlow(opening.length + splicedLength(object.storedLength, head, version, false) + closing.length)
  const begin = opening.copy(out)
  closing.copy(
    out,
    object.look((stored) => spliceInto(out, begin, stored, head, version, false)),
  )
  return out
}
