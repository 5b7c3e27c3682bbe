// One range of service addresses: which address comes next. What is taken is asked of the caller.
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpAddress,
  ipFromNumber,
  ipToNumber,
  networkOf,
  parseCidr,
  parseIp,
} from '#api/ip'
import type { Random } from '#base/random'

export type IpFamily = 'IPv4' | 'IPv6'

export interface IpRange {
  readonly family: IpFamily
  /** As text, host bits cleared. */
  readonly cidr: string
  /** The first address: the `kubernetes` service's. */
  readonly first: string
  /** Why the address may not be a service's; undefined when it may. */
  refuse(ip: string): string | undefined
  /** A free address, from the upper part of the range while that has one; undefined when the range is full. */
  next(isTaken: (ip: string) => boolean): string | undefined
}

// The lower part of a range is left to those who choose addresses themselves (KEP-3070).
function reservedBelow(size: bigint): bigint {
  const part = size / 16n
  const least = part < 16n ? 16n : part
  const reserved = least > 256n ? 256n : least
  return size <= 16n ? 0n : reserved
}

// Random tries before the range is walked.
const guesses = 32
// Addresses of a large IPv6 range beyond this many are not used.
const sizeMax = 1n << 32n

/** Throws when `text` is no CIDR. */
export function createIpRange(text: string, random: Random): IpRange {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new Error(`not a CIDR: ${text}`)
  const family = cidr.address.family
  const base = ipToNumber(networkOf(cidr))
  const bits = BigInt((family === 4 ? 32 : 128) - cidr.prefixLength)
  const whole = 1n << bits > sizeMax ? sizeMax : 1n << bits
  // The network's own address is nobody's; nor is the IPv4 broadcast address.
  const count = whole - 1n - (family === 4 && whole > 2n ? 1n : 0n)
  const reserved = reservedBelow(count)
  const at = (offset: bigint): string => formatIp(ipFromNumber(family, base + 1n + offset))

  const search = (from: bigint, size: bigint, isTaken: (ip: string) => boolean): string | undefined => {
    if (size <= 0n) return undefined
    for (let i = 0; i < guesses; i++) {
      const ip = at(from + BigInt(Math.floor(random() * Number(size))))
      if (!isTaken(ip)) return ip
    }
    const start = BigInt(Math.floor(random() * Number(size)))
    for (let i = 0n; i < size; i++) {
      const ip = at(from + ((start + i) % size))
      if (!isTaken(ip)) return ip
    }
    return undefined
  }

  return {
    family: family === 4 ? 'IPv4' : 'IPv6',
    cidr: formatCidr(cidr),
    first: at(0n),
    refuse(ip) {
      const address = parseIp(ip)
      if (address !== undefined && usable(cidr, address, base, count)) return undefined
      return `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${formatCidr(cidr)}`
    },
    next: (isTaken) => search(reserved, count - reserved, isTaken) ?? search(0n, reserved, isTaken),
  }
}

function usable(cidr: Cidr, address: IpAddress, base: bigint, count: bigint): boolean {
  if (!cidrContains(cidr, address)) return false
  const offset = ipToNumber(address) - base
  return offset >= 1n && offset <= count
}
