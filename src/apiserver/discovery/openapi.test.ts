import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { defineKind } from '#api/kind'
import type { Json } from '#api/openapi/definitions'
import type { RemoteVersion, RemoteVersions } from '../aggregation/aggregator.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import { createKindCatalog } from '../kind-catalog.ts'
import type { ApiReply } from '../request.ts'
import { createOpenApi } from './openapi.ts'

const kinds = ['core/v1/configmaps', 'apps/v1/deployments', 'batch/v1/jobs'].map((id) => defineKind(id))

function serve(list = kinds, remotes?: RemoteVersions) {
  const catalog = createKindCatalog(list)
  let reads = 0
  const descriptions = async () => {
    reads++
    return { 'io.k8s.api.core.v1.ConfigMap': { '': 'Holds configuration.' } }
  }
  const openApi = createOpenApi({
    catalog,
    about: { version: 'v1.36.0-test' },
    descriptions,
    ...(remotes === undefined ? {} : { remotes }),
  })
  const get = async (target: string, headers: Record<string, string> = {}): Promise<ApiReply> => {
    const reply = await openApi.answer(fakeRequest(target, { headers }))
    if (reply === undefined) throw new Error(`no answer for ${target}`)
    return reply
  }
  return { catalog, openApi, get, reads: () => reads }
}

const flora: RemoteVersion = {
  group: 'garden.example.com',
  groupPriorityMinimum: 1000,
  versionPriority: 10,
  discovery: { version: 'v1', freshness: 'Current' },
}
const unreadable: RemoteVersion = {
  ...flora,
  group: 'other.example.com',
  openApiV2: { etag: '1', read: () => Promise.reject(new Error('no document')) },
}

function fakeRemotes(): { remotes: RemoteVersions; set: (versions: readonly RemoteVersion[]) => void } {
  let versions: readonly RemoteVersion[] = []
  const listeners = new Set<() => void>()
  return {
    remotes: {
      all: () => versions,
      onChange(changed) {
        listeners.add(changed)
        return () => listeners.delete(changed)
      },
    },
    set(next) {
      versions = next
      for (const listener of listeners) listener()
    },
  }
}

function textOf(reply: ApiReply): string {
  const body = Buffer.from(reply.body as Uint8Array)
  return (reply.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
}

async function index(get: ReturnType<typeof serve>['get']): Promise<Record<string, { serverRelativeURL: string }>> {
  return JSON.parse(textOf(await get('/openapi/v3'))).paths
}

describe('version 3', () => {
  test('the index names every group-version with its hash', async () => {
    const paths = await index(serve().get)
    expect(Object.keys(paths)).toEqual([
      '.well-known/openid-configuration',
      'api',
      'apis',
      'apis/apps',
      'apis/batch',
      'openid/v1/jwks',
      'version',
      'api/v1',
      'apis/apps/v1',
      'apis/batch/v1',
    ])
    expect(paths['apis/apps/v1']!.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/)
  })

  test('a document asked for by its hash may be kept for good', async () => {
    const { get } = serve()
    const url = (await index(get))['api/v1']!.serverRelativeURL
    const reply = await get(url, { 'accept-encoding': 'gzip' })
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      'cache-control': 'public, immutable',
      expires: 'Fri, 01 Jan 1971 00:00:00 GMT',
      etag: `"${url.slice(url.indexOf('=') + 1)}"`,
    })
    const document = JSON.parse(textOf(reply))
    expect(document.components.schemas['io.k8s.api.core.v1.ConfigMap'].description).toBe('Holds configuration.')
    expect(await get(url, { 'if-none-match': reply.headers['etag']! })).toMatchObject({ status: 304 })
    expect(textOf(await get('/openapi/v3/api/v1'))).toBe(textOf(reply))
  })

  test('comes in protobuf too, under the same hash', async () => {
    const { get } = serve()
    const url = (await index(get))['apis/apps/v1']!.serverRelativeURL
    const accept = 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf'
    const reply = await get(url, { accept })
    expect(reply.headers).toMatchObject({
      'content-type': 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf',
      'cache-control': 'public, immutable',
      etag: (await get(url)).headers['etag'],
      vary: 'Accept, Accept-Encoding',
    })
    expect(Buffer.from(reply.body as Uint8Array).subarray(0, 7)).toEqual(Buffer.from('\n\x053.0.0'))
    const both = await get(url, { accept: `application/json;q=0.5, ${accept}` })
    expect(both.headers['content-type']).toBe(reply.headers['content-type'])
  })

  test('what is about the server itself has documents of its own', async () => {
    const { get } = serve()
    const { paths } = JSON.parse(textOf(await get('/openapi/v3/apis/apps')))
    expect(Object.keys(paths)).toEqual(['/apis/apps/'])
    expect(paths['/apis/apps/'].get).toMatchObject({ operationId: 'getAppsAPIGroup', tags: ['apps'] })
    expect(JSON.parse(textOf(await get('/openapi/v3/version'))).paths['/version/'].get.operationId).toBe('getCodeVersion')
  })

  test('an old hash is led to the present one', async () => {
    const { get } = serve()
    const url = (await index(get))['api/v1']!.serverRelativeURL
    expect(await get('/openapi/v3/api/v1?hash=OLD')).toMatchObject({ status: 301, headers: { location: url } })
  })

  test('the hash and the document change with the kinds', async () => {
    const { get, catalog } = serve()
    const before = await index(get)
    catalog.add(defineKind('core/v1/secrets'))
    const after = await index(get)
    expect(after['api/v1']).not.toEqual(before['api/v1'])
    expect(after['apis/apps/v1']).toEqual(before['apis/apps/v1'])
    expect(textOf(await get('/openapi/v3/api/v1'))).toContain('/api/v1/namespaces/{namespace}/secrets')
  })

  test('what is not served has no document', async () => {
    expect(await serve().openApi.answer(fakeRequest('/openapi/v3/apis/apps/v2'))).toBeUndefined()
    expect(await serve().openApi.answer(fakeRequest('/openapi/v4'))).toBeUndefined()
  })
})

describe('version 2', () => {
  test('comes as JSON or protobuf, and is made once', async () => {
    const { get, reads } = serve()
    const [first, second] = await Promise.all([get('/openapi/v2'), get('/openapi/v2', { accept: 'application/json' })])
    expect(JSON.parse(textOf(first!)).swagger).toBe('2.0')
    expect(textOf(second!)).toBe(textOf(first!))
    expect(reads()).toBe(1)
    const old = await get('/openapi/v2', { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' })
    expect(old.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
    expect((old.body as Uint8Array)[0]).toBe(0x0a)
  })

  test('is one with those of other servers, made anew when they change', async () => {
    const { remotes, set } = fakeRemotes()
    const { get } = serve(kinds, remotes)
    const alone = await get('/openapi/v2')
    const theirs = (type: string): Json => ({
      swagger: '2.0',
      paths: { '/apis/garden.example.com/v1/flowers': { get: { responses: { 200: { schema: { $ref: '#/definitions/Flower' } } } } } },
      definitions: { Flower: { type } },
    })
    set([{ ...flora, openApiV2: { etag: '1', read: async () => theirs('object') } }, unreadable])
    const together = await get('/openapi/v2')
    expect(together.headers['etag']).not.toBe(alone.headers['etag'])
    const document = JSON.parse(textOf(together))
    expect(document.info.title).toBe('Kubernetes')
    expect(document.definitions.Flower).toEqual({ type: 'object' })
    expect(Object.keys(document.paths)).toEqual(
      [...Object.keys(JSON.parse(textOf(alone)).paths), '/apis/garden.example.com/v1/flowers'].sort(),
    )
    set([{ ...flora, openApiV2: { etag: '2', read: async () => theirs('string') } }])
    expect(JSON.parse(textOf(await get('/openapi/v2'))).definitions.Flower).toEqual({ type: 'string' })
    // It has no document of version 3, so it is told in that by what it has.
    const url = (await index(get))['apis/garden.example.com/v1']!.serverRelativeURL
    expect(JSON.parse(textOf(await get(url))).components.schemas).toEqual({ Flower: { type: 'string' } })
    set([])
    expect(textOf(await get('/openapi/v2'))).toBe(textOf(alone))
  })

  test('a form that is not there is not acceptable', async () => {
    await expect(serve().get('/openapi/v2', { accept: 'text/html' })).rejects.toMatchObject({ code: 406 })
  })
})
