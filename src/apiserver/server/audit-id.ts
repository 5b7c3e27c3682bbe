// Audit ids: random UUIDs (RFC 9562 version 4) of requests that bring none. Every reply carries one, so they are made cheaply: the
// last 24 digits are drawn anew for a few hundred at a time, the first eight go through all numbers, from a random one on, in
// leaps. They need to differ, and nobody gains by guessing one.
import { randomUUID } from 'node:crypto'

const perDraw = 256
const leap = 0x9e_37_79_b1
const bytesAsHex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

let left = 0
let next = 0
let tail = ''

export function newAuditId(): string {
  if (left === 0) {
    const drawn = randomUUID()
    tail = drawn.slice(8)
    next = Number.parseInt(drawn.slice(0, 8), 16)
    left = perDraw
  }
  left--
  next = (next + leap) >>> 0
  const head = bytesAsHex[next >>> 24]! + bytesAsHex[(next >>> 16) & 255]! + bytesAsHex[(next >>> 8) & 255]! + bytesAsHex[next & 255]!
  return head + tail
}

const idCharsMax = 64

/** The id that a client gave its request, so that it finds it in the audit log; undefined when there is none that could stand there. */
export function givenId(header: string | undefined): string | undefined {
  return header !== undefined && header !== '' && header.length <= idCharsMax && /^[\x21-\x7e]+$/.test(header) ? header : undefined
}
