// Who may act as whom, in which mode, and as whom the request then runs.
import { describe, expect, test } from 'vitest'
import { ApiError } from '#api/errors'
import type { Attributes, Authorizer } from '../authz/authorizer.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import type { ApiReply, User } from '../request.ts'
import { impersonate } from './impersonate.ts'

const ok = async (): Promise<ApiReply> => ({ status: 200, headers: {}, body: undefined })
const agent: User = {
  name: 'system:serviceaccount:ops:agent',
  groups: ['system:serviceaccounts', 'system:authenticated'],
  extra: { 'authentication.kubernetes.io/node-name': ['a'] },
}
const jane: User = { name: 'jane', groups: ['system:authenticated'] }

// A right is `verb group/resource[/subresource] [namespace/]name`; an asterisk at the end stands for the rest.
function allowing(...rights: string[]): Authorizer & { asked: string[] } {
  const asked: string[] = []
  return {
    name: 'test',
    asked,
    authorize({ verb, group, resource, subresource, namespace, name }: Attributes) {
      const text = `${verb} ${group}/${resource}${subresource === '' ? '' : `/${subresource}`} ${namespace === '' ? '' : `${namespace}/`}${name}`
      asked.push(text)
      const may = rights.some((right) => (right.endsWith('**') ? text.startsWith(right.slice(0, -2)) : text === right))
      return { verdict: may ? 'allow' : 'none', reason: '' }
    },
  }
}

async function act(authorizer: Authorizer, user: User, headers: Record<string, string>, target = '/api/v1/namespaces/shop/pods') {
  const request = fakeRequest(target, { user, headers })
  try {
    await impersonate(authorizer).run(request, ok)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { code: error.code, message: error.status.message }
  }
  return { user: request.user, constraint: request.impersonationConstraint }
}

describe('the old right', () => {
  const legacy = allowing('impersonate **')
  test.each<[string, Record<string, string>, User]>([
    ['a user is authenticated', { 'impersonate-user': 'bob' }, { name: 'bob', groups: ['system:authenticated'] }],
    [
      'with groups',
      { 'impersonate-user': 'bob', 'impersonate-group': 'dev\nops, west' },
      { name: 'bob', groups: ['dev', 'ops, west', 'system:authenticated'] },
    ],
    [
      'unless it is said not to be',
      { 'impersonate-user': 'bob', 'impersonate-group': 'system:unauthenticated' },
      { name: 'bob', groups: ['system:unauthenticated'] },
    ],
    ['nobody is not', { 'impersonate-user': 'system:anonymous' }, { name: 'system:anonymous', groups: ['system:unauthenticated'] }],
    [
      'an account has its groups',
      { 'impersonate-user': 'system:serviceaccount:a:b' },
      { name: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts', 'system:serviceaccounts:a', 'system:authenticated'] },
    ],
    [
      'or those that are said',
      { 'impersonate-user': 'system:serviceaccount:a:b', 'impersonate-group': 'x' },
      { name: 'system:serviceaccount:a:b', groups: ['x', 'system:authenticated'] },
    ],
    [
      'uid and extra, whose key is decoded',
      { 'impersonate-user': 'bob', 'impersonate-uid': '7', 'impersonate-extra-acme.io%2fproject': 'x\ny' },
      { name: 'bob', uid: '7', groups: ['system:authenticated'], extra: { 'acme.io/project': ['x', 'y'] } },
    ],
  ])('%s', async (_what, headers, user) => {
    expect(await act(legacy, jane, headers)).toEqual({ user, constraint: undefined })
  })

  test('each thing that is claimed takes the right to it', async () => {
    const authorizer = allowing('impersonate /users bob', 'impersonate /groups dev')
    expect(await act(authorizer, jane, { 'impersonate-user': 'bob', 'impersonate-group': 'dev' })).toMatchObject({ user: { name: 'bob' } })
    for (const more of [{ 'impersonate-group': 'ops' }, { 'impersonate-uid': '1' }, { 'impersonate-extra-scopes': 'all' }] as Record<
      string,
      string
    >[]) {
      expect(await act(authorizer, jane, { 'impersonate-user': 'bob', ...more })).toMatchObject({ code: 403 })
    }
  })
})

describe('constrained', () => {
  test('a user for one thing and not for another', async () => {
    const authorizer = allowing('impersonate:user-info authentication.k8s.io/users bob', 'impersonate-on:user-info:list /pods shop/')
    expect(await act(authorizer, jane, { 'impersonate-user': 'bob' })).toEqual({
      user: { name: 'bob', groups: ['system:authenticated'] },
      constraint: 'impersonate:user-info',
    })
    expect(await act(authorizer, jane, { 'impersonate-user': 'bob' }, '/api/v1/namespaces/shop/secrets')).toEqual({
      code: 403,
      message:
        'secrets is forbidden: User "jane" cannot impersonate-on:user-info:list resource "secrets" in API group "" in the namespace "shop"',
    })
  })

  test('an account', async () => {
    const authorizer = allowing(
      'impersonate:serviceaccount authentication.k8s.io/serviceaccounts a/b',
      'impersonate-on:serviceaccount:list **',
    )
    expect(await act(authorizer, jane, { 'impersonate-user': 'system:serviceaccount:a:b' })).toEqual({
      user: { name: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts', 'system:serviceaccounts:a', 'system:authenticated'] },
      constraint: 'impersonate:serviceaccount',
    })
    // With groups of its own it is no such account any more.
    expect(await act(authorizer, jane, { 'impersonate-user': 'system:serviceaccount:a:b', 'impersonate-group': 'x' })).toMatchObject({
      code: 403,
    })
  })

  test('any node', async () => {
    const authorizer = allowing('impersonate:arbitrary-node authentication.k8s.io/nodes a', 'impersonate-on:arbitrary-node:list **')
    expect(await act(authorizer, jane, { 'impersonate-user': 'system:node:a' })).toEqual({
      user: { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
      constraint: 'impersonate:arbitrary-node',
    })
    expect(await act(authorizer, jane, { 'impersonate-user': 'system:node:b' })).toMatchObject({ code: 403 })
  })

  test('the node that one runs on, and no other', async () => {
    const authorizer = allowing('impersonate:associated-node authentication.k8s.io/nodes *', 'impersonate-on:associated-node:list **')
    expect(await act(authorizer, agent, { 'impersonate-user': 'system:node:a' })).toMatchObject({
      user: { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
      constraint: 'impersonate:associated-node',
    })
    expect(await act(authorizer, agent, { 'impersonate-user': 'system:node:b' })).toMatchObject({ code: 403 })
    expect(await act(authorizer, jane, { 'impersonate-user': 'system:node:a' })).toMatchObject({ code: 403 })
  })

  test('MUSTHOLD 6: the administrators’ group is out of reach, with any right', async () => {
    const authorizer = allowing('impersonate:**', 'impersonate-on:**')
    for (const [header, value, words] of [
      ['impersonate-group', 'system:masters', 'impersonating the system:masters group is not allowed'],
      ['impersonate-group', 'a\n', 'impersonating the empty string group is not allowed'],
      ['impersonate-extra-Scopes', 'a', 'must be a domain-prefixed path'],
      ['impersonate-extra-acme.io/x', '', 'impersonating the empty string value in extra is not allowed'],
    ] as const) {
      const refused = await act(authorizer, jane, { 'impersonate-user': 'bob', [header]: value })
      expect(refused).toMatchObject({ code: 403, message: expect.stringContaining(words) })
    }
  })

  test('many groups at once are asked for by one question first', async () => {
    const authorizer = allowing('impersonate:user-info **', 'impersonate-on:user-info:list **')
    await act(authorizer, jane, { 'impersonate-user': 'bob', 'impersonate-group': 'a\nb\nc\nd' })
    expect(authorizer.asked).toEqual([
      'impersonate-on:user-info:list /pods shop/',
      'impersonate:user-info authentication.k8s.io/users bob',
      'impersonate:user-info authentication.k8s.io/groups *',
    ])
  })
})

test.each<[Record<string, string>, string]>([
  [{ 'impersonate-group': 'x' }, '&user.DefaultInfo{Name:"", UID:"", Groups:[]string{"x"}, Extra:map[string][]string(nil)}'],
  [
    { 'impersonate-extra-a': 'b', 'impersonate-uid': '1' },
    '&user.DefaultInfo{Name:"", UID:"1", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"b"}}}',
  ],
])('%j is nobody', async (headers, shown) => {
  await expect(async () => act(allowing('**'), jane, headers)).not.toThrow()
  expect(await act(allowing('**'), jane, headers).catch((error) => error)).toMatchObject({
    code: 400,
    message: `requested ${shown} without impersonating a user name`,
  })
})
