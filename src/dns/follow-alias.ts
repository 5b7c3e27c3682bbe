// An alias in the cluster's zone (a Service of type ExternalName) and what it leads to, in one answer: the resolvers of C libraries ask
// once and expect the addresses behind the alias with it (RFC 1034, 3.6.2), as they would get them from a recursive server.
import { type Answer, type DecodedPacket, decode, encode } from 'dns-packet'

/** Asks any name: the cluster's zone or the world. Undefined when nobody answers. */
export type AskAnyone = (query: DecodedPacket, packet: Buffer) => Promise<Buffer | undefined>

const aliasesMax = 8

/** `answer` with the records behind its alias, or as it is when it holds none. Whatever is behind that cannot be had is left out. */
export async function followAlias(query: DecodedPacket, answer: Buffer, ask: AskAnyone): Promise<Buffer> {
  const type = query.questions?.[0]?.type
  if (type === undefined || type === 'CNAME' || answerCount(answer) !== 1) return answer
  const decoded = decode(answer)
  const records = [...(decoded.answers ?? [])]
  for (let followed = 0; followed < aliasesMax; followed++) {
    const target = targetOf(records.at(-1))
    if (target === undefined) break
    const packet = encode({ type: 'query', id: query.id ?? 0, flags: 1 << 8, questions: [{ type, name: target }] })
    const further = await ask(decode(packet), packet)
    const found = further === undefined ? [] : (decode(further).answers ?? [])
    if (found.length === 0) break
    records.push(...found)
  }
  return records.length === 1 ? answer : encode({ ...decoded, type: 'response', answers: records })
}

function answerCount(packet: Buffer): number {
  return packet.readUInt16BE(6)
}

function targetOf(record: Answer | undefined): string | undefined {
  return record?.type === 'CNAME' ? record.data : undefined
}
