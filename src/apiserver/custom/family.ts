// The versions of one definition, which share their objects: each is stored in one version and seen in all of them.
import { ApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import type { WebhookConverter } from './webhook-converter.ts'

export interface Family {
  /** By apiVersion. Versions that are not served count too: objects may be stored in them. */
  readonly kinds: ReadonlyMap<string, Kind>
  /** What objects are written as. */
  readonly storage: Kind
  /** Absent: versions differ in nothing but their name and their schemas. */
  readonly converter?: WebhookConverter
}

const families = new WeakMap<Kind, Family>()

/** Makes one family of kinds that were made of one definition. */
export function joinFamily(kinds: readonly Kind[], storage: Kind, converter: WebhookConverter | undefined): void {
  const family: Family = {
    kinds: new Map(kinds.map((kind) => [kind.apiVersion, kind])),
    storage,
    ...(converter === undefined ? {} : { converter }),
  }
  for (const kind of kinds) families.set(kind, family)
}

export function familyOf(kind: Kind): Family | undefined {
  return families.get(kind)
}

/** A failure that Kubernetes passes on as it is: code 500 and no reason. */
export function conversionError(message: string, cause?: unknown): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 }, { cause })
}
