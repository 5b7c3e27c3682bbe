// What a server behind an APIService says of its resources: discovery, aggregated or one version at a time, and where its OpenAPI
// document of that version is.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { APIResourceDiscovery, APISubresourceDiscovery, APIVersionDiscovery } from '#api/generated/apidiscovery-v2'
import type { APIResource } from '#api/generated/meta-v1'
import type { APIService } from '#api/kinds/apiregistration/api-service'
import type { Json } from '#api/openapi/definitions'
import { filterPaths } from '#api/openapi/merge'
import type { User } from '../request.ts'
import { ask, type RemoteDeps } from './remote.ts'

const gzipBytes = promisify(gzip)
const gunzipBytes = promisify(gunzip)
const documentMs = 60_000
// Who reads OpenAPI documents, as in Kubernetes: anybody may.
const reader: User = { name: 'system:aggregator', groups: [] }

const aggregatedAccept =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'

/** The version of the group as its server describes it. Throws when it does not. */
export async function readVersion(deps: RemoteDeps, apiService: APIService): Promise<APIVersionDiscovery> {
  const { group = '', version = '' } = apiService.spec
  const answer = await ask(deps, apiService, '/apis', { accept: aggregatedAccept })
  if (answer.status === 200 && answer.contentType.includes('APIGroupDiscoveryList')) {
    const { items = [] } = parse(answer.body) as { items?: { metadata: { name?: string }; versions?: APIVersionDiscovery[] }[] }
    const found = items.find(({ metadata }) => metadata.name === group)?.versions?.find((candidate) => candidate.version === version)
    return { ...(found ?? { version }), freshness: 'Current' }
  }
  const path = `/apis/${group}/${version}`
  const { status, body } = await ask(deps, apiService, path)
  if (status !== 200) throw new Error(`failed to download discovery for ${path}: ${status}`)
  const { resources = [] } = parse(body) as { resources?: APIResource[] }
  return { version, resources: resourcesOf(group, version, resources), freshness: 'Current' }
}

/** The address of the OpenAPI v3 document of the version, as its server's index has it; undefined when it has none. */
export async function readOpenApiAddress(deps: RemoteDeps, apiService: APIService): Promise<string | undefined> {
  const { group, version } = apiService.spec
  const { status, body } = await ask(deps, apiService, '/openapi/v3', { user: reader })
  if (status !== 200) return undefined
  const { paths = {} } = parse(body) as { paths?: Record<string, { serverRelativeURL?: string }> }
  const name = `apis/${group}/${version}`
  const address = Object.hasOwn(paths, name) ? paths[name]?.serverRelativeURL : undefined
  // It stands in our own index, so it must be a path that leads here and on to that server.
  return address?.startsWith(`/openapi/v3/${name}`) ? address : undefined
}

/** A server's OpenAPI v2 document as it came, compressed, and how to ask whether it changed. */
export interface RemoteOpenApiV2 {
  readonly gzipped: Buffer
  readonly etag: string
  /** Whether the ETag is the server's own, so that it may be asked with it. */
  readonly theirs: boolean
}

/** Its present document; `known` when that is still it, undefined when it has none. Throws when it does not answer. */
export async function readOpenApiV2(
  deps: RemoteDeps,
  apiService: APIService,
  known: RemoteOpenApiV2 | undefined,
): Promise<RemoteOpenApiV2 | undefined> {
  const condition: Record<string, string> = known?.theirs === true ? { 'if-none-match': known.etag } : {}
  const { status, body, etag } = await ask(deps, apiService, '/openapi/v2', { headers: condition, timeoutMs: documentMs, user: reader })
  if (status === 304) return known
  if (status === 404) return undefined
  if (status !== 200) throw new Error(`failed to retrieve openAPI spec, http error: ${status}`)
  const theirs = etag !== ''
  const tag = theirs ? etag : createHash('sha512').update(body).digest('hex')
  return known?.etag === tag ? known : { gzipped: await gzipBytes(body), etag: tag, theirs }
}

/** What of the document is the APIService's own. Throws when it is no document. */
export async function openApiV2PathsOf({ gzipped }: RemoteOpenApiV2, { spec }: APIService): Promise<Json> {
  const document = parse(await gunzipBytes(gzipped))
  return filterPaths(document as Json, (path) => path.startsWith(`/apis/${spec.group}/${spec.version}/`))
}

function parse(body: Buffer): unknown {
  const value: unknown = JSON.parse(body.toString())
  if (typeof value !== 'object' || value === null) throw new Error('the answer is no object')
  return value
}

/** The resources of an APIResourceList as aggregated discovery lists them. */
export function resourcesOf(group: string, version: string, resources: readonly APIResource[]): APIResourceDiscovery[] {
  const found = new Map<string, APIResourceDiscovery & { subresources?: APISubresourceDiscovery[] }>()
  const kindOf = (resource: APIResource) => ({
    group: resource.group || group,
    version: resource.version || version,
    kind: resource.kind,
  })
  for (const resource of resources.filter(({ name }) => !name.includes('/'))) {
    const { shortNames, categories } = resource
    found.set(resource.name, {
      resource: resource.name,
      responseKind: kindOf(resource),
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: resource.singularName,
      verbs: resource.verbs,
      ...(shortNames === undefined ? {} : { shortNames }),
      ...(categories === undefined ? {} : { categories }),
    })
  }
  for (const resource of resources.filter(({ name }) => name.includes('/'))) {
    const [parent = '', ...rest] = resource.name.split('/')
    const owner = found.get(parent)
    if (owner === undefined) continue
    owner.subresources = [
      ...(owner.subresources ?? []),
      { subresource: rest.join('/'), responseKind: kindOf(resource), verbs: resource.verbs },
    ]
  }
  return [...found.values()]
}
