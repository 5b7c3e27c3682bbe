import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { admin, openTestCore, type TestCore } from '../api-core.testing.ts'
import { parseRequestInfo } from '../pipeline/request-info.ts'
import type { ApiRequest, BodySink, StreamedBody } from '../request.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

const configMaps = '/api/v1/namespaces/default/configmaps'
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function create(name: string): Promise<void> {
  await api.ok('POST', configMaps, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } })
}

/** A client that takes one chunk, and the next only when it is told to. */
interface SlowClient {
  readonly lines: string[]
  take(): Promise<void>
  stop(): Promise<void>
}

async function slowWatch(query: string, server = api): Promise<SlowClient> {
  const stop = new AbortController()
  const searchParams = new URLSearchParams(query)
  const request: ApiRequest = {
    id: 'slow',
    method: 'GET',
    path: configMaps,
    rawPath: configMaps,
    rawQuery: query,
    query: searchParams,
    headers: {},
    body: { read: async () => Buffer.alloc(0), stream: () => process.stdin },
    certificateRefused: false,
    remoteAddress: '',
    signal: stop.signal,
    receivedAtMs: 0,
    info: parseRequestInfo('GET', configMaps, searchParams),
    user: admin,
    warnings: [],
    auditAnnotations: {},
  }
  const lines: string[] = []
  let drain: (() => void) | undefined
  const sink: BodySink = {
    write(chunk) {
      lines.push(Buffer.from(chunk).toString().trim())
      return false
    },
    drained: () =>
      new Promise((resolve) => {
        drain = resolve
      }),
    flush: () => {},
  }
  const body = (await server.core.dispatch(request)).body as StreamedBody
  const ended = body(sink, stop.signal)
  await turn()
  return {
    lines,
    async take() {
      drain?.()
      await turn()
    },
    async stop() {
      stop.abort()
      await ended
    },
  }
}

const shown = (lines: readonly string[]): string[] =>
  lines.map((line) => {
    const { type, object } = JSON.parse(line)
    return `${type} ${object.metadata.name ?? object.reason}`
  })

describe('MUSTHOLD 22: a slow watcher', () => {
  test('gets every event once and in order, as fast as it takes them', async () => {
    await create('a')
    const client = await slowWatch('watch=true')
    for (let i = 0; i < 200; i++) await create(`n${String(i).padStart(3, '0')}`)
    await turn()
    expect(shown(client.lines)).toEqual(['ADDED a'])
    for (let i = 0; i < 210; i++) await client.take()
    const names = Array.from({ length: 200 }, (_, i) => `ADDED n${String(i).padStart(3, '0')}`)
    expect(shown(client.lines)).toEqual(['ADDED a', ...names])
    await client.stop()
  })

  test('costs others nothing', async () => {
    const slow = await slowWatch('watch=true')
    const fast = await api.watch(`${configMaps}?watch=true`)
    for (let i = 0; i < 50; i++) await create(`n${i}`)
    await turn()
    expect([slow.lines.length, fast.events.length]).toEqual([1, 50])
    fast.stop()
    await slow.stop()
  })
})

test('a watch from before what the store remembers is told so in the stream, as Kubernetes does', async () => {
  await create('a')
  await create('b')
  await api.store.compact(await api.store.currentRevision())
  const restarted = await openTestCore({ store: api.store })
  const client = await slowWatch('watch=true&resourceVersion=1', restarted)
  const { type, object } = JSON.parse(client.lines[0]!)
  expect([type, object.code, object.reason, object.message]).toEqual([
    'ERROR',
    410,
    'Expired',
    expect.stringMatching(/^too old resource version: 1 \(\d+\)$/),
  ])
  await client.stop()
  await restarted.core.close()
})

test('a watch ends when the server does', async () => {
  const stream = await api.watch(`${configMaps}?watch=true`)
  await turn()
  await api.core.close()
  await stream.ended
  expect(stream.events).toEqual([])
})

test('endpoints come with the warning that they are deprecated', async () => {
  const { warnings } = await api.ok('GET', '/api/v1/namespaces/default/endpoints')
  expect(warnings).toEqual(['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'])
})
