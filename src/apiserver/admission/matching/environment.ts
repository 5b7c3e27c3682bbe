// What expressions of admission may refer to: the variables that Kubernetes gives match conditions and policies, and their values
// for one write.
import type { Kind } from '#api/kind'
import { Namespace } from '#api/kinds/core/namespace'
import type { Authorizer, Decision } from '../../authz/authorizer.ts'
import type { Environment } from '../../cel/check.ts'
import { AuthorizerValue, ResourceCheck } from '../../cel/functions/authorizer.ts'
import { bool, dyn, listOf, mapOf, objectOf, string, type Type } from '../../cel/types.ts'
import type { KindCatalog, LocalReader } from '../../request.ts'
import type { AdmissionRequest } from '../plugin.ts'
import { requestBody } from '../webhooks/admission-review.ts'
import { inVersion } from './versions.ts'

const kindType = objectOf('kubernetes.GroupVersionKind', { group: string, version: string, kind: string })
const resourceType = objectOf('kubernetes.GroupVersionResource', { group: string, version: string, resource: string })
const userType = objectOf('kubernetes.UserInfo', {
  username: string,
  uid: string,
  groups: listOf(string),
  extra: mapOf(string, listOf(string)),
})
const requestType = objectOf('kubernetes.AdmissionRequest', {
  kind: kindType,
  resource: resourceType,
  subResource: string,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: userType,
  dryRun: bool,
  options: dyn,
})
const time: Type = { kind: 'timestamp' }
const metadataType = objectOf('kubernetes.NamespaceMetadata', {
  name: string,
  generateName: string,
  namespace: string,
  labels: mapOf(string, string),
  annotations: mapOf(string, string),
  UID: string,
  creationTimestamp: time,
  deletionGracePeriodSeconds: { kind: 'int' },
  deletionTimestamp: time,
  generation: { kind: 'int' },
  resourceVersion: string,
  finalizers: listOf(string),
})
const namespaceType = objectOf('kubernetes.Namespace', {
  metadata: metadataType,
  spec: objectOf('kubernetes.NamespaceSpec', { finalizers: listOf(string) }),
  status: objectOf('kubernetes.NamespaceStatus', { phase: string, conditions: listOf(dyn) }),
})

const authorizerType: Type = { kind: 'opaque', name: 'kubernetes.authorization.Authorizer' }
const resourceCheckType: Type = { kind: 'opaque', name: 'kubernetes.authorization.ResourceCheck' }

export interface EnvironmentOptions {
  /** Of `object` and `oldObject`, when it is known. */
  readonly objectType?: Type
  /** Whether there are `params`, or of which type. */
  readonly params?: boolean | Type
  readonly authorizer?: boolean
  readonly namespaceObject?: boolean
  /** What `variables` has, in policies. */
  readonly variables?: Readonly<Record<string, Type>>
  readonly makesStruct?: Environment['makesStruct']
}

export function admissionEnvironment(options: EnvironmentOptions): Environment {
  const { objectType = dyn, params, authorizer, namespaceObject, variables, makesStruct } = options
  return {
    variables: {
      object: objectType,
      oldObject: objectType,
      request: requestType,
      ...(namespaceObject ? { namespaceObject: namespaceType } : {}),
      ...(params ? { params: params === true ? dyn : params } : {}),
      ...(authorizer ? { authorizer: authorizerType, 'authorizer.requestResource': resourceCheckType } : {}),
      ...(variables === undefined ? {} : { variables: objectOf('kubernetes.variables', variables) }),
    },
    ...(makesStruct === undefined ? {} : { makesStruct }),
  }
}

export interface VariablesDeps {
  readonly reader: LocalReader
  readonly catalog: KindCatalog
  /** Asked at each write: it is made after admission. */
  readonly authorizer: () => Authorizer
}

/** The values of one write, as `kind` shows it; each is made when it is first asked for. */
export function admissionVariables(deps: VariablesDeps, request: AdmissionRequest, kind: Kind): Record<string, unknown> {
  const write = inVersion(request, kind)
  let body: Record<string, unknown> | undefined
  let asking: AuthorizerValue | undefined
  const authorizer = (): AuthorizerValue => {
    asking ??= new AuthorizerValue(deps.authorizer(), request.user, decisionsOf(request))
    return asking
  }
  return {
    object: write.object ?? null,
    oldObject: write.old ?? null,
    get request() {
      body ??= requestBody(request, kind, deps.catalog, write)
      return body
    },
    get namespaceObject() {
      return namespaceOf(deps.reader, request)
    },
    get authorizer() {
      return authorizer()
    },
    get 'authorizer.requestResource'() {
      const { subresource, namespace, name } = request
      const { group, resource } = kind
      return new ResourceCheck(authorizer(), { group, resource, subresource, namespace: kind.namespaced ? namespace : '', name })
    },
  }
}

// What was waited for is known to all expressions about the write.
const decisions = new WeakMap<AdmissionRequest, Map<string, Decision>>()

function decisionsOf(request: AdmissionRequest): Map<string, Decision> {
  const found = decisions.get(request) ?? new Map<string, Decision>()
  decisions.set(request, found)
  return found
}

function namespaceOf(reader: LocalReader, { kind, namespace }: AdmissionRequest): unknown {
  if (!kind.namespaced || namespace === '') return null
  const found = reader.get(Namespace, '', namespace)
  if (found === undefined) return null
  const { uid, ...metadata } = found.metadata
  return { ...found, metadata: { ...metadata, UID: uid } }
}
