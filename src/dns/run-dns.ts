// The DNS server of a node, on the cluster-DNS address, over UDP and TCP. Answers from informers; forwards the rest.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { type DecodedPacket, decode } from 'dns-packet'
import type { Service } from '#api/kinds/core/service'
import type { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { Informer } from '#client/informer'
import type { Logger } from '#platform/log'
import { followAlias } from './follow-alias.ts'
import type { Forwarder } from './forward.ts'
import type { RecordSource } from './records.ts'
import { fail, rcodes, respond, truncate, udpBytesMax, type ZoneOptions } from './respond.ts'

export interface DnsDeps {
  /** With the indices `serviceIndices` and `sliceIndices`. */
  readonly services: Informer<Service>
  readonly slices: Informer<EndpointSlice>
  readonly address: string
  readonly port?: number
  readonly zone: string
  readonly forwarder: Forwarder
  readonly log: Logger
  readonly signal: AbortSignal
  /** Called once the server answers. */
  readonly onListening?: () => void
}

const ttlSeconds = 5
const tcpConnectionsMax = 256
const tcpIdleMs = 10_000

export const serviceIndices = {
  clusterIp: ({ spec }: Service): readonly string[] => (spec.clusterIPs ?? []).filter((ip) => ip !== 'None'),
  namespace: ({ metadata }: Service): readonly string[] => [metadata.namespace ?? ''],
} as const

export const sliceIndices = {
  service: ({ metadata }: EndpointSlice): readonly string[] => [`${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']}`],
  address: ({ endpoints }: EndpointSlice): readonly string[] => (endpoints ?? []).flatMap(({ addresses }) => addresses),
} as const

/** Reads through the informers' indices. */
export function informerSource(services: Informer<Service>, slices: Informer<EndpointSlice>): RecordSource {
  return {
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    slices: (namespace, name) => slices.byIndex('service', `${namespace}/${name}`),
    // A namespace without any service has no names below it, and that is all that can be asked of it.
    namespaceExists: (namespace) => services.byIndex('namespace', namespace).length > 0,
    serviceByIp: (ip) => services.byIndex('clusterIp', ip)[0],
    slicesByIp: (ip) => slices.byIndex('address', ip),
  }
}

/** Runs until the signal aborts. Rejects when the address cannot be listened on. */
export async function runDns(deps: DnsDeps): Promise<void> {
  const { services, slices, address, port = 53, signal } = deps
  await Promise.all([services.untilSynced(signal), slices.untilSynced(signal)])
  const options: ZoneOptions = { zone: deps.zone, ttlSeconds, source: informerSource(services, slices) }
  const answer = (query: DecodedPacket, packet: Buffer): Promise<Buffer> => answerTo(query, packet, options, deps.forwarder)
  const udp = await listenUdp(address, port, answer)
  const tcp = await listenTcp(address, port, answer).catch((error) => {
    udp.close()
    throw error
  })
  deps.onListening?.()
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  udp.close()
  tcp.close()
}

async function answerTo(query: DecodedPacket, packet: Buffer, options: ZoneOptions, forwarder: Forwarder): Promise<Buffer> {
  if (((query.flags ?? 0) & 0x7800) !== 0) return fail(query, rcodes.notImplemented)
  const own = respond(query, options)
  if (own === undefined) return (await forwarder.ask(query, packet)) ?? fail(query, rcodes.serverFailure)
  return followAlias(query, own, async (next, bytes) => respond(next, options) ?? forwarder.ask(next, bytes))
}

type Answerer = (query: DecodedPacket, packet: Buffer) => Promise<Buffer>

function parse(packet: Buffer): DecodedPacket | undefined {
  // A response is never answered: two servers would talk for ever.
  if (packet.length < 12 || (packet.readUInt16BE(2) & 0x8000) !== 0) return undefined
  try {
    return decode(packet)
  } catch {
    return undefined
  }
}

function listenUdp(address: string, port: number, answer: Answerer): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', reuseAddr: true })
    socket.once('error', reject)
    socket.on('message', (packet, from) => {
      const query = parse(packet)
      if (query === undefined) return
      void answer(query, packet).then(
        (full) => socket.send(full.length > udpBytesMax(query) ? truncate(query, full) : full, from.port, from.address),
        () => undefined,
      )
    })
    socket.bind(port, address, () => {
      socket.off('error', reject)
      // Sending to a client that has gone is no news.
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

function listenTcp(address: string, port: number, answer: Answerer): Promise<Server> {
  const server = createServer((socket) => serveTcp(socket, answer))
  server.maxConnections = tcpConnectionsMax
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

/** Length-prefixed messages (RFC 1035, 4.2.2), answered in the order of their arrival. */
function serveTcp(socket: Socket, answer: Answerer): void {
  let received = Buffer.alloc(0)
  let last: Promise<void> = Promise.resolve()
  socket.setTimeout(tcpIdleMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const packet = Buffer.from(received.subarray(2, 2 + received.readUInt16BE(0)))
      received = received.subarray(2 + packet.length)
      const query = parse(packet)
      if (query === undefined) {
        socket.destroy()
        return
      }
      last = last.then(async () => {
        const full = await answer(query, packet)
        const length = Buffer.alloc(2)
        length.writeUInt16BE(full.length)
        socket.write(Buffer.concat([length, full]))
      })
      last.catch(() => socket.destroy())
    }
  })
}
