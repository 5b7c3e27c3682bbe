// Paths of OpenAPI documents that are about the server and its discovery and not about resources: each stands in the version 2
// document, and most in a version 3 document of their own.
import type { Kind } from '../kind.ts'
import type { Definitions, Json, OpenApiVersion } from './definitions.ts'
import { idPrefix, qualifiedGroup } from './names.ts'

interface ServerPath {
  readonly operationId: string
  readonly description: string
  readonly tag: string
  readonly types: readonly string[]
  /** The whole name of what it answers; absent: a text. */
  readonly answer?: string
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const json = ['application/json']
const discoveryTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']

/** By the name of its version 3 document; its path is that between slashes. */
const fixedPaths: Readonly<Record<string, ServerPath>> = {
  '.well-known/openid-configuration': {
    operationId: 'getServiceAccountIssuerOpenIDConfiguration',
    description: "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
    tag: 'WellKnown',
    types: json,
  },
  api: {
    operationId: 'getCoreAPIVersions',
    description: 'get available API versions',
    tag: 'core',
    types: discoveryTypes,
    answer: `${meta}.APIVersions`,
  },
  apis: {
    operationId: 'getAPIVersions',
    description: 'get available API versions',
    tag: 'apis',
    types: discoveryTypes,
    answer: `${meta}.APIGroupList`,
  },
  'openid/v1/jwks': {
    operationId: 'getServiceAccountIssuerOpenIDKeyset',
    description: 'get service account issuer OpenID JSON Web Key Set (contains public token verification keys)',
    tag: 'openid',
    types: ['application/jwk-set+json'],
  },
  version: {
    operationId: 'getCodeVersion',
    description: 'get the version information for this server',
    tag: 'version',
    types: json,
    answer: 'io.k8s.apimachinery.pkg.version.Info',
  },
}

function groupPath(group: string): ServerPath {
  return {
    operationId: `get${idPrefix({ group })}APIGroup`,
    description: 'get information of a group',
    tag: qualifiedGroup(group),
    types: discoveryTypes,
    answer: `${meta}.APIGroup`,
  }
}

/** Names of the version 3 documents about the server: `version`, `apis`, `apis/apps`. Groups of custom resources have none. */
export function serverDocuments(kinds: readonly Kind[]): string[] {
  const groups = new Set(kinds.filter(({ custom, group }) => !custom && group !== '').map(({ group }) => `apis/${group}`))
  return [...Object.keys(fixedPaths), ...groups].sort()
}

/** The paths of the document of that name; undefined when it is none of these. */
export function serverPathsOf(name: string, kinds: readonly Kind[], version: OpenApiVersion, definitions: Definitions): Json | undefined {
  const group = name.startsWith('apis/') ? name.slice('apis/'.length) : ''
  const isGroup = group !== '' && kinds.some((kind) => !kind.custom && kind.group === group)
  const path = Object.hasOwn(fixedPaths, name) ? fixedPaths[name] : isGroup ? groupPath(group) : undefined
  return path === undefined ? undefined : { [`/${name}/`]: { get: operationOf(path, version, definitions) } }
}

/** The path that lists the resources of a group-version (`v1`, `apps/v1`). */
export function resourcesPath(groupVersion: string, version: OpenApiVersion, definitions: Definitions): Json {
  const [first = '', second] = groupVersion.split('/')
  const [group, versionName] = second === undefined ? ['', first] : [first, second]
  const path: ServerPath = {
    operationId: `get${idPrefix({ group, version: versionName })}APIResources`,
    description: 'get available resources',
    tag: `${qualifiedGroup(group)}_${versionName}`,
    types: discoveryTypes,
    answer: `${meta}.APIResourceList`,
  }
  return { [`/${group === '' ? 'api' : 'apis'}/${groupVersion}/`]: { get: operationOf(path, version, definitions) } }
}

function operationOf(
  { operationId, description, tag, types, answer }: ServerPath,
  version: OpenApiVersion,
  definitions: Definitions,
): Json {
  const schema = answer === undefined ? { type: 'string' } : definitions.refToDefinition(answer)
  const unauthorized = { description: 'Unauthorized' }
  if (version === 'v3') {
    const content = Object.fromEntries(types.map((type) => [type, { schema }]))
    return { description, operationId, responses: { '200': { description: 'OK', content }, '401': unauthorized }, tags: [tag] }
  }
  return {
    ...(answer !== undefined && { consumes: [...types] }),
    description,
    operationId,
    produces: [...types],
    responses: { '200': { description: 'OK', schema }, '401': unauthorized },
    schemes: ['https'],
    tags: [tag],
  }
}
