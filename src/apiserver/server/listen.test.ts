// The port over real TLS on the loopback address: both HTTP versions, client certificates, streams, upgrades, bounds, the end.
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '#base/clock'
import { type CertifiedKey, createCa, issueCertificate, parseCertificate } from '#platform/x509'
import type { ApiReply, ApiRequest, Handler } from '../request.ts'
import type { ServerLimits } from './limits.ts'
import { type ApiListener, listenApi } from './listen.ts'

const nowMs = systemClock.now()
let ca: CertifiedKey
let proxyCa: CertifiedKey
let server: CertifiedKey
let client: CertifiedKey
beforeAll(() => {
  ca = createCa({ commonName: 'cluster', days: 10, nowMs })
  proxyCa = createCa({ commonName: 'front-proxy', days: 10, nowMs })
  server = issueCertificate({ ca, commonName: 'api', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
  client = issueCertificate({ ca, commonName: 'jane', organizations: ['dev'], usages: ['client'], days: 1, nowMs })
})

let listener: ApiListener | undefined
const opened: { destroy(): void }[] = []
afterEach(async () => {
  for (const item of opened.splice(0)) item.destroy()
  await listener?.close(100)
  listener = undefined
})

async function listen(handle: Handler, limits: Partial<ServerLimits> = {}): Promise<ApiListener> {
  listener = await listenApi({
    handle,
    tls: { ...server, clientCaPem: ca.certificatePem, requestHeaderCaPem: proxyCa.certificatePem },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    limits,
  })
  return listener
}

const ok = (body: ApiReply['body']): ApiReply => ({ status: 200, headers: { 'content-type': 'text/plain' }, body })

interface Answer {
  status: number
  headers: Record<string, unknown>
  body: string
}

function http1(options: RequestOptions & { body?: string | Buffer }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port: listener!.port, ca: ca.certificatePem, agent: false, ...options },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        )
      },
    )
    request.on('error', reject)
    request.end(options.body)
  })
}

function session(options: Record<string, unknown> = {}): ClientHttp2Session {
  const made = connectHttp2(`https://127.0.0.1:${listener!.port}`, { ca: ca.certificatePem, ...options })
  made.on('error', () => undefined)
  opened.push(made)
  return made
}

function http2(made: ClientHttp2Session, headers: Record<string, string>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = made.request(headers, { endStream: body === undefined })
    let answer: Record<string, unknown> = {}
    const chunks: Buffer[] = []
    stream.on('response', (received) => {
      answer = received as Record<string, unknown>
    })
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => resolve({ status: Number(answer[':status']), headers: answer, body: Buffer.concat(chunks).toString() }))
    if (body !== undefined) stream.end(body)
  })
}

function rawTls(options: Record<string, unknown> = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: listener!.port, ca: ca.certificatePem, ALPNProtocols: ['http/1.1'], ...options })
    opened.push(socket)
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

function textUntilClosed(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
  })
}

describe('requests', () => {
  const echo: Handler = async (request) =>
    ok(
      Buffer.from(
        JSON.stringify({
          method: request.method,
          path: request.path,
          raw: request.rawPath,
          query: request.query.get('q'),
          accept: request.headers['accept'],
          body: (await request.body.read(1_000_000)).toString(),
          user: request.peerCertificate === undefined ? null : parseCertificate(request.peerCertificate).commonName,
          proxy: request.proxyCertificate === undefined ? null : parseCertificate(request.proxyCertificate).commonName,
          from: request.remoteAddress,
        }),
      ),
    )
  const expected = {
    method: 'POST',
    path: '/a b/c',
    raw: '/a%20b/c',
    query: 'x/y',
    accept: 'text/x',
    body: 'hello',
    user: 'jane',
    proxy: null,
    from: '127.0.0.1',
  }

  test('HTTP/1.1 and HTTP/2 come down to the same request', async () => {
    await listen(echo)
    const credentials = { cert: client.certificatePem, key: client.privateKeyPem }
    const one = await http1({ method: 'POST', path: '/a%20b/c?q=x%2Fy', headers: { accept: 'text/x' }, body: 'hello', ...credentials })
    expect(JSON.parse(one.body)).toEqual(expected)
    const two = await http2(session(credentials), { ':method': 'POST', ':path': '/a%20b/c?q=x%2Fy', accept: 'text/x' }, 'hello')
    expect(JSON.parse(two.body)).toEqual(expected)
    expect(two.headers['content-length']).toBe(String(two.body.length))
  })

  test('without a certificate, or with one of an unknown authority, the peer is nobody', async () => {
    await listen(echo)
    expect(JSON.parse((await http1({ path: '/' })).body)).toMatchObject({ user: null, proxy: null })
    const other = createCa({ commonName: 'cluster', days: 1, nowMs })
    const forged = issueCertificate({ ca: other, commonName: 'root', usages: ['client'], days: 1, nowMs })
    expect(JSON.parse((await http1({ path: '/', cert: forged.certificatePem, key: forged.privateKeyPem })).body)).toMatchObject({
      user: null,
    })
  })

  test('a server certificate is no client certificate', async () => {
    await listen(echo)
    expect(JSON.parse((await http1({ path: '/', cert: server.certificatePem, key: server.privateKeyPem })).body)).toMatchObject({
      user: null,
    })
  })

  test('MUSTHOLD 6: a front proxy is told by its own authority, and is no client', async () => {
    await listen(echo)
    const proxy = issueCertificate({ ca: proxyCa, commonName: 'aggregator', usages: ['client'], days: 1, nowMs })
    const answer = await http1({ path: '/', cert: proxy.certificatePem, key: proxy.privateKeyPem })
    expect(JSON.parse(answer.body)).toMatchObject({ user: null, proxy: 'aggregator' })
  })

  test('a path that is not validly encoded is refused', async () => {
    await listen(echo)
    expect(await http1({ path: '/%zz' })).toMatchObject({ status: 400 })
    expect(await http2(session(), { ':path': '/a%00b' })).toMatchObject({ status: 400 })
  })

  test('buffers in pieces arrive whole, and HEAD gets the length alone', async () => {
    await listen(async () => ok([Buffer.from('one '), Buffer.from('two '), Buffer.alloc(300_000, 'x')]))
    expect((await http1({ path: '/' })).body).toHaveLength(300_008)
    expect((await http2(session(), { ':path': '/' })).body.slice(0, 9)).toBe('one two x')
    const head = await http1({ method: 'HEAD', path: '/' })
    expect([head.body, head.headers['content-length']]).toEqual(['', '300008'])
    expect((await http2(session(), { ':method': 'HEAD', ':path': '/' })).headers['content-length']).toBe('300008')
  })

  test('a handler that throws is answered with 500 and the server stays', async () => {
    await listen(async (request) => {
      if (request.path === '/bad') throw new Error('secret detail')
      return ok(Buffer.from('fine'))
    })
    const bad = await http1({ path: '/bad' })
    expect(bad.status).toBe(500)
    expect(bad.body).not.toContain('secret')
    expect((await http1({ path: '/' })).body).toBe('fine')
  })

  test('another certificate is served to new connections after a rotation', async () => {
    await listen(echo)
    const next = issueCertificate({ ca, commonName: 'api-2', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs })
    listener!.setTls({ ...next, clientCaPem: ca.certificatePem })
    const socket = await rawTls()
    expect(socket.getPeerCertificate().subject.CN).toBe('api-2')
  })
})

describe('streams', () => {
  const ticking: Handler = async () =>
    ok(async (sink, signal) => {
      sink.write(Buffer.from('tick\n'))
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    })

  test('a body is sent piece by piece, waiting for slow readers', async () => {
    let waits = 0
    await listen(async () =>
      ok(async (sink) => {
        for (let i = 0; i < 400; i++) {
          if (sink.write(Buffer.alloc(10_000, 'x'))) continue
          waits++
          await sink.drained()
        }
      }),
    )
    expect((await http1({ path: '/' })).body).toHaveLength(4_000_000)
    expect((await http2(session(), { ':path': '/' })).body).toHaveLength(4_000_000)
    expect(waits).toBeGreaterThan(0)
  })

  test('a body that fails cuts the connection: the client never takes it for whole', async () => {
    await listen(async () =>
      ok(async (sink) => {
        sink.write(Buffer.from('part'))
        throw new Error('broken')
      }),
    )
    await expect(http1({ path: '/' })).rejects.toThrow()
    await expect(http2(session(), { ':path': '/' })).rejects.toThrow()
  })

  test('the signal aborts when the client goes away', async () => {
    const aborted: Promise<void>[] = []
    await listen(async (request) => {
      aborted.push(new Promise((resolve) => request.signal.addEventListener('abort', () => resolve())))
      return ticking(request)
    })
    const stream = session().request({ ':path': '/' })
    await new Promise((resolve) => stream.once('data', resolve))
    stream.close(constants.NGHTTP2_CANCEL)
    const socket = await rawTls()
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
    await Promise.all(aborted)
    expect(aborted).toHaveLength(2)
  })

  test('closing ends running streams in order, and lets requests under way finish', async () => {
    let release = (): void => undefined
    await listen(async (request) => {
      if (request.path === '/watch') return ticking(request)
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return ok(Buffer.from('done'))
    })
    const watch = http1({ path: '/watch' })
    const watch2 = http2(session(), { ':path': '/watch' })
    const slow = http1({ path: '/slow' })
    await expect.poll(() => listener!.connections()).toBe(3)
    await new Promise((resolve) => setImmediate(resolve))
    await expect.poll(() => release.name).not.toBe('release')
    const closed = listener!.close(10_000)
    expect((await watch).body).toBe('tick\n')
    expect((await watch2).body).toBe('tick\n')
    release()
    expect((await slow).body).toBe('done')
    await closed
  })
})

describe('upgrades', () => {
  test('the handler takes the socket over, early bytes included', async () => {
    await listen(async (request) => {
      const socket = request.upgrade!.accept()
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
      return { status: 101, headers: {}, body: undefined }
    })
    const socket = await rawTls()
    const text = textUntilClosed(socket)
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\nearly ')
    socket.write('late')
    socket.end()
    expect(await text).toMatch(/^HTTP\/1.1 101 [\s\S]*\r\n\r\nearly late$/)
  })

  test('an answer without taking over is an ordinary one, and closes the connection', async () => {
    await listen(async () => ({ status: 403, headers: { 'content-type': 'text/plain' }, body: Buffer.from('no') }))
    const socket = await rawTls()
    const text = textUntilClosed(socket)
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n')
    expect(await text).toMatch(/^HTTP\/1.1 403 Forbidden\r\n[\s\S]*connection: close\r\n[\s\S]*\r\nno$/i)
  })
})

describe('MUSTHOLD 12: an HTTP/2 connection with a stream', () => {
  const endless: Handler = async () =>
    ok(async (sink, signal) => {
      sink.write(Buffer.from('one\n'))
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    })

  // One GET, then DATA on a stream that was never opened: from then on the session reads nothing, and nobody is told.
  test('that broke the protocol and went away is let go', async () => {
    await listen(endless, { idleTimeoutMs: 100 })
    const socket = await rawTls({ ALPNProtocols: ['h2'] })
    socket.resume()
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
    const get = Buffer.from([0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x87])
    const data = Buffer.from([0, 0, 1, 0, 1, 0, 0, 0, 7, 0x41])
    socket.write(Buffer.concat([preface, settings, get, data]))
    await vi.waitFor(() => expect(listener!.connections()).toBe(1))
    socket.destroy()
    await vi.waitFor(() => expect(listener!.connections()).toBe(0), 10_000)
  })
})

describe('bounds', () => {
  const reading: Handler = async (request: ApiRequest) => ok(Buffer.from(String((await request.body.read(1_000)).length)))

  test('a body over the limit is refused at once when announced, and midway when not', async () => {
    await listen(reading)
    const announced = await http1({ method: 'POST', path: '/', body: Buffer.alloc(5_000) })
    expect([announced.status, JSON.parse(announced.body).message]).toEqual([413, 'Request entity too large: limit is 1000'])
    const streamed = await http2(session(), { ':method': 'POST', ':path': '/' }, 'x'.repeat(5_000))
    expect(streamed.status).toBe(413)
  })

  test('MUSTHOLD 12: slow headers end the connection', async () => {
    await listen(reading, { headerTimeoutMs: 50 })
    const socket = await rawTls()
    socket.write('GET / HTTP/1.1\r\nhost:')
    expect(await textUntilClosed(socket)).toMatch(/^(HTTP\/1.1 408 |$)/)
  })

  test('MUSTHOLD 12: a slow body is given up and the connection closed', async () => {
    await listen(reading, { bodyTimeoutMs: 50 })
    const socket = await rawTls()
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc')
    expect(await textUntilClosed(socket)).toMatch(/^HTTP\/1.1 504 /)
  })

  test('MUSTHOLD 12: giant headers are refused, on both protocols', async () => {
    await listen(reading)
    const socket = await rawTls()
    socket.write(`GET / HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(70_000)}\r\n\r\n`)
    expect(await textUntilClosed(socket)).toMatch(/^(HTTP\/1.1 431 |$)/)
    const made = session()
    await new Promise((resolve) => made.once('remoteSettings', resolve))
    const headers: Record<string, string> = { ':path': '/' }
    for (let i = 0; i < 30; i++) headers[`x-${i}`] = 'a'.repeat(4_000)
    await expect(http2(made, headers)).rejects.toThrow()
    expect((await http1({ path: '/' })).status).toBe(200)
  })

  test('MUSTHOLD 12: a client that opens and resets streams rapidly loses its connection, others do not notice', async () => {
    let begun = 0
    await listen(
      async (request) => {
        begun++
        await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
        return ok(undefined)
      },
      { resetBurst: 20, resetsPerSecond: 1 },
    )
    const made = session()
    const gone = new Promise<void>((resolve) => made.once('close', () => resolve()))
    const goaway = new Promise<number>((resolve) => made.once('goaway', resolve))
    await new Promise((resolve) => made.once('remoteSettings', resolve))
    while (!made.destroyed) {
      for (let i = 0; i < 10 && !made.destroyed; i++) {
        const stream = made.request({ ':path': '/' })
        stream.on('error', () => undefined)
        systemClock.after(5, () => stream.close(constants.NGHTTP2_CANCEL))
      }
      await systemClock.sleep(10)
    }
    await gone
    expect(await goaway).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    expect(begun).toBeLessThan(200)
    expect(listener!.connections()).toBeLessThan(2)
  })

  test('MUSTHOLD 12: idle connections are closed, on both protocols', async () => {
    await listen(reading, { idleTimeoutMs: 60, headerTimeoutMs: 60 })
    const made = session()
    expect((await http2(made, { ':path': '/' })).status).toBe(200)
    await new Promise((resolve) => made.once('close', resolve))
    const socket = await rawTls()
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(await textUntilClosed(socket)).toMatch(/^HTTP\/1.1 200 /)
  })

  test('MUSTHOLD 12: connections beyond the cap are closed at once', async () => {
    await listen(reading, { connectionsMax: 1 })
    const first = await rawTls()
    await expect(rawTls()).rejects.toThrow()
    first.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    expect(await textUntilClosed(first)).toMatch(/^HTTP\/1.1 200 /)
  })

  test('a port in use is an error with its code', async () => {
    await listen(reading)
    const again = listenApi({
      handle: reading,
      tls: { ...server, clientCaPem: ca.certificatePem },
      host: '127.0.0.1',
      port: listener!.port,
      clock: systemClock,
    })
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})
