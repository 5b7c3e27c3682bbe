import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer as createSocketServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { buildImage } from '../images/build-image.ts'
import { pauseImage } from '../images/catalog.ts'
import { detectEngine, engineTrouble } from './engine.ts'
import { importImages, listImages } from './engine-images.ts'

const dir = mkdtempSync(join(tmpdir(), 'engine-test-'))
const servers: { close(): unknown }[] = []
let sockets = 0
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rmSync(dir, { recursive: true }))

async function listen(server: Pick<Server, 'listen' | 'close'>): Promise<string> {
  const path = join(dir, `${++sockets}.sock`)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  servers.push(server)
  return `unix://${path}`
}

const docker = (answer: RequestListener): Promise<string> => listen(createHttpServer(answer))

/** A gRPC server that answers each method with the message or the status given for it, and others as a server without a CRI plugin. */
function cri(methods: Readonly<Record<string, Buffer | { code: number }>>): Promise<string> {
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const answer = methods[String(headers[':path'])] ?? { code: 12 }
    const head = { ':status': 200, 'content-type': 'application/grpc' }
    if (!Buffer.isBuffer(answer))
      return void stream.respond({ ...head, 'grpc-status': answer.code, 'grpc-message': 'no' }, { endStream: true })
    stream.respond(head, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    const frame = Buffer.alloc(5)
    frame.writeUInt32BE(answer.length, 1)
    stream.end(Buffer.concat([frame, answer]))
  })
  return listen(server)
}

const nowhere = `unix://${join(dir, 'nowhere.sock')}`
const pong: RequestListener = (_, response) => void response.end('OK')
const version = { '/runtime.v1.RuntimeService/Version': Buffer.alloc(0) }

describe('--engine auto', () => {
  test('takes a running Docker before anything else', async () => {
    const dockerHost = await docker(pong)
    expect(await detectEngine({ clock, dockerHost, criEndpoint: await cri(version) })).toEqual({ kind: 'docker', endpoint: dockerHost })
  })

  test('takes a containerd that serves the CRI when no Docker answers', async () => {
    const criEndpoint = await cri(version)
    const found = await detectEngine({ clock, dockerHost: nowhere, criEndpoint })
    expect(found).toEqual({ kind: 'containerd', endpoint: criEndpoint, private: false })
  })

  test("wants an engine of its own beside a containerd without the CRI, such as Docker's", async () => {
    expect(await detectEngine({ clock, dockerHost: nowhere, criEndpoint: await cri({}) })).toEqual({ kind: 'private' })
  })
})

describe('an engine that cannot be used', () => {
  test.each([
    [
      'no Docker',
      async () => ({ kind: 'docker', endpoint: nowhere }) as const,
      `no Docker Engine answers at ${nowhere}: start it, or name another one with --docker-host`,
    ],
    [
      'no containerd',
      async () => ({ kind: 'containerd', endpoint: nowhere, private: false }) as const,
      `no container engine answers at ${nowhere}: start it, or name another one with --cri-endpoint`,
    ],
  ])('%s: the message says what to do', async (_, engine, message) => {
    expect(await engineTrouble(await engine(), clock)).toBe(message)
  })

  test('a containerd without the CRI is told to get it', async () => {
    const endpoint = await cri({})
    const trouble = await engineTrouble({ kind: 'containerd', endpoint, private: false }, clock)
    expect(trouble).toBe(
      `the engine at ${endpoint} does not serve CRI v1: enable its "cri" plugin, or name another one with --cri-endpoint`,
    )
  })

  test('one that answers has no trouble', async () => {
    expect(await engineTrouble({ kind: 'containerd', endpoint: await cri(version), private: false }, clock)).toBeUndefined()
  })
})

describe('the images of an engine', () => {
  test('are listed by their first name, without those that have none', async () => {
    const images = [
      { Id: 'sha256:2', RepoTags: ['navarch.local/web:v1'], RepoDigests: [], Size: 12 },
      { Id: 'sha256:3', RepoTags: ['<none>:<none>'], RepoDigests: null, Size: 1 },
      { Id: 'sha256:1', RepoTags: ['navarch.local/pause:1'], RepoDigests: ['navarch.local/pause@sha256:9'], Size: 3 },
    ]
    const endpoint = await docker((_, response) => void response.end(JSON.stringify(images)))
    expect(await listImages({ kind: 'docker', endpoint }, { clock })).toEqual([
      { id: 'sha256:1', tags: ['navarch.local/pause:1'], digests: ['navarch.local/pause@sha256:9'], bytes: 3 },
      { id: 'sha256:2', tags: ['navarch.local/web:v1'], digests: [], bytes: 12 },
    ])
  })

  test('are read from a CRI engine too', async () => {
    const field = (number: number, text: string): Buffer =>
      Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text, 'latin1')])
    const image = Buffer.concat([
      field(1, 'sha256:1'),
      field(2, 'a.example/x:1'),
      field(3, 'a.example/x@sha256:7'),
      Buffer.from([4 << 3, 0xac, 0x02]),
    ])
    const endpoint = await cri({ '/runtime.v1.ImageService/ListImages': field(1, image.toString('latin1')) })
    expect(await listImages({ kind: 'containerd', endpoint, private: false }, { clock })).toEqual([
      { id: 'sha256:1', tags: ['a.example/x:1'], digests: ['a.example/x@sha256:7'], bytes: 300 },
    ])
  })

  test('are brought into Docker as they lie on the disk', async () => {
    const file = join(dir, 'image.tar')
    writeFileSync(file, Buffer.alloc(300_000, 'x'))
    let bytes = 0
    const endpoint = await docker((request, response) => {
      if (request.url === '/images/json') return response.end('[]')
      request.on('data', (chunk: Buffer) => (bytes += chunk.length))
      request.on('end', () => response.end('{"stream":"Loaded image: x"}\n'))
    })
    await importImages({ kind: 'docker', endpoint }, [file], { clock })
    expect(bytes).toBe(300_000)
  })

  test('are not sent to an engine that has them', async () => {
    const built = await buildImage(pauseImage('amd64'), join(dir, 'pause.tar'))
    const images = (id: string): string => JSON.stringify([{ Id: id, RepoTags: [built.reference], Size: 1 }])
    const requests: string[] = []
    const engineWith = async (id: string) => {
      const endpoint = await docker((request, response) => {
        requests.push(request.url ?? '')
        request.resume().on('end', () => response.end(request.url === '/images/json' ? images(id) : ''))
      })
      return { kind: 'docker', endpoint } as const
    }
    expect(await importImages(await engineWith(built.configDigest), [built.path], { clock })).toEqual([{ file: built.path, already: true }])
    expect(await importImages(await engineWith('sha256:other'), [built.path], { clock })).toEqual([{ file: built.path, already: false }])
    expect(requests).toEqual(['/images/json', '/images/json', '/images/load?quiet=1'])
  })

  test('a failure that Docker tells in the middle of a good answer is a failure', async () => {
    const file = join(dir, 'bad.tar')
    writeFileSync(file, 'x')
    const endpoint = await docker((request, response) => {
      if (request.url === '/images/json') return response.end('[]')
      request.resume().on('end', () => response.end('{"errorDetail":{"message":"bad"},"error":"invalid tar header"}\n'))
    })
    await expect(importImages({ kind: 'docker', endpoint }, [file], { clock })).rejects.toThrow(`${file}: invalid tar header`)
  })
})

test('an engine that takes the connection and says nothing counts as none', async () => {
  const silent = await listen(createSocketServer())
  const trouble = engineTrouble({ kind: 'docker', endpoint: silent }, { ...clock, after: (_, run) => clock.after(20, run) })
  expect(await trouble).toContain('no Docker Engine answers')
})
