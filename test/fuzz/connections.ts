// What is done to connections rather than to requests: slowness, floods, half-open streams, resets, and bytes that two HTTP
// servers in a row might read differently (request smuggling, RFC 9112 section 11.2).

import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { systemClock } from '#base/clock'
import type { Dice } from './dice.ts'
import type { Target } from './target.ts'
import { http2Wire, rawConnection, untilClosed } from './wire.ts'

export interface Abuse {
  readonly what: string
  /** Resolves with what is wrong, or undefined. */
  run(target: Target, dice: Dice): Promise<string | undefined>
}

const waitMs = 8_000
const path = '/api/v1/namespaces/default/configmaps'
const host = 'Host: api\r\n'
const inner = `GET /smuggled HTTP/1.1\r\n${host}\r\n`

/** Bytes of HTTP/1.1 that must be refused, whole: one answer, 4xx, and the connection ends. */
const refusals: readonly (readonly [string, string])[] = [
  ['both a length and chunks', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`],
  ['two lengths', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 44\r\n\r\n${inner}`],
  ['a list of lengths', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 0, 44\r\n\r\n${inner}`],
  ['a signed length', `POST ${path} HTTP/1.1\r\n${host}Content-Length: +0\r\n\r\n${inner}`],
  ['a length in hexadecimal', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 0x0\r\n\r\n${inner}`],
  ['a length without end', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 99999999999999999999\r\n\r\n${inner}`],
  ['a space before a colon', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`],
  ['chunks that are not last', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`],
  ['an unknown coding', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`],
  ['a chunk size that overflows', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n${inner}`],
  ['a chunk size that is none', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n${inner}`],
  ['chunk data that goes on', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n${inner}`],
  ['a bare carriage return', `GET ${path} HTTP/1.1\r\n${host}X: a\rTransfer-Encoding: chunked\r\n\r\n`],
  ['a NUL in a header', `GET ${path} HTTP/1.1\r\n${host}X: a\u0000b\r\n\r\n`],
  ['a header without a name', `GET ${path} HTTP/1.1\r\n${host}: a\r\n\r\n`],
  ['no host', `GET ${path} HTTP/1.1\r\n\r\n`],
  ['another version', `GET ${path} HTTP/9.9\r\n${host}\r\n`],
  ['a method of spaces', `  ${path} HTTP/1.1\r\n${host}\r\n`],
  ['a target with a space', `GET /a b HTTP/1.1\r\n${host}\r\n`],
  ['headers beyond all bounds', `GET ${path} HTTP/1.1\r\n${host}X: ${'y'.repeat(70_000)}\r\n\r\n`],
  ['a preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['bytes', '\u0016\u0003\u0001\u0002\u0000\u0001'],
]

function refused([what, text]: readonly [string, string]): Abuse {
  return {
    what: `HTTP/1.1 with ${what}`,
    async run(target) {
      const socket = await rawConnection(target, target.admin)
      socket.write(text, 'latin1')
      const answer = await untilClosed(socket, waitMs)
      if (answer.open) return 'the connection stays open'
      const answers = answer.text.match(/HTTP\/1\.1 \d{3}/g) ?? []
      if (answers.length > 1) return `answered ${answers.join(' and ')}`
      return answers.length === 1 && !/ 4\d\d/.test(answers[0]!) ? `answered ${answers[0]}` : undefined
    },
  }
}

/** Sends bytes of HTTP/1.1 and hands over what came back once the connection has ended. */
function raw(what: string, text: string, check: (text: string) => boolean): Abuse {
  return {
    what,
    async run(target) {
      const socket = await rawConnection(target, target.admin)
      socket.write(text, 'latin1')
      const answer = await untilClosed(socket, waitMs)
      if (answer.open) return 'the connection stays open'
      return check(answer.text) ? undefined : `answered ${JSON.stringify(answer.text.slice(0, 300))}`
    },
  }
}

const last = `${host}Connection: close\r\n`

const others: readonly Abuse[] = [
  raw('headers that do not end', `GET ${path} HTTP/1.1\r\nHost`, (text) => text === '' || / 408 /.test(text)),
  raw('a body that does not end', `POST ${path} HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n{"a"`, (text) =>
    /^HTTP\/1\.1 (408|504) /.test(text),
  ),
  raw('chunks that do not end', `POST ${path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, (text) =>
    /^HTTP\/1\.1 (408|504) /.test(text),
  ),
  raw(
    'a body beyond all bounds that is announced',
    `POST ${path} HTTP/1.1\r\n${host}Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n`,
    (text) => / 413 /.test(text),
  ),
  raw(
    'trailers that claim to be headers',
    `POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\n${last}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Impersonate-User\r\n\r\n2\r\n{}\r\n0\r\nImpersonate-User: jane\r\n\r\n`,
    (text) => / 201 /.test(text) && text.includes('"admin"') && !text.includes('jane'),
  ),
  raw('an expectation that nobody meets', `POST ${path} HTTP/1.1\r\n${last}Content-Length: 2\r\nExpect: miracles\r\n\r\n{}`, (text) =>
    / 417 /.test(text),
  ),
  raw(
    'another protocol on a plain resource',
    `GET ${path} HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n`,
    (text) => !text.includes(' 101 '),
  ),
  raw(
    'a WebSocket on a plain resource',
    `GET ${path} HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    (text) => !text.includes(' 101 '),
  ),
  raw(
    'an upgrade with a body',
    `GET ${path} HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
    (text) => / 400 /.test(text) && !text.includes('smuggled'),
  ),
  raw('CONNECT', `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${host}\r\n`, (text) => !/ 2\d\d /.test(text.slice(0, 20))),
  raw(
    'requests one after the other without waiting',
    `${`GET /version HTTP/1.1\r\n${host}\r\n`.repeat(99)}GET /version HTTP/1.1\r\n${last}\r\n`,
    (text) => (text.match(/HTTP\/1\.1 200 /g) ?? []).length === 100,
  ),
  {
    what: 'no TLS at all',
    async run(target) {
      const socket = connectTcp(target.port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(`GET / HTTP/1.1\r\n${host}\r\n`)
      const closed = once(socket, 'close')
      const late = systemClock.sleep(waitMs).then(() => 'late')
      const outcome = await Promise.race([closed, late])
      socket.destroy()
      return outcome === 'late' ? 'the connection stays open' : undefined
    },
  },
]

function session(target: Target): ReturnType<typeof connectHttp2> {
  const made = connectHttp2(`https://127.0.0.1:${target.port}`, {
    ca: target.caPem,
    cert: target.admin.certificatePem,
    key: target.admin.privateKeyPem,
  })
  made.on('error', () => undefined)
  made.setMaxListeners(0)
  return made
}

const streams: readonly Abuse[] = [
  {
    what: 'many watches that are dropped with their connection',
    async run(target) {
      const made = session(target)
      const opened = Array.from({ length: 90 }, () => made.request({ ':path': `${path}?watch=true` }))
      for (const stream of opened) stream.on('error', () => undefined)
      await Promise.all(opened.slice(0, 5).map((stream) => once(stream, 'response')))
      made.destroy()
      return undefined
    },
  },
  {
    what: 'streams that are reset as soon as they are opened',
    async run(target) {
      const made = session(target)
      await once(made, 'connect')
      for (let i = 0; i < 1_500 && !made.destroyed && !made.closed; i++) {
        const stream = made.request({ ':path': path, 'x-long': 'y'.repeat(500) })
        stream.on('error', () => undefined)
        stream.close(constants.NGHTTP2_CANCEL)
        if (i % 50 === 0) await systemClock.sleep(1)
      }
      made.destroy()
      return undefined
    },
  },
  {
    what: 'bodies that never end, and one that ends with the stream',
    async run(target) {
      const made = session(target)
      const opened = Array.from({ length: 20 }, () =>
        made.request({ ':path': path, ':method': 'POST', 'content-type': 'application/json' }),
      )
      const statuses = Promise.all(
        opened.slice(1).map(async (stream) => {
          stream.on('error', () => undefined)
          stream.write('{"a":')
          const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
          return headers[':status']
        }),
      )
      opened[0]!.on('error', () => undefined)
      opened[0]!.write('{')
      opened[0]!.close(constants.NGHTTP2_CANCEL)
      const answered = await Promise.race([statuses, systemClock.sleep(waitMs).then(() => undefined)])
      made.destroy()
      if (answered === undefined) return 'no answer to bodies that do not come'
      return answered.every((status) => status === 504) ? undefined : `answered ${[...new Set(answered)].join(', ')}`
    },
  },
  {
    what: 'answers that nobody reads',
    async run(target) {
      const made = session(target)
      const opened = Array.from({ length: 50 }, () => made.request({ ':path': '/apis/rbac.authorization.k8s.io/v1/clusterroles' }))
      for (const stream of opened) {
        stream.on('error', () => undefined)
        stream.pause()
      }
      await once(opened[0]!, 'response')
      made.destroy()
      return undefined
    },
  },
]

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

function frame(type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream >>> 0, 5)
  return Buffer.concat([head, payload])
}

const settings = frame(4, 0, 0, Buffer.alloc(0))
const nothing = Buffer.alloc(0)

/** Frames of HTTP/2 that go on until the server has had enough of them or they end; it may do as it likes, and stays. */
const floods: readonly (readonly [string, (dice: Dice) => Buffer])[] = [
  ['pings', () => Buffer.concat(Array.from({ length: 5_000 }, () => frame(6, 0, 0, Buffer.alloc(8))))],
  ['settings', () => Buffer.concat(Array.from({ length: 5_000 }, () => settings))],
  ['priorities', () => Buffer.concat(Array.from({ length: 5_000 }, (_, i) => frame(2, 0, 2 * i + 1, Buffer.alloc(5))))],
  ['window updates of nothing', () => frame(8, 0, 0, Buffer.alloc(4))],
  [
    'headers that go on',
    () =>
      Buffer.concat([frame(1, 0, 1, Buffer.from([0x82])), ...Array.from({ length: 3_000 }, () => frame(9, 0, 1, Buffer.alloc(30, 0x82)))]),
  ],
  [
    'headers that unfold',
    () =>
      Buffer.concat([
        frame(
          1,
          5,
          1,
          Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f, 0x81, 0x1f]), Buffer.alloc(4_000, 0x62), Buffer.alloc(8_000, 0xbe)]),
        ),
      ]),
  ],
  [
    'a watch and then data on no stream',
    () =>
      Buffer.concat([
        frame(1, 5, 1, Buffer.concat([Buffer.from([0x82, 0x87, 0x04, path.length + 11]), Buffer.from(`${path}?watch=true`)])),
        frame(0, 1, 7, Buffer.from('x')),
      ]),
  ],
  ['data on no stream', () => frame(0, 1, 7, Buffer.from('x'))],
  ['an even stream', () => frame(1, 5, 2, Buffer.from([0x82, 0x84, 0x87]))],
  ['a frame that is too long', () => frame(0, 0, 1, nothing, 0xffffff)],
  ['a reset of nothing', () => frame(3, 0, 9, Buffer.alloc(4))],
  ['a push promise', () => frame(5, 4, 1, Buffer.alloc(8))],
  [
    'empty data',
    () => Buffer.concat([frame(1, 4, 1, Buffer.from([0x83, 0x84, 0x87])), ...Array.from({ length: 5_000 }, () => frame(0, 0, 1, nothing))]),
  ],
  [
    'frames at random',
    (dice) =>
      Buffer.concat(Array.from({ length: 60 }, () => frame(dice.below(12), dice.below(256), dice.below(8), dice.bytes(dice.below(40))))),
  ],
  ['bytes at random', (dice) => dice.bytes(2_000)],
]

function flood([what, frames]: (typeof floods)[number]): Abuse {
  return {
    what: `HTTP/2 with ${what}`,
    async run(target, dice) {
      const socket = await rawConnection(target, target.admin, 'h2')
      socket.resume()
      socket.write(Buffer.concat([preface, settings, frames(dice)]))
      await Promise.race([once(socket, 'close'), systemClock.sleep(200)])
      socket.destroy()
      return undefined
    },
  }
}

export const abuses: readonly Abuse[] = [...refusals.map(refused), ...others, ...streams, ...floods.map(flood)]

/** Tries one, then makes sure that the server answers others as before. */
export async function abuse(target: Target, { what, run }: Abuse, dice: Dice): Promise<string | undefined> {
  const complaint = await run(target, dice)
  const wire = http2Wire(target, target.admin, waitMs)
  const { status, outcome } = await wire.send({ what, method: 'GET', path })
  wire.close()
  const wrong = complaint ?? (status === 200 ? undefined : `afterwards the server answers ${outcome} ${status}`)
  return wrong === undefined ? undefined : `${what}: ${wrong}`
}

/** Waits until the server has let go of all connections and requests; says which it has not. */
export async function complaintAboutRemains(target: Target): Promise<string | undefined> {
  let remains = ''
  for (let i = 0; i < 60; i++) {
    const metrics = [...target.api.metrics.text()].join('\n')
    const busy = [...metrics.matchAll(/^(apiserver_(?:current_inflight_requests|longrunning_requests)\{?[^} ]*\}?) ([1-9]\d*)$/gm)]
    remains = [`${target.listener.connections()} connections`, ...busy.map(([, name, count]) => `${name} ${count}`)].join(', ')
    if (target.listener.connections() === 0 && busy.length === 0) return undefined
    await systemClock.sleep(100)
  }
  return `left behind: ${remains}`
}
