// Acting as somebody else: Impersonate-User, -Group, -Uid, -Extra-*. Each thing that is claimed needs the right to impersonate it.
import { badRequest } from '#api/errors'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import { identityValues } from '../identity-headers.ts'
import type { Stage, User } from '../request.ts'
import { forbiddenError } from './authorize.ts'

const extraPrefix = 'impersonate-extra-'
const serviceAccountPrefix = 'system:serviceaccount:'

interface Claim {
  readonly kind: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

export function impersonate(authorizer: Authorizer): Stage {
  return {
    name: 'impersonate',
    run(request, next) {
      const claims = claimsOf(request.headers)
      if (claims.length === 0) return next(request)
      for (const { kind: _, ...claim } of claims) {
        const attributes: Attributes = { user: request.user, isResource: true, verb: 'impersonate', path: '', ...claim }
        const decision = authorizer.authorize(attributes)
        if (decision.verdict !== 'allow') return Promise.reject(forbiddenError(attributes, decision.reason))
      }
      request.originalUser = request.user
      request.user = impersonatedUser(claims)
      return next(request)
    },
  }
}

const plain = { group: '', version: 'v1', subresource: '', namespace: '' }
const authentication = { group: 'authentication.k8s.io', version: 'v1', namespace: '' }

function claimsOf(headers: Readonly<Record<string, string | undefined>>): Claim[] {
  const [user = ''] = identityValues(headers['impersonate-user'])
  const claims: Claim[] = []
  if (user !== '') {
    const account = splitServiceAccount(user)
    if (account === undefined) claims.push({ ...plain, kind: 'User', resource: 'users', name: user })
    else claims.push({ ...plain, kind: 'ServiceAccount', resource: 'serviceaccounts', ...account })
  }
  for (const name of identityValues(headers['impersonate-group'])) claims.push({ ...plain, kind: 'Group', resource: 'groups', name })
  for (const header in headers) {
    if (!header.startsWith(extraPrefix)) continue
    const subresource = extraKey(header.slice(extraPrefix.length))
    for (const name of identityValues(headers[header])) {
      claims.push({ ...authentication, kind: 'UserExtra', resource: 'userextras', subresource, name })
    }
  }
  const [uid = ''] = identityValues(headers['impersonate-uid'])
  if (uid !== '') claims.push({ ...authentication, kind: 'UID', resource: 'uids', subresource: '', name: uid })
  if (claims.length > 0 && user === '') {
    throw badRequest(`requested [${claims.map((claim) => `{${claim.kind}  ${claim.name}}`).join(' ')}] without impersonating a user`)
  }
  return claims
}

function extraKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

function splitServiceAccount(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(serviceAccountPrefix)) return undefined
  const [namespace = '', name = '', ...rest] = user.slice(serviceAccountPrefix.length).split(':')
  return namespace === '' || name === '' || rest.length > 0 ? undefined : { namespace, name }
}

function impersonatedUser(claims: readonly Claim[]): User {
  const [subject] = claims
  const groups = claims.filter((claim) => claim.kind === 'Group').map((claim) => claim.name)
  let name = subject!.name
  if (subject!.kind === 'ServiceAccount') {
    name = `${serviceAccountPrefix}${subject!.namespace}:${subject!.name}`
    if (groups.length === 0) groups.push('system:serviceaccounts', `system:serviceaccounts:${subject!.namespace}`)
  }
  if (name === 'system:anonymous') {
    if (!groups.includes('system:unauthenticated')) groups.push('system:unauthenticated')
  } else if (!groups.includes('system:authenticated') && !groups.includes('system:unauthenticated')) groups.push('system:authenticated')
  const extra = new Map<string, string[]>()
  for (const { kind, subresource, name: value } of claims) {
    if (kind === 'UserExtra') extra.set(subresource, [...(extra.get(subresource) ?? []), value])
  }
  const uid = claims.find((claim) => claim.kind === 'UID')?.name
  return { name, groups, ...(uid === undefined ? {} : { uid }), ...(extra.size === 0 ? {} : { extra: Object.fromEntries(extra) }) }
}
