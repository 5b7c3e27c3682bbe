// IP addresses and CIDR blocks as values: parsing as Go's net packages parse, RFC 5952 output. Shared by validation, allocation and routing.

/** 4 or 16 bytes in network order. An IPv4-mapped IPv6 address is kept as the IPv4 address it stands for, and marked. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly bytes: readonly number[]
  /** It was written as `::ffff:a.b.c.d`. */
  readonly mapped: boolean
  /** An IPv4 octet was written with a leading zero, which newer parsers refuse. */
  readonly leadingZero: boolean
}

export interface Cidr {
  /** The address as written, bits beyond the prefix included. */
  readonly address: IpAddress
  readonly prefixLength: number
  /** The prefix length was written with a leading zero. */
  readonly leadingZero: boolean
}

/** The address, or undefined when `text` is none. Leading zeros are let through and marked; zones are not. */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): IpAddress | undefined {
  const bytes: number[] = []
  let leadingZero = false
  let value = 0
  let digits = 0
  for (let at = 0; at <= text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && value === 0) leadingZero = true
      value = value * 10 + digit
      digits++
      if (value > 255) return undefined
      continue
    }
    // A point, or the end.
    if (digits === 0 || bytes.length === 4 || (at < text.length && digit !== -2)) return undefined
    bytes.push(value)
    value = 0
    digits = 0
  }
  return bytes.length === 4 ? { family: 4, bytes, mapped: false, leadingZero } : undefined
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : { bytes: [], leadingZero: false }
  if (head === undefined || tail === undefined) return undefined
  const length = head.bytes.length + tail.bytes.length
  if (halves.length === 1 ? length !== 16 : length > 14) return undefined
  const bytes = [...head.bytes, ...new Array<number>(16 - length).fill(0), ...tail.bytes]
  const leadingZero = head.leadingZero || tail.leadingZero
  const mapped = bytes.slice(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  return mapped ? { family: 4, bytes: bytes.slice(12), mapped, leadingZero } : { family: 6, bytes, mapped, leadingZero }
}

function parseGroups(text: string, mayEndInIpv4: boolean): { bytes: number[]; leadingZero: boolean } | undefined {
  if (text === '') return { bytes: [], leadingZero: false }
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    if (group.includes('.')) {
      const v4 = mayEndInIpv4 && i === groups.length - 1 ? parseIpv4(group) : undefined
      if (v4 === undefined) return undefined
      bytes.push(...v4.bytes)
      return { bytes, leadingZero: v4.leadingZero }
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    const value = Number.parseInt(group, 16)
    bytes.push(value >> 8, value & 0xff)
  }
  return { bytes, leadingZero: false }
}

/** Canonical text: dotted for IPv4, RFC 5952 for IPv6. */
export function formatIp(address: Pick<IpAddress, 'family' | 'bytes'>): string {
  const { bytes } = address
  if (address.family === 4) return bytes.join('.')
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!)
  const run = longestZeroRun(groups)
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  if (run.length < 2) return hex(groups)
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
    start += length
  }
  return best
}

/** The block, or undefined when `text` is none. Host bits may be set; see `networkOf`. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = parseIp(text.slice(0, slash))
  const length = text.slice(slash + 1)
  if (address === undefined || !/^\d{1,3}$/.test(length)) return undefined
  let prefixLength = Number(length)
  if (address.mapped) {
    if (prefixLength < 96) return undefined
    prefixLength -= 96
  }
  if (prefixLength > address.bytes.length * 8) return undefined
  return { address, prefixLength, leadingZero: length.length > 1 && length.startsWith('0') }
}

/** The block's first address: host bits cleared. */
export function networkOf(cidr: Cidr): IpAddress {
  const bytes = cidr.address.bytes.map((byte, i) => {
    const bits = Math.min(8, Math.max(0, cidr.prefixLength - i * 8))
    return byte & (0xff << (8 - bits)) & 0xff
  })
  return { ...cidr.address, bytes }
}

/** Canonical text of the block, host bits cleared. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(networkOf(cidr))}/${cidr.prefixLength}`
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.address.family !== address.family) return false
  const network = networkOf(cidr).bytes
  const masked = networkOf({ address, prefixLength: cidr.prefixLength, leadingZero: false }).bytes
  return network.every((byte, i) => byte === masked[i])
}

/** Same address, however it was written. */
export function ipEquals(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.bytes.every((byte, i) => byte === b.bytes[i])
}

export function ipToNumber(address: Pick<IpAddress, 'bytes'>): bigint {
  return address.bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

export function ipFromNumber(family: 4 | 6, value: bigint): IpAddress {
  const bytes = new Array<number>(family === 4 ? 4 : 16)
  let rest = value
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return { family, bytes, mapped: false, leadingZero: false }
}

export function isLoopback(address: IpAddress): boolean {
  return address.family === 4 ? address.bytes[0] === 127 : address.bytes.slice(0, 15).every((b) => b === 0) && address.bytes[15] === 1
}

export function isUnspecified(address: IpAddress): boolean {
  return address.bytes.every((byte) => byte === 0)
}

export function isLinkLocalUnicast(address: IpAddress): boolean {
  const [a, b] = address.bytes
  return address.family === 4 ? a === 169 && b === 254 : a === 0xfe && (b! & 0xc0) === 0x80
}

export function isLinkLocalMulticast(address: IpAddress): boolean {
  const [a, b, c] = address.bytes
  return address.family === 4 ? a === 224 && b === 0 && c === 0 : a === 0xff && (b! & 0x0f) === 0x02
}
