// /openapi/v2 and /openapi/v3: documents of the kinds that are served, made in small steps when first asked for and kept
// compressed until the kinds change. A version 3 document is asked for by its hash, so that clients keep it for good.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { notAcceptable } from '#api/errors'
import type { Kind } from '#api/kind'
import type { Descriptions, Json } from '#api/openapi/definitions'
import { type DocumentInfo, documentText, openApiV2Steps, openApiV3Steps } from '#api/openapi/documents'
import { encodeOpenApiV2Steps } from '#api/openapi/gnostic'
import { nextTurn } from '#storage/next-turn'
import type { RemoteVersions } from '../aggregation/aggregator.ts'
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
const protobufV2 = 'application/com.github.proto-openapi.spec.v2.v1+protobuf'
// The name before: clients that ask for it are answered in the new one.
const protobufV2Old = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** Answers the paths below /openapi. */
export function createOpenApi({ catalog, about, descriptions, remotes }: OpenApiDeps): NonNullable<PathsDeps['openApi']> {
  let documents = new Map<string, Promise<Compressed>>()
  let hashes: ReadonlyMap<string, string> | undefined
  catalog.onChange(() => {
    documents = new Map()
    hashes = undefined
  })

  // Two that ask at once wait for one document; a failure is not kept.
  const document = (key: string, make: () => Promise<Uint8Array>): Promise<Compressed> => {
    const kept = documents
    let found = kept.get(key)
    if (found === undefined) {
      found = make().then(compressed)
      kept.set(key, found)
      found.catch(() => kept.delete(key))
    }
    return found
  }

  const groupVersions = (): ReadonlyMap<string, string> => {
    hashes ??= hashesOf(catalog.all(), about)
    return hashes
  }

  const version2 = async (request: ApiRequest): Promise<ApiReply> => {
    const wanted = wantedOf(request.headers['accept'], [json, protobufV2, protobufV2Old])
    if (wanted === undefined) throw notAcceptable([json, protobufV2])
    const make = async (): Promise<Json> => inTurns(openApiV2Steps(catalog.all(), await descriptions(), about))
    if (wanted === json) return send(request, await document('v2', async () => textOf(await make())), json)
    return send(request, await document('v2 protobuf', async () => inTurns(encodeOpenApiV2Steps(await make()))), protobufV2)
  }

  const version3 = async (request: ApiRequest, groupVersion: string): Promise<ApiReply | undefined> => {
    const hash = groupVersions().get(groupVersion)
    if (hash === undefined) return undefined
    if (wantedOf(request.headers['accept'], [json]) === undefined) throw notAcceptable([json])
    const asked = request.query.get('hash')
    if (asked !== null && asked !== '' && asked !== hash) {
      return { status: 301, headers: { location: addressOf(groupVersion, hash) }, body: undefined }
    }
    const made = await document(`v3 ${groupVersion}`, async () =>
      textOf(await inTurns(openApiV3Steps(catalog.all(), apiVersionOf(groupVersion), await descriptions(), about))),
    )
    const reply = await send(request, made, json)
    if (asked === hash) reply.headers['cache-control'] = 'public, immutable, max-age=31536000'
    return reply
  }

  return {
    async answer(request) {
      const path = request.path.endsWith('/') ? request.path.slice(0, -1) : request.path
      if (path === '/openapi/v2') return version2(request)
      if (path === '/openapi/v3') return indexReply(groupVersions(), remotes)
      return path.startsWith('/openapi/v3/') ? version3(request, path.slice('/openapi/v3/'.length)) : undefined
    },
    paths: () => ['/openapi/v2', '/openapi/v3', ...[...groupVersions().keys()].map((name) => `/openapi/v3/${name}`)],
  }
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
function hashesOf(kinds: readonly Kind[], about: DocumentInfo): Map<string, string> {
  const texts = new Map<string, string>()
  for (const kind of kinds) {
    const name = pathNameOf(kind)
    const schema = kind.custom ? JSON.stringify(kind.published ?? plainSchema(kind.schema())) : ''
    texts.set(name, `${texts.get(name) ?? about.version}\n${kind.id}${schema}`)
  }
  return new Map([...texts].map(([name, text]) => [name, createHash('sha512').update(text).digest('hex').slice(0, 64).toUpperCase()]))
}

function plainSchema(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(([key, inner]) => [key, plainSchema(inner)])
  if (Array.isArray(value)) return value.map(plainSchema)
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainSchema(inner)]))
}

function indexReply(hashes: ReadonlyMap<string, string>, remotes: RemoteVersions | undefined): ApiReply {
  const paths = Object.fromEntries([...hashes].map(([name, hash]) => [name, { serverRelativeURL: addressOf(name, hash) }]))
  for (const { group, discovery, openApi } of remotes?.all() ?? []) {
    const name = `apis/${group}/${discovery.version}`
    if (openApi === undefined) delete paths[name]
    else paths[name] = { serverRelativeURL: openApi }
  }
  return { status: 200, headers: { 'content-type': json }, body: Buffer.from(JSON.stringify({ paths })) }
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

async function compressed(bytes: Uint8Array): Promise<Compressed> {
  const etag = createHash('sha256').update(bytes).digest('hex').toUpperCase()
  return { gzipped: await gzipBytes(bytes), etag }
}

/** The first of `offered` that the Accept header allows, in the header's order. Parameters other than quality are ignored. */
function wantedOf(accept: string | undefined, offered: readonly string[]): string | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  for (const clause of accept.split(',')) {
    const [type = ''] = clause.split(';').map((part) => part.trim().toLowerCase())
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
