// Names that are not the cluster's: asked of the node's own resolvers, over UDP and, when an answer is cut, over TCP.
// Answers are kept for their time; the same question from many pods is asked once.
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type DecodedPacket, decode } from 'dns-packet'
import type { Clock } from '#base/clock'

export interface ForwarderOptions {
  /** Resolvers in the order in which they are tried: addresses, with an optional `#port`. */
  readonly upstreams: readonly string[]
  readonly clock: Clock
  readonly timeoutMs?: number
}

export interface Forwarder {
  /** The upstream's answer with the query's id, or undefined when none came. */
  ask(query: DecodedPacket, packet: Buffer): Promise<Buffer | undefined>
}

const cacheEntriesMax = 4_096
const cacheSecondsMax = 30
const inFlightMax = 512
const tcpBytesMax = 65_535

interface Cached {
  readonly answer: Buffer
  readonly untilMs: number
}

/** The resolvers of resolv.conf, those left out that would lead back to us. */
export function resolvConfUpstreams(path: string, own: ReadonlySet<string>): string[] {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return []
  }
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address]) =>
    address === undefined || own.has(address) ? [] : [address],
  )
}

export function createForwarder({ upstreams, clock, timeoutMs = 2_000 }: ForwarderOptions): Forwarder {
  const cache = new Map<string, Cached>()
  const inFlight = new Map<string, Promise<Buffer | undefined>>()

  async function askAll(packet: Buffer): Promise<Buffer | undefined> {
    for (const upstream of upstreams) {
      const answer = await askUdp(upstream, packet, clock, timeoutMs).catch(() => undefined)
      if (answer === undefined) continue
      const cut = (answer.readUInt16BE(2) & 0x0200) !== 0
      if (!cut) return answer
      return (await askTcp(upstream, packet, clock, timeoutMs).catch(() => undefined)) ?? answer
    }
    return undefined
  }

  return {
    async ask(query, packet) {
      // All but the id: the same bytes are the same question.
      const key = packet.toString('latin1', 2)
      const cached = cache.get(key)
      if (cached !== undefined && cached.untilMs > clock.monotonic()) return withId(cached.answer, packet)
      let asking = inFlight.get(key)
      if (asking === undefined) {
        if (inFlight.size >= inFlightMax) return undefined
        asking = askAll(packet).finally(() => inFlight.delete(key))
        inFlight.set(key, asking)
      }
      const answer = await asking
      if (answer === undefined || !answersTo(answer, query)) return undefined
      const seconds = ttlOf(answer)
      if (seconds > 0) {
        if (cache.size >= cacheEntriesMax) cache.delete(cache.keys().next().value ?? '')
        cache.set(key, { answer, untilMs: clock.monotonic() + seconds * 1_000 })
      }
      return withId(answer, packet)
    },
  }
}

function withId(answer: Buffer, query: Buffer): Buffer {
  const copy = Buffer.from(answer)
  query.copy(copy, 0, 0, 2)
  return copy
}

/** Whether this is an answer to that question, and not something somebody else sent. */
function answersTo(answer: Buffer, query: DecodedPacket): boolean {
  try {
    const [asked] = query.questions ?? []
    const [told] = decode(answer).questions ?? []
    return asked?.name.toLowerCase() === told?.name.toLowerCase() && asked?.type === told?.type
  } catch {
    return false
  }
}

function ttlOf(answer: Buffer): number {
  const { answers = [], authorities = [], rcode } = decode(answer) as DecodedPacket & { rcode?: string }
  if (rcode === 'SERVFAIL' || rcode === 'REFUSED') return 0
  const ttls = [...answers, ...authorities].map((record) => (record as { ttl?: number }).ttl ?? 0)
  return ttls.length === 0 ? 0 : Math.min(cacheSecondsMax, ...ttls)
}

function hostAndPort(upstream: string): { address: string; port: number } {
  const [address = '', port = '53'] = upstream.split('#')
  return { address, port: Number(port) }
}

function askUdp(upstream: string, packet: Buffer, clock: Clock, timeoutMs: number): Promise<Buffer> {
  const { address, port } = hostAndPort(upstream)
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const finish = (end: () => void): void => {
      timer.cancel()
      socket.close()
      end()
    }
    const timer = clock.after(timeoutMs, () => finish(() => reject(new Error('timeout'))))
    socket.once('error', (error) => finish(() => reject(error)))
    socket.on('message', (answer, from) => {
      const genuine = from.address === address && answer.length >= 12 && answer.readUInt16BE(0) === packet.readUInt16BE(0)
      if (genuine) finish(() => resolve(answer))
    })
    socket.send(packet, port, address)
  })
}

function askTcp(upstream: string, packet: Buffer, clock: Clock, timeoutMs: number): Promise<Buffer> {
  const { address, port } = hostAndPort(upstream)
  return new Promise((resolve, reject) => {
    const socket = connect(port, address)
    let received = Buffer.alloc(0)
    const finish = (end: () => void): void => {
      timer.cancel()
      socket.destroy()
      end()
    }
    const timer = clock.after(timeoutMs, () => finish(() => reject(new Error('timeout'))))
    socket.once('error', (error) => finish(() => reject(error)))
    socket.once('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(packet.length)
      socket.write(Buffer.concat([length, packet]))
    })
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length > tcpBytesMax + 2) return finish(() => reject(new Error('too long')))
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0))
        finish(() => resolve(received.subarray(2, 2 + received.readUInt16BE(0))))
    })
    socket.once('close', () => finish(() => reject(new Error('closed'))))
  })
}
