import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { defineKind } from '#api/kind'
import { fakeRequest } from '../fake-request.testing.ts'
import { createKindCatalog } from '../kind-catalog.ts'
import type { ApiReply } from '../request.ts'
import { createOpenApi } from './openapi.ts'

const kinds = ['core/v1/configmaps', 'apps/v1/deployments', 'batch/v1/jobs'].map((id) => defineKind(id))

function serve(list = kinds) {
  const catalog = createKindCatalog(list)
  let reads = 0
  const descriptions = async () => {
    reads++
    return { 'io.k8s.api.core.v1.ConfigMap': { '': 'Holds configuration.' } }
  }
  const openApi = createOpenApi({ catalog, about: { version: 'v1.36.0-test' }, descriptions })
  const get = async (target: string, headers: Record<string, string> = {}): Promise<ApiReply> => {
    const reply = await openApi.answer(fakeRequest(target, { headers }))
    if (reply === undefined) throw new Error(`no answer for ${target}`)
    return reply
  }
  return { catalog, openApi, get, reads: () => reads }
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
    expect(Object.keys(paths)).toEqual(['api/v1', 'apis/apps/v1', 'apis/batch/v1'])
    expect(paths['apis/apps/v1']!.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{64}$/)
  })

  test('a document asked for by its hash may be kept for good', async () => {
    const { get } = serve()
    const url = (await index(get))['api/v1']!.serverRelativeURL
    const reply = await get(url, { 'accept-encoding': 'gzip' })
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      'cache-control': 'public, immutable, max-age=31536000',
    })
    const document = JSON.parse(textOf(reply))
    expect(document.components.schemas['io.k8s.api.core.v1.ConfigMap'].description).toBe('Holds configuration.')
    expect(await get(url, { 'if-none-match': reply.headers['etag']! })).toMatchObject({ status: 304 })
    expect(textOf(await get('/openapi/v3/api/v1'))).toBe(textOf(reply))
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
    expect(old.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1+protobuf')
    expect((old.body as Uint8Array)[0]).toBe(0x0a)
  })

  test('a form that is not there is not acceptable', async () => {
    await expect(serve().get('/openapi/v2', { accept: 'text/html' })).rejects.toMatchObject({ code: 406 })
  })
})
