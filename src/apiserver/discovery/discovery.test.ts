import { expect, test } from 'vitest'
import { allKinds } from '#api/kinds/all'
import { decodeObject } from '#api/protobuf/envelope'
import type { ApiRequest, KindCatalog } from '../request.ts'
import { createDiscovery } from './discovery.ts'

const catalog = { all: () => allKinds, onChange: () => undefined } as unknown as KindCatalog
const discovery = createDiscovery({ catalog, serverAddress: '192.0.2.1:6443' })
const aggregated = 'g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
const offered = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'

async function get(path: string, accept: string): Promise<{ type: string; bytes: Buffer } | undefined> {
  const reply = await discovery.answer({ path, query: new URLSearchParams(), headers: { accept } } as unknown as ApiRequest)
  return reply === undefined ? undefined : { type: String(reply.headers?.['content-type']), bytes: reply.body as Buffer }
}

test.each([
  ['/api', 'application/yaml', 'application/yaml', /^kind: APIVersions\n/],
  ['/apis/apps', 'application/yaml', 'application/yaml', /^apiVersion: v1\nkind: APIGroup\nname: apps\n/],
  ['/apis/apps/v1', 'application/json;pretty=1', 'application/json', /^\{\n {2}"kind": "APIResourceList"/],
  ['/apis', `application/json;${aggregated};profile=nopeer`, `application/json;${aggregated}`, /^\{"kind":"APIGroupDiscoveryList"/],
  ['/apis', `application/json;as=Bogus;g=apidiscovery.k8s.io;v=v2, application/json`, 'application/json', /^\{"kind":"APIGroupList"/],
  ['/apis/apps', `application/json;${aggregated}, */*`, 'application/json', /^\{"kind":"APIGroup"/],
])('%s as %s', async (path, accept, type, text) => {
  const found = await get(path, accept)
  expect([found?.type, found?.bytes.toString()]).toEqual([type, expect.stringMatching(text)])
})

test.each([
  ['/api', 'APIVersions', ''],
  ['/apis', 'APIGroupList', ''],
  ['/apis/apps', 'APIGroup', ''],
  ['/apis/apps/v1', 'APIResourceList', ''],
  ['/apis', 'APIGroupDiscoveryList', `;${aggregated}`],
])('%s as %s in protobuf says the same as in JSON', async (path, kind, params) => {
  const protobuf = (await get(path, `application/vnd.kubernetes.protobuf${params}`))!
  const { object } = decodeObject(protobuf.bytes)
  const said = JSON.parse((await get(path, `application/json${params}`))!.bytes.toString())
  expect(object['kind']).toBe(kind)
  for (const name of ['versions', 'groups', 'name', 'groupVersion']) expect(object[name]).toEqual(said[name])
  if (kind === 'APIResourceList')
    expect(object['resources']).toMatchObject([
      { name: 'controllerrevisions', verbs: said.resources[0].verbs },
      ...Array(said.resources.length - 1).fill({}),
    ])
})

test('what nobody can write is refused, where there is something', async () => {
  const refusal = `only the following media types are accepted: ${offered}`
  await expect(get('/apis', 'text/html')).rejects.toThrow(refusal)
  await expect(get('/apis/apps/v1', `application/json;${aggregated}`)).rejects.toThrow(refusal)
  expect(await get('/apis/nothing', 'text/html')).toBeUndefined()
})

test('kinds that are stored as another have its hash', async () => {
  const hashes = async (path: string): Promise<Record<string, string>> => {
    const { resources } = JSON.parse((await get(path, 'application/json'))!.bytes.toString())
    return Object.fromEntries(resources.map((one: { name: string; storageVersionHash?: string }) => [one.name, one.storageVersionHash]))
  }
  const [one, two] = [await hashes('/apis/autoscaling/v1'), await hashes('/apis/autoscaling/v2')]
  expect(one['horizontalpodautoscalers']).toBe(two['horizontalpodautoscalers'])
  expect((await hashes('/apis/events.k8s.io/v1'))['events']).toBe((await hashes('/api/v1'))['events'])
  expect(await hashes('/api/v1')).toMatchObject({ pods: 'xPOwRZ+Yhw8=', bindings: undefined, componentstatuses: undefined })
})
