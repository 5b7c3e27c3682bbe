// DER, the byte form of X.509 (ITU-T X.690): just enough to write and to read certificates and signing requests. Ours,
// because the libraries that do all of ASN.1 cost more start-up time and memory than the rest of the platform layer together.

/** Tags of the universal class that certificates use. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Tag of a context-specific element, e.g. `[0] EXPLICIT` (constructed) or an implicit primitive. */
export function contextTag(number: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | number
}

/** One element: tag, length, content. */
export function element(elementTag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = content.length === 1 ? content[0]! : Buffer.concat(content)
  return Buffer.concat([Buffer.from([elementTag]), encodeLength(body.length), body])
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export function sequence(...content: readonly Uint8Array[]): Buffer {
  return element(tag.sequence, ...content)
}

/** A non-negative integer from its big-endian bytes. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const trimmed = Buffer.from(bytes.subarray(start))
  return element(tag.integer, (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed)
}

/** A bit string of whole bytes. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(tag.bitString, Buffer.from([unusedBits]), bytes)
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return element(tag.oid, Buffer.from(bytes))
}

/** UTCTime up to 2049, GeneralizedTime after, as RFC 5280 section 4.1.2.5 wants. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  const early = Number(digits.slice(0, 4)) < 2050
  return element(early ? tag.utcTime : tag.generalizedTime, Buffer.from(`${early ? digits.slice(2) : digits}Z`, 'latin1'))
}

/** An element as it was read. `whole` includes tag and length; both are views of the input. */
export interface DerElement {
  readonly tag: number
  readonly content: Buffer
  readonly whole: Buffer
}

/** The bytes are no DER. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** The elements that stand one after another in `bytes`. Throws DerError when they do not fill it exactly. */
export function readElements(bytes: Buffer): DerElement[] {
  const out: DerElement[] = []
  for (let at = 0; at < bytes.length; ) {
    const item = readElement(bytes.subarray(at))
    out.push(item)
    at += item.whole.length
  }
  return out
}

/** The first element of `bytes`; what follows it is ignored. */
export function readElement(bytes: Buffer): DerElement {
  const first = bytes[0]
  const lengthByte = bytes[1]
  if (first === undefined || lengthByte === undefined || (first & 0x1f) === 0x1f) throw new DerError('not a DER element')
  let length = lengthByte
  let start = 2
  if (lengthByte >= 0x80) {
    const count = lengthByte & 0x7f
    if (count === 0 || count > 4 || bytes.length < 2 + count) throw new DerError('a DER length of unsupported form')
    length = bytes.readUIntBE(2, count)
    start = 2 + count
  }
  const end = start + length
  if (end > bytes.length) throw new DerError('a DER element longer than its data')
  return { tag: first, content: bytes.subarray(start, end), whole: bytes.subarray(0, end) }
}

/** The children of a constructed element; throws DerError when `parent` has another tag. */
export function childrenOf(parent: DerElement | undefined, expectedTag: number): DerElement[] {
  if (parent === undefined || parent.tag !== expectedTag) throw new DerError('a DER element is missing or of another type')
  return readElements(parent.content)
}

export function readObjectIdentifier(item: DerElement | undefined): string {
  if (item === undefined || item.tag !== tag.oid || item.content.length === 0) throw new DerError('not an object identifier')
  const arcs: number[] = []
  let value = 0
  for (const byte of item.content) {
    value = value * 128 + (byte & 0x7f)
    if (value > Number.MAX_SAFE_INTEGER) throw new DerError('an object identifier beyond bounds')
    if ((byte & 0x80) !== 0) continue
    if (arcs.length === 0) {
      const head = Math.min(2, Math.floor(value / 40))
      arcs.push(head, value - head * 40)
    } else arcs.push(value)
    value = 0
  }
  return arcs.join('.')
}

/** Milliseconds since the epoch of a UTCTime or GeneralizedTime. */
export function readTime(item: DerElement | undefined): number {
  const text = item?.content.toString('latin1') ?? ''
  const match = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (item === undefined || match === null) throw new DerError('not a DER time')
  const [, yearText = '', ...rest] = match
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number)
  let year = Number(yearText)
  if (item.tag === tag.utcTime) year += year < 50 ? 2000 : 1900
  return Date.UTC(year, month - 1, day, hour, minute, second)
}
