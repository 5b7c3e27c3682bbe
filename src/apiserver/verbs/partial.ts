// PartialObjectMetadata: an object's metadata alone, cut from its bytes.
import { findValue } from '../watch-cache/stored-json.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'

const metadataPath = [Buffer.from('metadata')]

/** Metadata as JSON, resourceVersion included. */
export function metadataText(object: StoredObject): string {
  return object.look((stored) => {
    const place = findValue(stored, metadataPath)
    if (place === undefined) throw new Error('assertion failed: a stored object has metadata')
    return `{"resourceVersion":"${object.revision}",${stored.toString('utf8', place[0] + 1, place[1])}`
  })
}

export function partialText(object: StoredObject, metaVersion: string): string {
  return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${metadataText(object)}}`
}
