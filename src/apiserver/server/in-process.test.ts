// Requests without sockets, and who may make them.
import { describe, expect, test } from 'vitest'
import { notFound } from '#api/errors'
import { FakeClock } from '#base/fake-clock'
import type { ApiRequest, Handler } from '../request.ts'
import { noBody } from './body.ts'
import { inProcessTransport, inProcessUser } from './in-process.ts'
import { RequestHead } from './request-head.ts'
import { ServedRequest } from './served-request.ts'

const user = { name: 'system:apiserver', groups: ['system:masters'] }
const clock = new FakeClock()

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('in-process transport', () => {
  test('carries method, path, query, headers and body', async () => {
    const handle: Handler = async (request) => ({
      status: 201,
      headers: { 'content-type': 'x' },
      body: [
        Buffer.from(`${request.method} ${request.path} ${request.query.get('limit')} ${request.headers['accept']} `),
        await request.body.read(10),
        Buffer.from(` ${inProcessUser(request)?.name}`),
      ],
    })
    const transport = inProcessTransport(handle, user, { clock })
    const response = await transport.send({
      method: 'POST',
      path: '/api/x%20y?limit=5',
      headers: { Accept: 'a/b' },
      body: Buffer.from('hi'),
    })
    expect([response.status, response.headers, await textOf(response.body)]).toEqual([
      201,
      { 'content-type': 'x' },
      'POST /api/x y 5 a/b hi system:apiserver',
    ])
  })

  test('errors are answers', async () => {
    const transport = inProcessTransport(
      async () => {
        throw notFound({ group: '', resource: 'pods' }, 'web')
      },
      user,
      { clock },
    )
    const response = await transport.send({ method: 'GET', path: '/' })
    expect([response.status, JSON.parse(await textOf(response.body)).reason]).toEqual([404, 'NotFound'])
  })

  test('a stream waits for its reader, and ends when the reader stops', async () => {
    let written = 0
    let ended = false
    const transport = inProcessTransport(
      async () => ({
        status: 200,
        headers: {},
        body: async (sink, signal) => {
          while (!signal.aborted) {
            written++
            if (!sink.write(Buffer.alloc(100_000))) await sink.drained()
          }
          ended = true
        },
      }),
      user,
      { clock },
    )
    const response = await transport.send({ method: 'GET', path: '/' })
    let read = 0
    for await (const chunk of response.body) {
      read += chunk.length
      if (read > 5_000_000) break
    }
    await expect.poll(() => ended).toBe(true)
    expect(written).toBeLessThan(100)
  })

  test('a stream that fails, is aborted, or whose transport closes, throws', async () => {
    const hanging: Handler = async () => ({
      status: 200,
      headers: {},
      body: async (sink, signal) => {
        sink.write(Buffer.from('x'))
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw new Error('ended')
      },
    })
    const transport = inProcessTransport(hanging, user, { clock })
    const abort = new AbortController()
    const aborted = await transport.send({ method: 'GET', path: '/', signal: abort.signal })
    const closed = await transport.send({ method: 'GET', path: '/' })
    const first = textOf(aborted.body)
    const second = textOf(closed.body)
    abort.abort()
    await expect(first).rejects.toMatchObject({ code: 'aborted' })
    await transport.close()
    await expect(second).rejects.toMatchObject({ code: 'aborted' })
    await expect(transport.send({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'aborted' })
  })

  test('MUSTHOLD 7: nothing that comes over the wire has the identity of this process', () => {
    const served: ApiRequest = new ServedRequest({
      connection: { remoteAddress: '127.0.0.1', peerCertificate: undefined, proxyCertificate: undefined, certificateRefused: false },
      carrier: { destroyed: false, once: () => undefined },
      live: { stopping: new AbortController().signal, controllers: new Set() },
      head: new RequestHead('GET', '/', { authorization: 'Bearer loopback', 'x-remote-user': 'system:apiserver' }),
      body: noBody,
      upgrade: undefined,
      receivedAtMs: 0,
    })
    expect(inProcessUser(served)).toBeUndefined()
    expect(inProcessUser({ ...served, '#loopbackUser': user } as unknown as ApiRequest)).toBeUndefined()
  })
})
