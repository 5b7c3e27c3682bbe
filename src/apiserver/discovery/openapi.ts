// /openapi/v2 and /openapi/v3: documents of the kinds that are served, made in small steps when first asked for and kept
// compressed until the kinds change. A version 3 document is asked for by its hash, so that clients keep it for good.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { notAcceptable } from '#api/errors'
import type { Kind } from '#api/kind'
import { convertToV3 } from '#api/openapi/convert'
import type { Descriptions, Json } from '#api/openapi/definitions'
import { buildServerOpenApiV3, type DocumentInfo, documentText, openApiV2Steps, openApiV3Steps } from '#api/openapi/documents'
import { encodeOpenApiV2Steps } from '#api/openapi/gnostic'
import { encodeOpenApiV3Steps } from '#api/openapi/gnostic-v3'
import { mergeDocuments } from '#api/openapi/merge'
import { serverDocuments } from '#api/openapi/server-paths'
import { nextTurn } from '#storage/next-turn'
import type { RemoteVersion, RemoteVersions } from '../aggregation/aggregator.ts'
import type { ApiReply, ApiRequest, KindCatalog } from '../request.ts'
import { acceptsGzip } from '../verbs/compress.ts'
import { matchesEtag } from './discovery.ts'
import type { PathsDeps } from './paths.ts'

const gzipBytes = promisify(gzip)
const gunzipBytes = promisify(gunzip)

export interface OpenApiDeps {
  readonly catalog: KindCatalog
  readonly about: DocumentInfo
  /** Texts of types and fields; read when a document is made, and not kept. */
  readonly descriptions: () => Promise<Descriptions>
  /** Other servers' versions, for the index of version 3 documents. */
  readonly remotes?: RemoteVersions
}

interface Compressed {
  readonly gzipped: Buffer
  readonly etag: string
}

const json = 'application/json'
const protobuf = (version: string): MediaTypes => ({
  made: `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`,
  // The name before: clients that ask for it are answered in the new one.
  old: `application/com.github.proto-openapi.spec.${version}@v1.0+protobuf`,
})
const protobufV2 = protobuf('v2')
const protobufV3 = protobuf('v3')
const yearMs = 365 * 24 * 3_600_000

interface MediaTypes {
  readonly made: string
  readonly old: string
}

/** Answers the paths below /openapi. */
export function createOpenApi({ catalog, about, descriptions, remotes }: OpenApiDeps): NonNullable<PathsDeps['openApi']> {
  let documents = new Map<string, Promise<Compressed>>()
  let hashes: ReadonlyMap<string, string> | undefined
  catalog.onChange(() => {
    documents = new Map()
    hashes = undefined
  })
  const groupVersions = (): ReadonlyMap<string, string> => {
    hashes ??= hashesOf(catalog.all(), about, remotes)
    return hashes
  }

  // Documents of single versions are kept by their hash; the one of all of them is made anew when it is asked for.
  remotes?.onChange(() => {
    hashes = undefined
    const current = new Set(groupVersions().values())
    for (const key of documents.keys()) if (!current.has(key.slice(key.lastIndexOf(' ') + 1))) documents.delete(key)
  })

  // Two that ask at once wait for one document; a failure is not kept.
  const document = (key: string, make: () => Promise<Uint8Array>, etag?: string): Promise<Compressed> => {
    const kept = documents
    let found = kept.get(key)
    if (found === undefined) {
      const promise = make().then((bytes) => compressed(bytes, etag))
      found = promise
      kept.set(key, promise)
      promise.catch(() => kept.get(key) === promise && kept.delete(key))
    }
    return found
  }

  const makeV2 = async (): Promise<Json> => {
    const merged = mergeDocuments(await inTurns(openApiV2Steps(catalog.all(), await descriptions(), about)))
    for (const { openApiV2 } of byPriority(remotes?.all() ?? [])) {
      // Another server's document that cannot be read is left out.
      const theirs = await openApiV2?.read().catch(() => undefined)
      if (theirs !== undefined) await inTurns(merged.add(theirs)).catch(() => undefined)
    }
    return merged.finish()
  }

  const version2 = async (request: ApiRequest): Promise<ApiReply> => {
    const wanted = wantedOf(request.headers['accept'], [json, protobufV2.made, protobufV2.old])
    if (wanted === undefined) throw notAcceptable([json, protobufV2.made])
    if (wanted === json) return send(request, await document('v2', async () => textOf(await makeV2())), json)
    const bytes = document('v2 protobuf', async () => inTurns(encodeOpenApiV2Steps(await makeV2())))
    return send(request, await bytes, protobufV2.made)
  }

  const makeV3 = async (name: string): Promise<Json> => {
    const remote = remotes?.all().find((candidate) => pathNameOfRemote(candidate) === name)
    if (remote?.openApiV2 !== undefined) return convertToV3(await remote.openApiV2.read())
    const kinds = catalog.all()
    if (!kinds.some((kind) => pathNameOf(kind) === name)) return buildServerOpenApiV3(name, kinds, await descriptions(), about)
    return inTurns(openApiV3Steps(kinds, apiVersionOf(name), await descriptions(), about))
  }

  const version3 = async (request: ApiRequest, name: string): Promise<ApiReply | undefined> => {
    const hash = groupVersions().get(name)
    if (hash === undefined) return undefined
    const wanted = wantedOf(request.headers['accept'], [json, protobufV3.made, protobufV3.old])
    if (wanted === undefined) throw notAcceptable([json, protobufV3.made])
    const asked = request.query.get('hash')
    if (asked !== null && asked !== '' && asked !== hash) {
      return { status: 301, headers: { location: addressOf(name, hash) }, body: undefined }
    }
    const made =
      wanted === json
        ? await document(`v3 ${name} ${hash}`, async () => textOf(await makeV3(name)), hash)
        : await document(`v3 protobuf ${name} ${hash}`, async () => inTurns(encodeOpenApiV3Steps(await makeV3(name))), hash)
    const reply = await send(request, made, wanted === json ? json : protobufV3.made)
    if (asked === hash) {
      reply.headers['cache-control'] = 'public, immutable'
      reply.headers['expires'] = new Date(request.receivedAtMs + yearMs).toUTCString()
    }
    return reply
  }

  return {
    async answer(request) {
      const path = request.path.endsWith('/') ? request.path.slice(0, -1) : request.path
      if (path === '/openapi/v2') return version2(request)
      if (path === '/openapi/v3') return indexReply(request, groupVersions(), remotes)
      return path.startsWith('/openapi/v3/') ? version3(request, path.slice('/openapi/v3/'.length)) : undefined
    },
    paths: () => ['/openapi/v2', '/openapi/v3', '/openapi/v3/'],
  }
}

// The order in which Kubernetes merges other servers' documents: what is there first keeps its names.
function byPriority(remotes: readonly RemoteVersion[]): RemoteVersion[] {
  const priorities = new Map<string, number>()
  for (const { group, groupPriorityMinimum } of remotes) {
    priorities.set(group, Math.max(priorities.get(group) ?? 0, groupPriorityMinimum))
  }
  const nameOf = ({ group, discovery }: RemoteVersion): string => `${discovery.version}.${group}`
  return remotes.toSorted((a, b) => priorities.get(b.group)! - priorities.get(a.group)! || (nameOf(a) < nameOf(b) ? -1 : 1))
}

function pathNameOfRemote({ group, discovery }: RemoteVersion): string {
  return `apis/${group}/${discovery.version}`
}

// `api/v1`, `apis/apps/v1`.
function pathNameOf({ group, apiVersion }: Kind): string {
  return group === '' ? `api/${apiVersion}` : `apis/${apiVersion}`
}

function apiVersionOf(pathName: string): string {
  return pathName.slice(pathName.indexOf('/') + 1)
}

function addressOf(groupVersion: string, hash: string): string {
  return `/openapi/v3/${groupVersion}?hash=${hash}`
}

// What a document is made of, in short: of built-in kinds that is the server's version and their names, so nothing need be made
// to tell whether a client's copy is good.
function hashesOf(kinds: readonly Kind[], about: DocumentInfo, remotes: RemoteVersions | undefined): Map<string, string> {
  const texts = new Map(serverDocuments(kinds).map((name) => [name, `${about.version}\n${name}`]))
  for (const kind of kinds) {
    const name = pathNameOf(kind)
    const schema = kind.custom ? JSON.stringify(kind.published ?? plainSchema(kind.schema())) : ''
    texts.set(name, `${texts.get(name) ?? about.version}\n${kind.id}${schema}`)
  }
  // What another server describes in version 2 only is told in version 3 here.
  for (const remote of remotes?.all() ?? []) {
    if (remote.openApi === undefined && remote.openApiV2 !== undefined) texts.set(pathNameOfRemote(remote), remote.openApiV2.etag)
  }
  return new Map([...texts].map(([name, text]) => [name, sha512Of(text)]))
}

function sha512Of(bytes: Uint8Array | string): string {
  return createHash('sha512').update(bytes).digest('hex').toUpperCase()
}

function plainSchema(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(([key, inner]) => [key, plainSchema(inner)])
  if (Array.isArray(value)) return value.map(plainSchema)
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainSchema(inner)]))
}

function indexReply(request: ApiRequest, hashes: ReadonlyMap<string, string>, remotes: RemoteVersions | undefined): ApiReply {
  const paths = Object.fromEntries([...hashes].map(([name, hash]) => [name, { serverRelativeURL: addressOf(name, hash) }]))
  for (const remote of remotes?.all() ?? []) {
    const name = pathNameOfRemote(remote)
    if (remote.openApi !== undefined) paths[name] = { serverRelativeURL: remote.openApi }
    else if (remote.openApiV2 === undefined) delete paths[name]
  }
  const body = Buffer.from(JSON.stringify({ paths }))
  const etag = sha512Of(body)
  const headers = { 'content-type': json, etag: `"${etag}"` }
  if (matchesEtag(request.headers['if-none-match'], etag)) return { status: 304, headers, body: undefined }
  return { status: 200, headers, body }
}

// How many steps at a time: each is a fraction of a millisecond.
const stepsPerTurn = 4

async function inTurns<T>(steps: Generator<unknown, T>): Promise<T> {
  for (let i = 1; ; i++) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (i % stepsPerTurn === 0) await nextTurn()
  }
}

async function textOf(document: Json): Promise<Uint8Array> {
  const pieces: Buffer[] = []
  let text = ''
  for (const piece of documentText(document)) {
    text += piece
    if (text.length < 65_536) continue
    pieces.push(Buffer.from(text))
    text = ''
    await nextTurn()
  }
  return Buffer.concat([...pieces, Buffer.from(text)])
}

async function compressed(bytes: Uint8Array, etag = sha512Of(bytes)): Promise<Compressed> {
  return { gzipped: await gzipBytes(bytes), etag }
}

/** The first of `offered` that the Accept header allows: by quality, then in the header's order. */
function wantedOf(accept: string | undefined, offered: readonly string[]): string | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const clauses = accept.split(',').map((clause) => {
    const [type = '', ...parameters] = clause.split(';').map((part) => part.trim().toLowerCase())
    const quality = parameters.find((parameter) => parameter.startsWith('q='))
    return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) || 0 }
  })
  for (const { type } of clauses.sort((a, b) => b.quality - a.quality)) {
    if (type === '*/*' || type === 'application/*') return offered[0]
    if (offered.includes(type)) return type
  }
  return undefined
}

async function send(request: ApiRequest, { gzipped, etag }: Compressed, contentType: string): Promise<ApiReply> {
  const headers: Record<string, string> = { 'content-type': contentType, etag: `"${etag}"`, vary: 'Accept, Accept-Encoding' }
  if (matchesEtag(request.headers['if-none-match'], etag)) return { status: 304, headers, body: undefined }
  if (!acceptsGzip(request.headers['accept-encoding'])) return { status: 200, headers, body: await gunzipBytes(gzipped) }
  headers['content-encoding'] = 'gzip'
  return { status: 200, headers, body: gzipped }
}
