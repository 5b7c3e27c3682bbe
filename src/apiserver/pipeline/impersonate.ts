// Acting as somebody else: Impersonate-User, -Group, -Uid, -Extra-*. There are two kinds of right to it. The constrained ones
// (KEP-5284) take two rights: to be that one in a certain mode (`impersonate:<mode>`), and to do this very thing as such a one
// (`impersonate-on:<mode>:<verb>`). The old one, `impersonate`, is the right to be that one in all that he may do.
import { type ApiError, badRequest } from '#api/errors'
import { validateDomainPrefixedPath } from '#api/validation/domain-paths'
import { nameIsDnsSubdomain } from '#api/validation/names'
import { goQuote } from '#api/validation/text'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import { identityValues } from '../identity-headers.ts'
import type { ApiRequest, Stage, User } from '../request.ts'
import { attributesOf, forbiddenError } from './authorize.ts'

const extraPrefix = 'impersonate-extra-'
const serviceAccountPrefix = 'system:serviceaccount:'
const nodePrefix = 'system:node:'
const authenticationGroup = 'authentication.k8s.io'
const nodeNameKey = 'authentication.kubernetes.io/node-name'
// From this many checks on, one for everything is tried first.
const manyChecks = 4

/** Whom the headers name, as they name him. */
interface Wanted {
  readonly name: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: ReadonlyMap<string, readonly string[]>
}

interface Mode {
  /** Empty for the old kind. */
  readonly name: '' | 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info'
  readonly fits: (wanted: Wanted, requestor: User) => boolean
}

const nameAlone = ({ uid, groups, extra }: Wanted): boolean => uid === '' && groups.length === 0 && extra.size === 0

// In the order in which they are tried.
const modes: readonly Mode[] = [
  {
    name: 'associated-node',
    fits: (wanted, { name, extra }) => {
      const node = nodeName(wanted.name)
      const own = extra?.[nodeNameKey]
      return nameAlone(wanted) && node !== undefined && splitServiceAccount(name) !== undefined && own?.length === 1 && own[0] === node
    },
  },
  { name: 'arbitrary-node', fits: (wanted) => nameAlone(wanted) && nodeName(wanted.name) !== undefined },
  { name: 'serviceaccount', fits: (wanted) => nameAlone(wanted) && splitServiceAccount(wanted.name) !== undefined },
  { name: 'user-info', fits: ({ name }) => nodeName(name) === undefined && splitServiceAccount(name) === undefined },
  { name: '', fits: () => true },
]

export function impersonate(authorizer: Authorizer): Stage {
  // The mode that somebody last used is tried first.
  const lastMode = new WeakMap<User, Mode>()
  return {
    name: 'impersonate',
    run(request, next) {
      const { facts } = request
      if (facts?.impersonates === false) return next(request)
      const wanted = wantedUser(request.headers)
      if (facts !== undefined) facts.impersonates = wanted !== undefined
      return wanted === undefined ? next(request) : become(wanted, request).then(() => next(request))
    },
  }

  async function become(wanted: Wanted, request: ApiRequest): Promise<void> {
    const requestor = request.user
    const last = lastMode.get(requestor)
    let refusal: ApiError | undefined
    for (const mode of last === undefined ? modes : [last, ...modes.filter((other) => other !== last)]) {
      if (!mode.fits(wanted, requestor)) continue
      const refused = await check(authorizer, mode, wanted, request)
      if (refused !== undefined) {
        refusal ??= refused
        continue
      }
      lastMode.set(requestor, mode)
      request.originalUser = requestor
      request.user = impersonatedUser(wanted, mode)
      if (mode.name !== '') request.impersonationConstraint = `impersonate:${mode.name}`
      return
    }
    throw refusal!
  }
}

// Undefined when the requestor may.
async function check(authorizer: Authorizer, mode: Mode, wanted: Wanted, request: ApiRequest): Promise<ApiError | undefined> {
  const constrained = mode.name !== ''
  // What all nodes' own agents may must not hang on what is special to one of them.
  const user = mode.name === 'associated-node' ? withoutExtraValues(request.user) : request.user
  const refusalOf = async (attributes: Attributes): Promise<ApiError | undefined> => {
    const { verdict, reason } = await authorizer.authorize(attributes)
    return verdict === 'allow' ? undefined : forbiddenError(attributes, reason)
  }
  const claim = (group: string, resource: string, name: string, more: Partial<Attributes> = {}): Attributes => ({
    user,
    isResource: true,
    verb: constrained ? `impersonate:${mode.name}` : 'impersonate',
    group,
    version: 'v1',
    namespace: '',
    resource,
    subresource: '',
    name,
    path: '',
    ...more,
  })
  if (constrained) {
    const refused = await refusalOf({ ...attributesOf(request, `impersonate-on:${mode.name}:${request.info.verb}`), user })
    if (refused !== undefined) return refused
  }
  const namesGroup = constrained ? authenticationGroup : ''
  const checks = [
    () => refusalOf(nameClaim(claim, namesGroup, mode, wanted.name)),
    () => (wanted.uid === '' ? undefined : refusalOf(claim(authenticationGroup, 'uids', wanted.uid))),
    () => groupsRefusal(wanted.groups, constrained, (name) => claim(namesGroup, 'groups', name), refusalOf),
    () =>
      extraRefusal(
        wanted.extra,
        constrained,
        (subresource, name) => claim(authenticationGroup, 'userextras', name, { subresource }),
        refusalOf,
      ),
  ]
  for (const run of checks) {
    const refused = await run()
    if (refused !== undefined) return refused
  }
  return undefined
}

type Claim = (group: string, resource: string, name: string, more?: Partial<Attributes>) => Attributes
type RefusalOf = (attributes: Attributes) => Promise<ApiError | undefined>

function nameClaim(claim: Claim, group: string, mode: Mode, name: string): Attributes {
  const node = mode.name === '' ? undefined : nodeName(name)
  if (node !== undefined) return claim(group, 'nodes', mode.name === 'associated-node' ? '*' : node)
  const account = splitServiceAccount(name)
  return account === undefined
    ? claim(group, 'users', name)
    : claim(group, 'serviceaccounts', account.name, { namespace: account.namespace })
}

async function groupsRefusal(
  groups: readonly string[],
  constrained: boolean,
  claim: (name: string) => Attributes,
  refusalOf: RefusalOf,
): Promise<ApiError | undefined> {
  if (constrained && groups.includes('')) return forbiddenError(claim(''), 'impersonating the empty string group is not allowed')
  if (constrained && groups.includes('system:masters')) {
    return forbiddenError(claim('system:masters'), 'impersonating the system:masters group is not allowed')
  }
  if (constrained && groups.length >= manyChecks && (await refusalOf(claim('*'))) === undefined) return undefined
  return firstRefusal(groups.map(claim), refusalOf)
}

async function extraRefusal(
  extra: Wanted['extra'],
  constrained: boolean,
  claim: (key: string, value: string) => Attributes,
  refusalOf: RefusalOf,
): Promise<ApiError | undefined> {
  const wrong = constrained ? extraProblem(extra) : undefined
  if (wrong !== undefined) return forbiddenError(claim('', ''), wrong)
  const claims = [...extra].flatMap(([key, values]) => values.map((value) => claim(key, value)))
  if (constrained && claims.length >= manyChecks && (await refusalOf(claim('*', '*'))) === undefined) return undefined
  return firstRefusal(claims, refusalOf)
}

async function firstRefusal(claims: readonly Attributes[], refusalOf: RefusalOf): Promise<ApiError | undefined> {
  for (const each of claims) {
    const refused = await refusalOf(each)
    if (refused !== undefined) return refused
  }
  return undefined
}

function extraProblem(extra: Wanted['extra']): string | undefined {
  for (const [key, values] of extra) {
    if (key === '') return 'impersonating the empty string key in extra is not allowed'
    const wrong = validateDomainPrefixedPath(key, 'extra.key').map(({ field, detail }) => `${field}: ${detail}`)
    if (wrong.length > 0) {
      return `impersonating an invalid key in extra is not allowed: ${wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`}`
    }
    if (key !== key.toLowerCase()) return `impersonating a non-lowercase key in extra is not allowed: ${goQuote(key)}`
    if (values.includes('')) return 'impersonating the empty string value in extra is not allowed'
  }
  return undefined
}

function wantedUser(headers: Readonly<Record<string, string | undefined>>): Wanted | undefined {
  const [name = ''] = identityValues(headers['impersonate-user'])
  const [uid = ''] = identityValues(headers['impersonate-uid'])
  const groups = identityValues(headers['impersonate-group'])
  const extra = new Map<string, readonly string[]>()
  for (const header in headers) {
    if (!header.startsWith(extraPrefix)) continue
    const key = extraKey(header.slice(extraPrefix.length))
    extra.set(key, [...(extra.get(key) ?? []), ...identityValues(headers[header])])
  }
  const wanted = { name, uid, groups, extra }
  if (name !== '') return wanted
  if (nameAlone(wanted)) return undefined
  throw badRequest(`requested ${shown(wanted)} without impersonating a user name`)
}

function extraKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

// As Go prints the value (%#v).
function shown({ uid, groups, extra }: Wanted): string {
  const texts = (values: readonly string[]): string => `[]string{${values.map(goQuote).join(', ')}}`
  const groupText = groups.length === 0 ? '[]string(nil)' : texts(groups)
  const entries = [...extra].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, values]) => `${goQuote(key)}:${texts(values)}`)
  const extraText = extra.size === 0 ? 'map[string][]string(nil)' : `map[string][]string{${entries.join(', ')}}`
  return `&user.DefaultInfo{Name:"", UID:${goQuote(uid)}, Groups:${groupText}, Extra:${extraText}}`
}

function splitServiceAccount(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(serviceAccountPrefix)) return undefined
  const [namespace = '', name = '', ...rest] = user.slice(serviceAccountPrefix.length).split(':')
  if (namespace === '' || name === '' || rest.length > 0) return undefined
  return { namespace, name }
}

function nodeName(user: string): string | undefined {
  if (!user.startsWith(nodePrefix)) return undefined
  const name = user.slice(nodePrefix.length)
  return nameIsDnsSubdomain(name, false).length === 0 ? name : undefined
}

function withoutExtraValues(user: User): User {
  return { ...user, extra: { 'authentication.kubernetes.io/associated-node-keys': Object.keys(user.extra ?? {}).sort() } }
}

function impersonatedUser({ name, uid, groups: wanted, extra }: Wanted, mode: Mode): User {
  const account = splitServiceAccount(name)
  let groups = [...wanted]
  if (mode.name !== '' && nodeName(name) !== undefined) groups = ['system:nodes']
  else if (account !== undefined && groups.length === 0) groups = ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`]
  if (name === 'system:anonymous') {
    if (!groups.includes('system:unauthenticated')) groups.push('system:unauthenticated')
  } else if (!groups.includes('system:authenticated') && !groups.includes('system:unauthenticated')) groups.push('system:authenticated')
  return {
    name,
    groups,
    ...(uid === '' ? {} : { uid }),
    ...(extra.size === 0 ? {} : { extra: Object.fromEntries([...extra].map(([key, values]) => [key, [...values]])) }),
  }
}
