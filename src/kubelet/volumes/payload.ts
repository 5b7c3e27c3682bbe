// The files of configMap, secret, downwardAPI and projected volumes, as data: relative path to content and mode.
import { posix } from 'node:path'
import type { ConfigMap, KeyToPath, Pod, Secret, Volume, VolumeProjection } from '#api/generated/core-v1'
import { type DownwardContext, fieldValue, resourceValue } from '../downward.ts'

export interface PayloadFile {
  readonly data: Uint8Array
  /** Permission bits. */
  readonly mode: number
  /** Owner, when it is not root. */
  readonly uid?: number
}

/** By path relative to the volume, with `/` between components. */
export type Payload = Map<string, PayloadFile>

export interface PayloadSources {
  configMap(name: string): Promise<ConfigMap | undefined>
  secret(name: string): Promise<Secret | undefined>
  token(audience: string, expirationSeconds: number): Promise<string>
  readonly downward: DownwardContext
}

const defaultMode = 0o644
const pathCharsMax = 4_096

/** The payload of a volume that the API fills, or undefined for volumes of other kinds. Throws when something required is missing. */
export async function volumePayload(pod: Pod, volume: Volume, sources: PayloadSources): Promise<Payload | undefined> {
  const payload: Payload = new Map()
  if (volume.configMap !== undefined) {
    const { name = '', items, optional } = volume.configMap
    await addConfigMap(payload, { name, items, optional, mode: volume.configMap.defaultMode ?? defaultMode }, sources)
  } else if (volume.secret !== undefined) {
    const { secretName = '', items, optional } = volume.secret
    await addSecret(payload, { name: secretName, items, optional, mode: volume.secret.defaultMode ?? defaultMode }, sources)
  } else if (volume.downwardAPI !== undefined) {
    addDownward(pod, payload, volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? defaultMode, sources.downward)
  } else if (volume.projected !== undefined) {
    const mode = volume.projected.defaultMode ?? defaultMode
    for (const projection of volume.projected.sources ?? []) await addProjection(pod, payload, projection, mode, sources)
  } else return undefined
  return payload
}

async function addProjection(
  pod: Pod,
  payload: Payload,
  projection: VolumeProjection,
  mode: number,
  sources: PayloadSources,
): Promise<void> {
  if (projection.configMap !== undefined) {
    const { name = '', items, optional } = projection.configMap
    await addConfigMap(payload, { name, items, optional, mode }, sources)
  }
  if (projection.secret !== undefined) {
    const { name = '', items, optional } = projection.secret
    await addSecret(payload, { name, items, optional, mode }, sources)
  }
  if (projection.downwardAPI !== undefined) addDownward(pod, payload, projection.downwardAPI.items ?? [], mode, sources.downward)
  if (projection.serviceAccountToken !== undefined) {
    const { audience = '', expirationSeconds = 3600, path } = projection.serviceAccountToken
    const token = await sources.token(audience, expirationSeconds)
    put(payload, path, { data: Buffer.from(token), ...tokenAccess(pod, mode) })
  }
}

/** KEP-2451: a token is readable by the one user that the pod runs as, or by the pod's group, and by nobody else. */
function tokenAccess(pod: Pod, mode: number): { mode: number; uid?: number } {
  const uid = commonUser(pod)
  const { fsGroup } = pod.spec.securityContext ?? {}
  if (uid === undefined && fsGroup === undefined) return { mode }
  return uid === undefined ? { mode: 0o600 } : { mode: 0o600, uid }
}

/** The user that every container of the pod runs as, if the spec says one. */
function commonUser(pod: Pod): number | undefined {
  const shared = pod.spec.securityContext?.runAsUser
  const users = new Set([...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((c) => c.securityContext?.runAsUser ?? shared))
  const [only] = users
  return users.size === 1 ? only : undefined
}

interface ObjectSource {
  readonly name: string
  readonly items: readonly KeyToPath[] | undefined
  readonly optional: boolean | undefined
  readonly mode: number
}

async function addConfigMap(payload: Payload, source: ObjectSource, sources: PayloadSources): Promise<void> {
  const configMap = await sources.configMap(source.name)
  if (configMap === undefined) {
    if (source.optional) return
    throw new Error(`configmap ${JSON.stringify(source.name)} not found`)
  }
  const data = new Map<string, Uint8Array>()
  for (const [key, text] of Object.entries(configMap.data ?? {})) data.set(key, Buffer.from(text))
  for (const [key, base64] of Object.entries(configMap.binaryData ?? {})) data.set(key, Buffer.from(base64, 'base64'))
  addItems(payload, data, source, `configmap references non-existent config key: `)
}

async function addSecret(payload: Payload, source: ObjectSource, sources: PayloadSources): Promise<void> {
  const secret = await sources.secret(source.name)
  if (secret === undefined) {
    if (source.optional) return
    throw new Error(`secret ${JSON.stringify(source.name)} not found`)
  }
  const data = new Map(Object.entries(secret.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, 'base64')]))
  addItems(payload, data, source, `references non-existent secret key: `)
}

function addItems(payload: Payload, data: ReadonlyMap<string, Uint8Array>, source: ObjectSource, complaint: string): void {
  if (source.items === undefined || source.items.length === 0) {
    for (const [key, bytes] of data) put(payload, key, { data: bytes, mode: source.mode })
    return
  }
  for (const { key, path, mode } of source.items) {
    const bytes = data.get(key)
    if (bytes !== undefined) put(payload, path, { data: bytes, mode: mode ?? source.mode })
    else if (!source.optional) throw new Error(`${complaint}${key}`)
  }
}

function addDownward(
  pod: Pod,
  payload: Payload,
  items: NonNullable<NonNullable<Volume['downwardAPI']>['items']>,
  defaultFileMode: number,
  context: DownwardContext,
): void {
  for (const item of items) {
    const mode = item.mode ?? defaultFileMode
    if (item.fieldRef !== undefined) put(payload, item.path, { data: Buffer.from(fieldValue(pod, item.fieldRef, context)), mode })
    else if (item.resourceFieldRef !== undefined) {
      put(payload, item.path, { data: Buffer.from(resourceValue(pod, undefined, item.resourceFieldRef, context)), mode })
    }
  }
}

/** Adds a file after checking that its path stays below the volume. */
function put(payload: Payload, path: string, file: PayloadFile): void {
  const clean = posix.normalize(path)
  const components = path.split('/')
  if (path === '' || path.length > pathCharsMax) throw new Error(`invalid path in volume: ${JSON.stringify(path)}`)
  if (posix.isAbsolute(path) || components.includes('..'))
    throw new Error(`invalid path in volume, must be relative and without '..': ${path}`)
  if (clean.startsWith('..')) throw new Error(`invalid path in volume, must not start with '..': ${path}`)
  payload.set(clean, file)
}
