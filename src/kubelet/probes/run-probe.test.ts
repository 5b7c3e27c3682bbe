import { createServer } from 'node:http'
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Probe } from '#api/generated/core-v1'
import { systemClock } from '#base/clock'
import { type ContainerRuntime, RuntimeError } from '../runtimes/runtime.ts'
import { testContainer } from '../test-support/pods.ts'
import { runProbe } from './run-probe.ts'
import { withTimeout } from './timeout.ts'

const base = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
const open: { close(): unknown }[] = []

afterEach(() => {
  for (const server of open.splice(0)) server.close()
})

async function listening<S extends Server | Http2Server>(server: S): Promise<number> {
  open.push(server)
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

async function probed(handler: Partial<Probe>, execSync?: ContainerRuntime['execSync'], timeoutMs = 1_000) {
  const container = testContainer('app', { ports: [{ name: 'web', containerPort: 1, protocol: 'TCP' }], env: [{ name: 'X', value: 'y' }] })
  const subject = { containerId: 'c', container, podIp: '127.0.0.1' }
  const runtime = { execSync } as unknown as ContainerRuntime
  return await withTimeout(systemClock, timeoutMs, new AbortController().signal, (signal) =>
    runProbe({ ...base, ...handler }, subject, runtime, signal),
  )
}

describe('HTTP', () => {
  const serve = (): Promise<number> =>
    listening(
      createServer((request, response) => {
        if (request.url === '/slow') return
        if (request.url === '/agent')
          return void response.end(`${request.headers['user-agent']} ${request.headers['x-own']} ${request.headers.host}`)
        if (request.url === '/elsewhere') return void response.writeHead(302, { location: 'http://example.invalid/' }).end()
        if (request.url === '/moved') return void response.writeHead(302, { location: '/status/500' }).end()
        response.writeHead(Number(request.url?.split('/')[2] ?? 200)).end('body')
      }) as unknown as Server,
    )

  test.each([
    ['/status/200', 'success', 'body'],
    ['/status/399', 'success', 'body'],
    ['/status/404', 'failure', 'HTTP probe failed with statuscode: 404'],
    ['/moved', 'failure', 'HTTP probe failed with statuscode: 500'],
    ['/elsewhere', 'success', ''],
  ])('%s is a %s', async (path, outcome, message) => {
    const port = await serve()
    expect(await probed({ httpGet: { path, port } })).toEqual({ outcome, message })
  })

  test('says who asks, with headers of its own, and the host it was told', async () => {
    const port = await serve()
    const httpHeaders = [
      { name: 'X-Own', value: '1' },
      { name: 'Host', value: 'named' },
    ]
    expect(await probed({ httpGet: { path: '/agent', port, httpHeaders } })).toEqual({
      outcome: 'success',
      message: 'kube-probe/1.36 1 named',
    })
  })

  test('nobody listens; nobody answers; no such port', async () => {
    const port = await serve()
    expect(await probed({ httpGet: { path: '/', port: 1 } })).toEqual({
      outcome: 'failure',
      message: 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused',
    })
    expect(await probed({ httpGet: { path: '/slow', port } }, undefined, 50)).toEqual({
      outcome: 'failure',
      message: `Get "http://127.0.0.1:${port}/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    })
    expect(await probed({ httpGet: { path: '/', port: 'none' } })).toMatchObject({
      outcome: 'error',
      message: `couldn't find port: "none" in container app`,
    })
  })
})

test('TCP: open, or refused', async () => {
  const port = await listening(createServer() as unknown as Server)
  expect(await probed({ tcpSocket: { port } })).toEqual({ outcome: 'success', message: '' })
  expect(await probed({ tcpSocket: { port: 'web' } })).toEqual({
    outcome: 'failure',
    message: 'dial tcp 127.0.0.1:1: connect: connection refused',
  })
})

describe('gRPC', () => {
  /** Answers every check with this status; `grpcStatus` instead when given. */
  async function serve(answer: Buffer, grpcStatus = '0'): Promise<{ port: number; asked: string[] }> {
    const asked: string[] = []
    const server = createHttp2Server()
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        asked.push(`${headers[':path']} ${Buffer.concat(chunks).toString('hex')}`)
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus, 'grpc-message': 'unknown%20service' }))
        stream.end(grpcStatus === '0' ? answer : undefined)
      })
    })
    return { port: await listening(server), asked }
  }
  const message = (...bytes: number[]): Buffer => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes])

  test('serving, with the name of the service asked about', async () => {
    const { port, asked } = await serve(message(0x08, 1))
    expect(await probed({ grpc: { port, service: 'db' } })).toMatchObject({ outcome: 'success' })
    expect(asked).toEqual(['/grpc.health.v1.Health/Check 00000000040a026462'])
  })

  test.each([
    ['not serving', message(0x08, 2), '0', 'service unhealthy (responded with "NOT_SERVING")'],
    ['unknown', message(), '0', 'service unhealthy (responded with "UNKNOWN")'],
    [
      'without the protocol',
      message(),
      '12',
      'error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service',
    ],
    ['with an error', message(), '5', 'error: health rpc probe failed: rpc error: code = 5 desc = unknown service'],
  ])('%s is a failure', async (_, answer, grpcStatus, text) => {
    const { port } = await serve(answer, grpcStatus)
    expect(await probed({ grpc: { port } })).toEqual({ outcome: 'failure', message: text })
  })

  test('nobody listens', async () => {
    expect(await probed({ grpc: { port: 1 } })).toMatchObject({
      outcome: 'failure',
      message: 'timeout: failed to connect service "127.0.0.1:1" within 1s: dial tcp 127.0.0.1:1: connect: connection refused',
    })
  })
})

describe('exec', () => {
  const result = (exitCode: number, text: string) => async () => ({ exitCode, stdout: Buffer.from(text), stderr: Buffer.alloc(0) })
  test.each([
    ['exit code 0', result(0, 'fine'), { outcome: 'success', message: 'fine' }],
    ['another exit code', result(3, 'bad'), { outcome: 'failure', message: 'bad' }],
    [
      'a timeout',
      async () => Promise.reject(new RuntimeError('timeout', 'too long')),
      { outcome: 'failure', message: 'command timed out: "check y" timed out after 1s' },
    ],
    [
      'a command that is not there',
      async () => Promise.reject(new RuntimeError('invalid', 'executable file not found in $PATH')),
      { outcome: 'error', message: 'executable file not found in $PATH' },
    ],
    ['an engine that is away', async () => Promise.reject(new RuntimeError('unavailable', 'away')), { outcome: 'error', message: 'away' }],
  ])('%s', async (_, execSync, wanted) => {
    expect(await probed({ exec: { command: ['check', '$(X)'] } }, execSync)).toEqual(wanted)
  })
})
