// The paths of discovery: /api, /apis and what is below them down to one version. Documents are made when first asked for and
// kept, as bytes, until the kinds that are served change.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { encodeObject } from '#api/protobuf/envelope'
import { builtinSchema } from '#api/schema/builtin'
import type { RemoteVersions } from '../aggregation/aggregator.ts'
import type { ApiReply, ApiRequest, KindCatalog } from '../request.ts'
import { acceptsGzip } from '../verbs/compress.ts'
import { finish } from '../verbs/encode.ts'
import { type DocumentForm, type Media, mediaTypes, negotiateDocument, wantsPretty } from '../verbs/negotiate.ts'
import { aggregatedGroup, type Discovered, groupDocument, groupVersion, resourceList, type ServedGroup, servedGroups } from './documents.ts'

/** A document as it is sent. */
export interface Document {
  readonly bytes: Buffer
  readonly etag: string
}

const compressFromBytes = 16_384
const compress = promisify(gzip)
const aggregatedParams = 'g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

const plainJson: DocumentForm = { media: 'json', pretty: false, converted: false }

function written(value: Discovered, media: Media, pretty: boolean): Buffer {
  if (media !== 'protobuf') return finish(JSON.stringify(value), { media, as: 'object', metaVersion: 'v1', pretty })
  const { kind, apiVersion = 'v1' } = value
  return Buffer.from(encodeObject(builtinSchema(apiVersion, kind), { apiVersion, ...value }))
}

export interface DiscoveryDeps {
  readonly catalog: KindCatalog
  /** Where clients outside the cluster reach this server, `host:port`. */
  readonly serverAddress: string
  /** What other servers have; absent: there are none. */
  readonly remotes?: RemoteVersions
}

/** Answers every path of discovery; undefined for paths of groups and versions that are not served. */
export interface Discovery {
  answer(request: ApiRequest): Promise<ApiReply | undefined>
  /** The paths that exist, for the list at `/`. */
  paths(): readonly string[]
}

export function createDiscovery({ catalog, serverAddress, remotes }: DiscoveryDeps): Discovery {
  let groups: readonly ServedGroup[] | undefined
  const documents = new Map<string, Document>()
  const compressed = new Map<Document, Buffer>()
  const forget = (): void => {
    groups = undefined
    documents.clear()
    compressed.clear()
  }
  catalog.onChange(forget)
  remotes?.onChange(forget)
  const served = (): readonly ServedGroup[] => {
    groups ??= servedGroups(catalog.all(), remotes?.all())
    return groups
  }
  const document = (path: string, { media, pretty, converted }: DocumentForm, make: () => Discovered): Document => {
    const key = `${converted ? 'aggregated ' : ''}${media}${pretty ? ' pretty' : ''} ${path}`
    let found = documents.get(key)
    if (found === undefined) {
      found = documentOf(written(make(), media, pretty))
      documents.set(key, found)
    }
    return found
  }

  const plain = (path: string, form: DocumentForm): Document | undefined => {
    const [, prefix = '', first, second, more] = path.split('/')
    if (more !== undefined) return undefined
    const group = prefix === 'api' ? '' : first
    const version = prefix === 'api' ? first : second
    if (prefix === 'api' && second !== undefined) return undefined
    if (prefix === 'api' && version === undefined) return document('/api', form, () => apiVersions(served(), serverAddress))
    if (group === undefined) return document('/apis', form, () => groupList(served()))
    const found = served().find((candidate) => candidate.group === group)
    if (found === undefined || (prefix === 'apis' && group === '')) return undefined
    if (version === undefined) return document(path, form, () => ({ kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(found) }))
    const ofVersion = found.versions.find((candidate) => candidate.version === version)
    if (ofVersion === undefined) return undefined
    return document(path, form, () => resourceList(group, version, ofVersion.kinds))
  }

  const aggregated = (path: string, form: DocumentForm): Document =>
    document(path, form, () => ({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items: served()
        .filter(({ group }) => (group === '') === (path === '/api'))
        .map(aggregatedGroup),
    }))

  const gzipped = async (of: Document): Promise<Buffer> => {
    let bytes = compressed.get(of)
    if (bytes === undefined) {
      bytes = await compress(of.bytes)
      compressed.set(of, bytes)
    }
    return bytes
  }

  return {
    async answer(request) {
      const path = request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path
      const root = path === '/api' || path === '/apis'
      if (plain(path, plainJson) === undefined) return undefined
      const pretty = wantsPretty(request.query, request.headers['user-agent'])
      const form = negotiateDocument(request.headers['accept'], pretty, (params) => root && asksForAggregated(params))
      const found = form.converted ? aggregated(path, form) : plain(path, form)
      if (found === undefined) return undefined
      const type = mediaTypes[form.media]
      const headers: Record<string, string> = { 'content-type': form.converted ? `${type};${aggregatedParams}` : type }
      if (root) headers['vary'] = 'Accept'
      if (!form.converted) return sendDocument(request, found, headers, gzipped)
      headers['etag'] = `"${found.etag}"`
      if (matchesEtag(request.headers['if-none-match'], found.etag)) return { status: 304, headers, body: undefined }
      headers['cache-control'] = 'public'
      return sendDocument(request, found, headers, gzipped)
    },
    paths() {
      const list = ['/api', '/apis']
      for (const { group, versions } of served()) {
        if (group !== '') list.push(`/apis/${group}`)
        for (const { version } of versions) list.push(group === '' ? `/api/${version}` : `/apis/${groupVersion(group, version)}`)
      }
      return list
    },
  }
}

/** The document, compressed where the client can read that and it is worth it. */
export async function sendDocument(
  request: ApiRequest,
  document: Document,
  headers: Record<string, string>,
  gzipped: (document: Document) => Promise<Buffer>,
): Promise<ApiReply> {
  if (document.bytes.length < compressFromBytes || !acceptsGzip(request.headers['accept-encoding'])) {
    return { status: 200, headers, body: document.bytes }
  }
  headers['content-encoding'] = 'gzip'
  headers['vary'] = headers['vary'] === undefined ? 'Accept-Encoding' : `${headers['vary']}, Accept-Encoding`
  return { status: 200, headers, body: await gzipped(document) }
}

export function documentOf(bytes: Buffer): Document {
  return { bytes, etag: createHash('sha512').update(bytes).digest('hex').toUpperCase() }
}

/** RFC 9110 section 13.1.2. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === `"${etag}"`)
}

function asksForAggregated(params: ReadonlyMap<string, string>): boolean {
  return params.get('g') === 'apidiscovery.k8s.io' && params.get('v') === 'v2' && params.get('as') === 'APIGroupDiscoveryList'
}

function apiVersions(groups: readonly ServedGroup[], serverAddress: string): Discovered {
  const core = groups.find(({ group }) => group === '')
  return {
    kind: 'APIVersions',
    versions: core?.versions.map(({ version }) => version) ?? [],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  }
}

function groupList(groups: readonly ServedGroup[]): Discovered {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.filter(({ group }) => group !== '').map(groupDocument) }
}
