// OpenAPI documents of the served API: version 3 for each group-version, version 2 for all of it. Documents are plain values; who
// serves them turns them into text once and keeps that.
import type { Kind } from '../kind.ts'
import { Definitions, type Descriptions, type Json } from './definitions.ts'
import { PathBuilder, sharedParametersV2 } from './operations.ts'
import { resourcesPath, serverDocuments, serverPathsOf } from './server-paths.ts'

export interface DocumentInfo {
  /** Of the server, e.g. `v1.36.0+navarch`. */
  readonly version: string
}

const security = [{ BearerToken: [] }]
const bearerToken = { description: 'Bearer Token authentication', type: 'apiKey', name: 'authorization', in: 'header' }

function info({ version }: DocumentInfo): Json {
  return { title: 'Kubernetes', version }
}

function groupVersionsOf(kinds: readonly Kind[]): { group: string; version: string }[] {
  const seen = new Map(kinds.map(({ group, version }) => [`${group}/${version}`, { group, version }]))
  return [...seen.values()]
}

/**
 * The OpenAPI v3 document of one group-version (`apps/v1`, or `v1` for the core group), made of the kinds that are in it.
 * `kinds` may hold others: they are only named as versions that know DeleteOptions.
 */
export function buildOpenApiV3(kinds: readonly Kind[], groupVersion: string, descriptions: Descriptions, about: DocumentInfo): Json {
  return inOneGo(openApiV3Steps(kinds, groupVersion, descriptions, about))
}

/** The same in small steps, for a server that must answer others in between. */
export function* openApiV3Steps(
  kinds: readonly Kind[],
  groupVersion: string,
  descriptions: Descriptions,
  about: DocumentInfo,
): Generator<void, Json> {
  const definitions = new Definitions('v3', descriptions, groupVersionsOf(kinds))
  const builder = new PathBuilder('v3', definitions)
  for (const kind of kinds) {
    if (kind.apiVersion !== groupVersion) continue
    builder.addKind(kind)
    yield
  }
  definitions.refToMeta('WatchEvent')
  return {
    openapi: '3.0.0',
    info: info(about),
    paths: sorted({ ...resourcesPath(groupVersion, 'v3', definitions), ...builder.paths }),
    components: { schemas: sorted(definitions.all), securitySchemes: { BearerToken: { ...bearerToken } } },
    security,
  }
}

/** The OpenAPI v3 document of that name that is about the server itself (`version`, `apis/apps`), see `serverDocuments`. */
export function buildServerOpenApiV3(name: string, kinds: readonly Kind[], descriptions: Descriptions, about: DocumentInfo): Json {
  const definitions = new Definitions('v3', descriptions, groupVersionsOf(kinds))
  const paths = serverPathsOf(name, kinds, 'v3', definitions) ?? {}
  const schemas = sorted(definitions.all)
  return {
    openapi: '3.0.0',
    info: info(about),
    paths,
    components: { ...(Object.keys(schemas).length > 0 && { schemas }), securitySchemes: { BearerToken: { ...bearerToken } } },
    security,
  }
}

/** The OpenAPI v2 document of all kinds. It takes a while: see `openApiV2Steps`. */
export function buildOpenApiV2(kinds: readonly Kind[], descriptions: Descriptions, about: DocumentInfo): Json {
  return inOneGo(openApiV2Steps(kinds, descriptions, about))
}

/** The same in small steps, for a server that must answer others in between. */
export function* openApiV2Steps(kinds: readonly Kind[], descriptions: Descriptions, about: DocumentInfo): Generator<void, Json> {
  const definitions = new Definitions('v2', descriptions, groupVersionsOf(kinds))
  const builder = new PathBuilder('v2', definitions)
  for (const kind of kinds) {
    builder.addKind(kind)
    yield
  }
  const others: Json = {}
  for (const name of serverDocuments(kinds)) Object.assign(others, serverPathsOf(name, kinds, 'v2', definitions))
  for (const groupVersion of new Set(kinds.filter(({ custom }) => !custom).map(({ apiVersion }) => apiVersion))) {
    Object.assign(others, resourcesPath(groupVersion, 'v2', definitions))
  }
  yield
  definitions.refToMeta('WatchEvent')
  return {
    swagger: '2.0',
    info: info(about),
    paths: sorted({ ...others, ...builder.paths }),
    definitions: sorted(definitions.all),
    parameters: sharedParametersV2(),
    securityDefinitions: { BearerToken: { ...bearerToken } },
    security,
  }
}

/** The text of a document, in pieces of moderate size. */
export function* documentText(document: Json): Generator<string> {
  yield* textPieces(document, 3)
}

function* textPieces(value: unknown, levels: number): Generator<string> {
  if (levels === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield JSON.stringify(value)
    return
  }
  let before = '{'
  for (const [key, inner] of Object.entries(value)) {
    yield `${before}${JSON.stringify(key)}:`
    yield* textPieces(inner, levels - 1)
    before = ','
  }
  yield before === '{' ? '{}' : '}'
}

/** Runs steps to their end. */
export function inOneGo<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function sorted(object: Record<string, unknown>): Json {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}
