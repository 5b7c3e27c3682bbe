// A write as one version of its resource: what the client named, or another one that a rule was written for. Objects come to
// admission in the version that is stored.
import { ApiError, internalError } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { familyOf } from '../../custom/family.ts'
import { inOtherVersion } from '../../custom/version-view.ts'
import type { KindCatalog } from '../../request.ts'
import { scaleHandler } from '../../subresources/scale.ts'
import { typeKind } from '../../subresources/type-kind.ts'
import type { AdmissionRequest } from '../plugin.ts'
import type { ResourceVersion } from './rules.ts'

export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** The version of the resource that the client named. */
export function requestedKind(request: AdmissionRequest, catalog: KindCatalog): Kind {
  const { origin, kind } = request
  if (origin === undefined) return kind
  return catalog.find(origin.group, origin.version, origin.resource) ?? kind
}

/** All versions of what is stored as this kind, the named one first. */
export function equivalentKinds(requested: Kind, catalog: KindCatalog): Kind[] {
  const storage = requested.strategy.storedAs ?? requested.id
  const others = catalog.all().filter((kind) => kind.id !== requested.id && (kind.strategy.storedAs ?? kind.id) === storage)
  return [requested, ...others]
}

export function resourceOf({ group, version, resource }: Kind): ResourceVersion {
  return { group, version, resource }
}

/** The body that a write of this subresource carries, when it is not the resource itself. */
export function bodyKind(kind: Kind, subresource: string, body: KubeObject | undefined): GroupVersionKind {
  if (subresource !== '') {
    const facts = kind.subresources.find(({ name }) => name === subresource)
    if (facts !== undefined && facts.kind !== kind.kind) {
      return { group: facts.group ?? kind.group, version: facts.version ?? kind.version, kind: facts.kind }
    }
    if (body !== undefined && body.kind !== kind.kind) return typeOf(body)
  }
  return { group: kind.group, version: kind.version, kind: kind.kind }
}

function typeOf({ apiVersion, kind }: KubeObject): GroupVersionKind {
  const slash = apiVersion.indexOf('/')
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind }
}

/** How the objects of one write look in one version. */
export interface VersionedWrite {
  /** Of the object in the request: Scale for `deployments/scale`. */
  readonly type: GroupVersionKind
  readonly object: KubeObject | undefined
  readonly old: KubeObject | undefined
  /** Whether the objects are of this kind itself, rather than bodies of a subresource. */
  readonly whole: boolean
}

// What custom resources look like in versions that only a webhook can tell.
const prepared = new WeakMap<AdmissionRequest, Map<Kind, Pick<VersionedWrite, 'object' | 'old'>>>()

/**
 * To be awaited before a write is looked at in a version: of custom resources, a webhook may have to be asked for it, once more after each
 * change of the object. Undefined: there is nothing to wait for. Throws InternalError.
 */
export function prepareVersion(request: AdmissionRequest, kind: Kind): Promise<void> | undefined {
  const { object, old, subresource } = request
  if (kind === request.kind || familyOf(kind)?.converter === undefined) return undefined
  if (subresource === 'scale' || bodyKind(kind, subresource, object ?? old).kind !== kind.kind) return undefined
  const known = prepared.get(request) ?? new Map<Kind, Pick<VersionedWrite, 'object' | 'old'>>()
  prepared.set(request, known)
  const before = known.get(kind)?.old
  return Promise.all([
    object === undefined ? undefined : inOtherVersion(object, kind),
    before ?? (old === undefined ? undefined : inOtherVersion(old, kind)),
  ]).then(
    ([newer, older]) => void known.set(kind, { object: newer, old: older }),
    (error: unknown) => {
      throw error instanceof ApiError ? internalError(error.message, error) : error
    },
  )
}

/** The Kind of the write's objects: `kind`, or one made up around the body of a subresource. */
export function kindOfBody({ type, whole }: VersionedWrite, kind: Kind, catalog: KindCatalog): Kind {
  if (whole) return kind
  return typeKind(catalog, { apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`, kind: type.kind })
}

export function inVersion(request: AdmissionRequest, kind: Kind): VersionedWrite {
  const { subresource, object, old } = request
  const view = subresource === 'scale' ? scaleHandler(request.kind) : undefined
  if (view !== undefined) {
    return {
      type: bodyKind(kind, subresource, undefined),
      object: object === undefined ? undefined : view.read(object),
      old: old === undefined ? undefined : view.read(old),
      whole: false,
    }
  }
  const type = bodyKind(kind, subresource, object ?? old)
  const whole = type.kind === kind.kind
  const ready = whole ? prepared.get(request)?.get(kind) : undefined
  if (ready !== undefined) return { type, ...ready, whole }
  const as = (one: KubeObject | undefined): KubeObject | undefined =>
    one === undefined || !whole ? one : toVersion(one, request.kind, kind)
  return { type, object: as(object), old: as(old), whole }
}

function toVersion(object: KubeObject, stored: Kind, kind: Kind): KubeObject {
  if (stored.id === kind.id) {
    if (object.apiVersion === kind.apiVersion && object.kind === kind.kind) return object
  } else if (kind.strategy.convert !== undefined) return kind.strategy.convert.fromStorage(object)
  else if (kind.custom) {
    const converted = inOtherVersion(object, kind)
    if (!(converted instanceof Promise)) return converted
    throw new Error('assertion failed: the version was not prepared')
  }
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind }
}

/** Brings a changed object of `kind` back into the write. A promise when a webhook must convert it. Throws InternalError. */
export function replaceObject(request: AdmissionRequest, kind: Kind, changed: KubeObject): Promise<void> | undefined {
  const { object, subresource } = request
  if (object === undefined) return undefined
  const view = subresource === 'scale' ? scaleHandler(request.kind) : undefined
  if (view !== undefined) {
    view.write(object, changed)
    return undefined
  }
  if (request.kind.custom && request.kind.id !== kind.id && changed.kind === kind.kind) {
    const converted = inOtherVersion(changed, request.kind)
    if (!(converted instanceof Promise)) return put(object, converted)
    return converted.then(
      (next) => put(object, next),
      (error: unknown) => {
        throw error instanceof ApiError ? internalError(error.message, error) : error
      },
    )
  }
  let next = changed
  if (request.kind.id !== kind.id && changed.kind === kind.kind) {
    next = kind.strategy.convert?.toStorage(changed) ?? { ...changed, apiVersion: request.kind.apiVersion, kind: request.kind.kind }
  }
  return put(object, next)
}

function put(object: KubeObject, next: KubeObject): undefined {
  const target = object as unknown as Record<string, unknown>
  for (const key of Object.keys(target)) if (!Object.hasOwn(next, key)) delete target[key]
  Object.assign(target, next)
}
