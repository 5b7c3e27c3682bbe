import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadPackageDefinition, Server, ServerCredentials, type ServiceClientConstructor, status } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import { silentLogger } from '#platform/log'
import { serveSpdy } from '#platform/spdy'
import { deferred } from '../deferred.ts'
import type { RuntimeEvent } from '../runtime.ts'
import { type CriClient, openCriClient } from './client.ts'
import { watchCri } from './events.ts'
import type { PodSandboxItem } from './messages.ts'
import { descriptor } from './schema.ts'
import { openCriStreams } from './streams.ts'

type Done = (error: { code: number; details: string } | null, answer?: object) => void
type Handler = (call: { request: Record<string, unknown> }, done: Done) => void

let dir: string
let server: Server
let client: CriClient
let handlers: Record<string, Handler>
let subscribed: (call: { request: { filters: string[] }; write(envelope: object): void; end(): void }) => void

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-cri-'))
  handlers = {}
  subscribed = () => undefined
  const root = loadPackageDefinition(fromJSON(descriptor() as Parameters<typeof fromJSON>[0], { longs: Number })) as unknown as {
    runtime: { v1: Record<'RuntimeService' | 'ImageService', ServiceClientConstructor> }
    containerd: { services: { events: { v1: { Events: ServiceClientConstructor } } } }
  }
  server = new Server()
  const methods = new Proxy({} as Record<string, never>, {
    get: (_target, name) => (call: never, done: Done) => {
      const handler = handlers[String(name)]
      if (handler === undefined) done({ code: status.UNIMPLEMENTED, details: `unknown method ${String(name)}` })
      else handler(call, done)
    },
  })
  for (const service of [root.runtime.v1.RuntimeService, root.runtime.v1.ImageService]) {
    const names = Object.keys(service.service).filter((n) => n !== 'GetContainerEvents')
    server.addService(service.service, Object.fromEntries(names.map((n) => [n, methods[n]!])))
  }
  server.addService(root.containerd.services.events.v1.Events.service, { Subscribe: (call: never) => subscribed(call) } as never)
  const endpoint = `unix://${join(dir, 'sock')}`
  await new Promise((resolve) => server.bindAsync(endpoint, ServerCredentials.createInsecure(), resolve))
  client = openCriClient({ endpoint, clock: systemClock })
})
afterEach(async () => {
  client.close()
  server.forceShutdown()
  await rm(dir, { recursive: true, force: true })
})

describe('calls', () => {
  test('maps, lists, nested messages and 64-bit numbers cross the wire', async () => {
    handlers['ListPodSandbox'] = ({ request }, done) => {
      expect(request).toMatchObject({ filter: { labelSelector: { a: 'b' } } })
      done(null, {
        items: [
          {
            id: 's1',
            metadata: { name: 'p', uid: 'u', namespace: 'n', attempt: 3 },
            createdAt: 1_700_000_000_000_000_000,
            labels: { x: 'y' },
          },
        ],
      })
    }
    const { items } = await client.call('ListPodSandbox', { filter: { labelSelector: { a: 'b' } } })
    expect(items).toEqual([
      {
        id: 's1',
        metadata: { name: 'p', uid: 'u', namespace: 'n', attempt: 3 },
        state: 0,
        createdAt: 1_700_000_000_000_000_000,
        labels: { x: 'y' },
        annotations: {},
      },
    ])
  })

  test.each([
    ['StopContainer', status.NOT_FOUND, 'no such container', 'notFound'],
    ['RunPodSandbox', status.UNKNOWN, 'name "x" is reserved for "y"', 'alreadyExists'],
    ['RunPodSandbox', status.UNKNOWN, 'failed to setup network for sandbox: cni plugin not initialized', 'networkNotReady'],
    ['CreateContainer', status.NOT_FOUND, 'failed to resolve image "sha256:1": not found', 'imageNotFound'],
    ['CreateContainer', status.NOT_FOUND, 'failed to find sandbox id "s": not found', 'notFound'],
    [
      'ExecSync',
      status.UNKNOWN,
      'failed to exec in container: failed to start exec "e": OCI runtime exec failed: no such file',
      'startFailed',
    ],
    ['ExecSync', status.UNKNOWN, 'failed to exec in container: container is in CONTAINER_EXITED state', 'notRunning'],
    ['Attach', status.INVALID_ARGUMENT, 'bad', 'invalid'],
    ['Attach', status.INTERNAL, 'odd', 'unknown'],
  ] as const)('%s with status %i and “%s” is %s', async (method, code, details, expected) => {
    handlers[method] = (_call, done) => done({ code, details })
    await expect(client.call(method, {})).rejects.toMatchObject({ name: 'RuntimeError', code: expected, message: details })
  })

  test('a caller that gives up gets its own reason', async () => {
    const reached = deferred<void>()
    handlers['PullImage'] = () => reached.resolve()
    const giveUp = new AbortController()
    const pull = client.call('PullImage', { image: { image: 'x' } }, { signal: giveUp.signal, timeoutMs: Number.POSITIVE_INFINITY })
    await reached.promise
    giveUp.abort(new Error('enough'))
    await expect(pull).rejects.toThrow('enough')
  })

  test('an engine that is away is unavailable', async () => {
    const away = openCriClient({ endpoint: `unix://${join(dir, 'none')}`, clock: systemClock })
    await expect(away.call('Version', {})).rejects.toMatchObject({ code: 'unavailable' })
    away.close()
  })
})

describe('news', () => {
  const watch = (
    isContainerd: boolean,
    onEvent: (event: RuntimeEvent) => void,
    signal: AbortSignal,
    clock = new FakeClock(),
    sandboxes: PodSandboxItem[] = [],
  ) => {
    const exited = new Set<string>()
    const asked: string[] = []
    const deps = {
      client,
      isContainerd,
      list: async () => ({ sandboxes, containers: [] }),
      podOf: async (id: string) => (id.startsWith('other') ? undefined : { podUid: 'u1', isSandbox: id.startsWith('s') }),
      async hasExited(id: string) {
        asked.push(id)
        // The engine's books are late by one look.
        const done = exited.has(id)
        exited.add(id)
        return done
      },
      forget: () => undefined,
      clock,
      log: silentLogger,
    }
    return { done: watchCri(deps, onEvent, signal), asked, clock }
  }

  // The two ids of an event's bytes: fields 1 and 2, both strings.
  const ids = (first: string, second?: string): Buffer =>
    Buffer.concat([
      Buffer.from([0x0a, first.length]),
      Buffer.from(first),
      ...(second === undefined ? [] : [Buffer.from([0x12, second.length]), Buffer.from(second)]),
    ])

  test('containerd’s events name the pod; an exit is told once its own books show it; execs and others’ containers are silent', async () => {
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    subscribed = (call) => {
      expect(call.request.filters).toContain('namespace==k8s.io,topic=="/tasks/exit"')
      const send = (topic: string, value: Buffer): void => call.write({ namespace: 'k8s.io', topic, event: { typeUrl: 't', value } })
      send('/tasks/start', ids('c1'))
      send('/tasks/exit', ids('c1', 'exec-1'))
      send('/tasks/exit', ids('other1', 'other1'))
      send('/tasks/exit', ids('c1', 'c1'))
      send('/tasks/exit', ids('s1', 's1'))
      send('/containers/delete', ids('c1'))
    }
    const { done, asked, clock } = watch(true, (e) => events.push(e), stop.signal)
    while (events.length < 4) {
      await clock.advance(5)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(events).toHaveLength(4)
    expect(events).toEqual(
      expect.arrayContaining([
        { type: 'containerStarted', podUid: 'u1', containerId: 'c1' },
        { type: 'containerExited', podUid: 'u1', containerId: 'c1' },
        { type: 'sandboxChanged', podUid: 'u1' },
        { type: 'containerRemoved', podUid: 'u1', containerId: 'c1' },
      ]),
    )
    expect(asked.filter((id) => id === 'c1')).toHaveLength(2)
    stop.abort()
    await done
    expect(clock.pending).toBe(0)
  })

  test('after a break every pod is worth a look, once the stream stands again', async () => {
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    let subscriptions = 0
    const again = deferred<void>()
    subscribed = (call) => {
      if (++subscriptions === 1) call.end()
      else again.resolve()
    }
    const clock = new FakeClock()
    const sandbox = {
      id: 's1',
      metadata: { name: 'p', uid: 'u9', namespace: 'n', attempt: 0 },
      state: 0,
      createdAt: 0,
      labels: {},
      annotations: {},
    }
    const { done } = watch(true, (e) => events.push(e), stop.signal, clock, [sandbox])
    while (events.length === 0) {
      await clock.advance(20)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await again.promise
    expect(events).toEqual([{ type: 'sandboxChanged', podUid: 'u9' }])
    stop.abort()
    await done
    expect(clock.pending).toBe(0)
  })
})

describe('streams', () => {
  let http: HttpServer
  const received: Record<string, string> = {}

  /** A streaming server that echoes stdin in capitals and then says the exit code. */
  async function streaming(
    onStart: (streams: Record<string, { write(data: string): void; end(data?: string): void }>) => void,
  ): Promise<string> {
    http = createServer()
    http.on('upgrade', (_request, socket: Socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
      )
      const streams: Record<string, never> = {}
      serveSpdy(socket, {
        onStream({ headers, io }) {
          const name = headers['streamtype'] ?? ''
          streams[name] = io as never
          received[name] = ''
          io.on('data', (chunk: Buffer) => {
            received[name] += chunk.toString()
            if (name === 'stdin') (streams['stdout'] as { write(d: string): void } | undefined)?.write(chunk.toString().toUpperCase())
          })
          if (name === 'stdin') io.on('end', () => onStart(streams))
          if (name === 'resize') onStart(streams)
          return true
        },
      })
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}/exec/token`
  }
  afterEach(() => http.close())

  test('input goes in, its end too; output comes out whole before the exit code', async () => {
    const url = await streaming((streams) => {
      streams['stderr']!.end('note')
      streams['stdout']!.end()
      streams['error']!.end('{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}')
    })
    const streams = await openCriStreams(url, { stdin: true, stdout: true, stderr: true, tty: false, needsStdin: false })
    streams.io.end('x'.repeat(200_000))
    const out: Buffer[] = []
    for await (const chunk of streams.io) out.push(chunk as Buffer)
    const err: Buffer[] = []
    for await (const chunk of streams.stderr!) err.push(Buffer.from(chunk))
    expect([Buffer.concat(out).toString() === 'X'.repeat(200_000), Buffer.concat(err).toString(), await streams.exit]).toEqual([
      true,
      'note',
      3,
    ])
  })

  test('a terminal gets its size; letting go ends without an exit code', async () => {
    const resized = deferred<void>()
    const url = await streaming(() => resized.resolve())
    const streams = await openCriStreams(url, { stdin: false, stdout: true, stderr: false, tty: true, needsStdin: true })
    await resized.promise
    await streams.resize(100, 40)
    while (!received['resize']?.includes('\n')) await new Promise((resolve) => setImmediate(resolve))
    expect(received['resize']).toBe('{"Width":100,"Height":40}\n')
    streams.close()
    expect(await streams.exit).toBeUndefined()
  })

  test.each([
    [
      'a redirect',
      'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
      'answered 302 instead of switching protocols',
    ],
    [
      'another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v1\r\n\r\n',
      'offers stream protocol v1',
    ],
  ])('%s in answer to the upgrade is an error', async (_name, response, message) => {
    http = createServer()
    http.on('upgrade', (_request, socket: Socket) => socket.end(response))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/exec/token`
    await expect(openCriStreams(url, { stdin: false, stdout: true, stderr: true, tty: false, needsStdin: false })).rejects.toThrow(message)
  })
})
