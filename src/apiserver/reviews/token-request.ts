// serviceaccounts/token: a token for a service account, bound to an audience, a time and (if asked) a pod, a secret or a node
// (KEP-1205). The token stands in the answer and nowhere else.
import { badRequest, conflict, type FieldError, invalid, notFound } from '#api/errors'
import type { BoundObjectReference, TokenRequest } from '#api/generated/authentication-v1'
import type { Kind } from '#api/kind'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import type { KubeObject } from '#api/object'
import { invalid as invalidField } from '#api/validation/field-errors'
import { goQuote } from '#api/validation/text'
import { type Clock, timestamp } from '#base/clock'
import { peekJwt, type SigningKey } from '#platform/jwt'
import { type BoundObject, issueToken, type TokenClaims } from '../authn/service-account-tokens.ts'
import type { LocalReader } from '../request.ts'
import type { CreateHandler, SubresourceTarget } from '../subresources/subresource.ts'

export interface TokenRequestDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly issuer: string
  /** What a token is for when the request does not say. */
  readonly audiences: readonly string[]
  readonly key: () => SigningKey
  /** Longer lives are cut to this. */
  readonly secondsMax?: number
  /** Whether tokens that admission asks for pods by itself live on after their time, so that programs that read them once go on working. */
  readonly extend?: boolean
}

const apiVersion = 'authentication.k8s.io/v1'
const defaultSeconds = 3_600
// What admission writes into the volumes that it adds, and nobody else is likely to ask for (KEP-1205).
const automountSeconds = 3_607
const extendedMs = 365 * 86_400_000
const secondsMin = 600
const secondsMax = 2 ** 32

export function tokenRequestHandler(deps: TokenRequestDeps): CreateHandler {
  return {
    type: 'create',
    group: '',
    resource: 'serviceaccounts',
    subresource: 'token',
    bodyKinds: [{ apiVersion, kind: 'TokenRequest' }],
    async create(body, target, call) {
      const request = body as TokenRequest
      checkNames(request, target)
      const account = deps.reader.get(ServiceAccount, target.namespace, target.name)
      if (account === undefined) throw notFound(ServiceAccount, target.name)
      checkUid(request, target.name, account.metadata.uid)
      const asked = request.spec.expirationSeconds ?? defaultSeconds
      checkTime(asked)
      const seconds = Math.min(asked, deps.secondsMax ?? asked)
      if (seconds < asked) call.warn(`requested expiration of ${asked} seconds shortened to ${seconds} seconds`)
      const bound = bind(deps.reader, request.spec.boundObjectRef, target)
      const nowMs = deps.clock.now()
      const expiresAtMs = Math.floor(nowMs / 1000) * 1000 + seconds * 1000
      const audiences =
        request.spec.audiences !== undefined && request.spec.audiences.length > 0 ? request.spec.audiences : [...deps.audiences]
      const extended =
        deps.extend !== false &&
        bound.pod !== undefined &&
        seconds === automountSeconds &&
        audiences.every((audience) => deps.audiences.includes(audience))
      const token = issueToken(
        {
          namespace: target.namespace,
          serviceAccount: { name: target.name, uid: account.metadata.uid },
          ...bound,
          audiences,
          ...(extended ? { expiresAtMs: nowMs + extendedMs, warnAfterMs: expiresAtMs } : { expiresAtMs }),
        },
        { issuer: deps.issuer, key: deps.key(), nowMs },
      )
      call.annotate('authentication.kubernetes.io/issued-credential-id', `JTI=${peekJwt(token)?.['jti']}`)
      const answer: TokenRequest = {
        ...request,
        metadata: {
          ...request.metadata,
          name: target.name,
          namespace: target.namespace,
          uid: account.metadata.uid,
          creationTimestamp: timestamp(nowMs),
        },
        spec: { ...request.spec, audiences, expirationSeconds: seconds },
        status: { token, expirationTimestamp: timestamp(expiresAtMs) },
      }
      return answer
    },
  }
}

const kind = { group: 'authentication.k8s.io', kind: 'TokenRequest' }

function checkNames({ metadata }: TokenRequest, target: SubresourceTarget): void {
  const wrong = (field: string, value: string, what: string): never => {
    throw invalid(kind, target.name, [invalidField(field, value, `must match the service account ${what} if specified`)])
  }
  if (metadata?.name && metadata.name !== target.name) wrong('metadata.name', metadata.name, 'name')
  if (metadata?.namespace && metadata.namespace !== target.namespace) wrong('metadata.namespace', metadata.namespace, 'namespace')
}

function checkUid({ metadata }: TokenRequest, name: string, uid: string): void {
  if (!metadata?.uid || metadata.uid === uid) return
  const why = `the UID in the token request (${metadata.uid}) does not match the UID of the service account (${uid})`
  throw conflict({ group: kind.group, resource: kind.kind }, name, why)
}

function checkTime(seconds: number): void {
  const errors: FieldError[] = []
  if (seconds < secondsMin) errors.push(invalidField('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'))
  if (seconds > secondsMax) {
    errors.push(invalidField('spec.expirationSeconds', seconds, 'may not specify a duration larger than 2^32 seconds'))
  }
  if (errors.length > 0) throw invalid(kind, '', errors)
}

function bind(reader: LocalReader, ref: BoundObjectReference | undefined, { namespace, name }: SubresourceTarget): Partial<TokenClaims> {
  if (ref === undefined) return {}
  const core = ref.apiVersion === undefined || ref.apiVersion === 'v1'
  if (core && ref.kind === 'Pod') {
    const pod = existing(reader, Pod, namespace, ref)
    if (pod.spec.serviceAccountName !== name) {
      throw badRequest(`cannot bind token for serviceaccount ${goQuote(name)} to pod running with different serviceaccount name.`)
    }
    const { nodeName = '' } = pod.spec
    if (nodeName === '') return { pod: boundObject(pod) }
    // Of a node that is not there (any more) the name alone is known.
    const node = reader.get(Node, '', nodeName)
    return { pod: boundObject(pod), node: node === undefined ? { name: nodeName } : boundObject(node) }
  }
  if (core && ref.kind === 'Secret') return { secret: boundObject(existing(reader, Secret, namespace, ref)) }
  if (core && ref.kind === 'Node') return { node: boundObject(existing(reader, Node, '', ref)) }
  const { apiVersion = '', kind = '' } = ref
  throw badRequest(`cannot bind token to object of type ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`)
}

function existing<T extends KubeObject>(
  reader: LocalReader,
  kind: Kind<T>,
  namespace: string,
  { name = '', uid }: BoundObjectReference,
): T {
  const object = reader.get(kind, namespace, name)
  if (object === undefined) throw notFound(kind, name)
  if (uid !== undefined && uid !== '' && uid !== object.metadata.uid) {
    throw conflict(
      { group: '', resource: kind.kind },
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    )
  }
  return object
}

function boundObject({ metadata }: KubeObject): BoundObject {
  return { name: metadata.name ?? '', uid: metadata.uid }
}
