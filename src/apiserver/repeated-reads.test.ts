// Requests that come again and again are answered from what was remembered of them; whoever asks, what he may and what is there
// must count all the same with every one of them.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWholeServer, root, type WholeServer } from './whole-server.testing.ts'

let server: WholeServer
let admin: ReturnType<WholeServer['as']>
let token: string
const accounts = '/api/v1/namespaces/default/serviceaccounts'
const bindings = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings'
const target = '/api/v1/namespaces/default/configmaps/settings'

beforeAll(async () => {
  server = await openWholeServer()
  admin = server.as(root)
  await admin('POST', accounts, { metadata: { name: 'robot' } })
  token = (await admin('POST', `${accounts}/robot/token`, { spec: {} })).json.status.token
  await admin('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'settings' }, data: { turn: '0' } })
})
afterAll(() => server.close())

const mayRead = (name: string) => ({
  metadata: { name: `${name}-reads` },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
  subjects: [{ kind: 'ServiceAccount', namespace: 'default', name }],
})
const read = (headers: Record<string, string> = {}) =>
  server.wire('GET', target, { headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...headers } })
const statuses = async (times: number, headers?: Record<string, string>): Promise<number[]> => {
  const out: number[] = []
  for (let i = 0; i < times; i++) out.push((await read(headers)).status)
  return out
}

test('MUSTHOLD 10: a right that was given or taken away counts with the very next request', async () => {
  expect(await statuses(4)).toEqual([403, 403, 403, 403])
  await admin('POST', bindings, mayRead('robot'))
  expect(await statuses(4)).toEqual([200, 200, 200, 200])
  await admin('DELETE', `${bindings}/robot-reads`)
  expect(await statuses(2)).toEqual([403, 403])
  await admin('POST', bindings, mayRead('robot'))
  expect(await statuses(1)).toEqual([200])
})

test('MUSTHOLD 23: a read is never older than a write that was acknowledged before it', async () => {
  for (let turn = 1; turn <= 5; turn++) {
    const written = await admin('PATCH', target, { data: { turn: String(turn) } }, { 'content-type': 'application/merge-patch+json' })
    for (let i = 0; i < 3; i++) {
      const { json } = await read()
      expect([json.data.turn, json.metadata.resourceVersion]).toEqual([String(turn), written.json.metadata.resourceVersion])
    }
  }
})

test('each answer has an audit id of its own, and the one that its client gives', async () => {
  const ids = new Set<string | undefined>()
  for (let i = 0; i < 4; i++) ids.add((await read()).headers['audit-id'])
  expect(ids.size).toBe(4)
  for (let i = 0; i < 3; i++) expect((await read({ 'audit-id': 'mine' })).headers['audit-id']).toBe('mine')
})

test('MUSTHOLD 6: the same request as somebody else is another one', async () => {
  expect(await statuses(3)).toEqual([200, 200, 200])
  expect(await statuses(3, { 'impersonate-user': 'jane' })).toEqual([403, 403, 403])
  expect(await statuses(1)).toEqual([200])
})

test('the form is the one that each request asks for', async () => {
  for (let i = 0; i < 3; i++) {
    expect((await read()).json.kind).toBe('ConfigMap')
    expect((await read({ accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })).json.kind).toBe('Table')
    expect((await read({ accept: 'application/yaml' })).text).toContain('kind: ConfigMap')
    expect((await read({ accept: 'application/vnd.kubernetes.protobuf' })).text).toContain('k8s')
    expect((await read({ accept: 'text/html' })).status).toBe(406)
  }
})

test('a list that comes again is the one of its time: items, revision and pages', async () => {
  const maps = '/api/v1/namespaces/default/configmaps'
  const list = async (query = '') => (await admin('GET', `${maps}${query}`)).json
  type Item = { metadata: { name: string }; data?: Record<string, string> }
  const shown = ({ items }: { items: Item[] }) => items.map(({ metadata, data }) => [metadata.name, data?.['turn']])
  await admin('POST', maps, { metadata: { name: 'zero' }, data: { turn: 'z' } })
  const first = await list()
  expect(shown(first)).toContainEqual(['zero', 'z'])
  for (let i = 0; i < 3; i++) {
    // Something else is written: the items stay, the list's revision does not.
    const other = await admin('POST', '/api/v1/namespaces', { metadata: { name: `other-${i}` } })
    const again = await list()
    expect(again.items).toEqual(first.items)
    expect(Number(again.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(other.json.metadata.resourceVersion))
  }
  for (let i = 0; i < 3; i++) {
    const page = await list('?limit=1')
    const rest = await list(`?limit=1&continue=${page.metadata.continue}`)
    expect([...shown(page), ...shown(rest)]).toEqual(shown(first).slice(0, 2))
  }
  await admin('PATCH', `${maps}/zero`, { data: { turn: 'changed' } }, { 'content-type': 'application/merge-patch+json' })
  expect(shown(await list())).toContainEqual(['zero', 'changed'])
  await admin('DELETE', `${maps}/zero`)
  expect(shown(await list()).map(([name]) => name)).not.toContain('zero')
})

test('what was deleted is gone, and what is made in its place is what is read', async () => {
  await admin('DELETE', target)
  expect(await statuses(2)).toEqual([404, 404])
  await admin('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'settings' }, data: { turn: 'new' } })
  expect((await read()).json.data.turn).toBe('new')
})

test('MUSTHOLD 14: a token ends with its account, in the middle of a row of equal requests', async () => {
  expect(await statuses(2)).toEqual([200, 200])
  await admin('DELETE', `${accounts}/robot`)
  expect(await statuses(3)).toEqual([401, 401, 401])
})

test('MUSTHOLD 14: and with its time', async () => {
  await admin('POST', accounts, { metadata: { name: 'brief' } })
  await admin('POST', bindings, mayRead('brief'))
  token = (await admin('POST', `${accounts}/brief/token`, { spec: { expirationSeconds: 600 } })).json.status.token
  expect(await statuses(3)).toEqual([200, 200, 200])
  await server.clock.advance(700_000)
  expect(await statuses(2)).toEqual([401, 401])
})
