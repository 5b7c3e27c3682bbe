// From a query packet to an answer packet, for names that are the cluster's. Pure.
import { type DecodedPacket, encode, type Answer as PacketAnswer } from 'dns-packet'
import { type Answer, type RecordSource, type Resolution, resolveInZone, resolveReverse, reverseAddress } from './records.ts'

export interface ZoneOptions {
  /** e.g. `cluster.local`, lower-case. */
  readonly zone: string
  readonly ttlSeconds: number
  readonly source: RecordSource
}

export const rcodes = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const

const authoritative = 1 << 10
const recursionAvailable = 1 << 7
const recursionDesired = 1 << 8
const truncated = 1 << 9

/** The answer, or undefined when the name is not ours and should be forwarded. */
export function respond(query: DecodedPacket, options: ZoneOptions): Buffer | undefined {
  const [question] = query.questions ?? []
  if (question === undefined || (query.questions ?? []).length !== 1) return fail(query, rcodes.formatError)
  const name = question.name.toLowerCase().replace(/\.$/, '')
  const reverse = reverseAddress(name)
  if (reverse !== undefined) {
    const answer = resolveReverse(reverse, question.name, options.zone, options.source)
    if (answer === undefined) return undefined
    return answerPacket(query, { exists: true, answers: question.type === 'PTR' ? [answer] : [], additionals: [] }, options)
  }
  if (name !== options.zone && !name.endsWith(`.${options.zone}`)) return undefined
  return answerPacket(query, resolveInZone(name, question.type, options.zone, options.source), options)
}

function answerPacket(query: DecodedPacket, resolution: Resolution, { zone, ttlSeconds }: ZoneOptions): Buffer {
  const negative = resolution.answers.length === 0
  const asked = query.questions?.[0]?.name ?? ''
  // Clients compare the answer's name with what they asked, letter case included (0x20 randomisation).
  const restore = (answer: Answer): Answer => (answer.name === asked.toLowerCase() ? { ...answer, name: asked } : answer)
  const withTtl = (answer: Answer): PacketAnswer => ({ ...restore(answer), ttl: ttlSeconds, class: 'IN' }) as PacketAnswer
  const soa: PacketAnswer = {
    type: 'SOA',
    name: zone,
    ttl: ttlSeconds,
    class: 'IN',
    data: {
      mname: `ns.dns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: ttlSeconds,
    },
  }
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags:
      authoritative | recursionAvailable | ((query.flags ?? 0) & recursionDesired) | (resolution.exists ? rcodes.ok : rcodes.noSuchName),
    questions: query.questions ?? [],
    answers: resolution.answers.map(withTtl),
    authorities: negative ? [soa] : [],
    additionals: [...resolution.additionals.map(withTtl), ...echoEdns(query)],
  })
}

/** An answer without records: the code alone. */
export function fail(query: DecodedPacket, rcode: number): Buffer {
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: recursionAvailable | ((query.flags ?? 0) & recursionDesired) | rcode,
    questions: query.questions ?? [],
  })
}

interface Edns {
  readonly type: 'OPT'
  readonly udpPayloadSize?: number
}

function ednsOf(query: DecodedPacket): Edns | undefined {
  return (query.additionals ?? []).find(({ type }) => type === 'OPT') as Edns | undefined
}

function echoEdns(query: DecodedPacket): PacketAnswer[] {
  if (ednsOf(query) === undefined) return []
  return [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as unknown as PacketAnswer]
}

/** How large a UDP answer the client takes: 512 bytes, or what it says, within reason. */
export function udpBytesMax(query: DecodedPacket): number {
  return Math.min(Math.max(ednsOf(query)?.udpPayloadSize ?? 512, 512), 4_096)
}

/** The question alone with the TC flag: the client asks again over TCP. */
export function truncate(query: DecodedPacket, answer: Buffer): Buffer {
  const flags = (answer.readUInt16BE(2) & 0x7fff) | truncated
  return encode({ type: 'response', id: query.id ?? 0, flags, questions: query.questions ?? [], additionals: echoEdns(query) })
}
