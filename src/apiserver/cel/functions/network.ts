// Kubernetes' libraries for URLs, IP addresses and CIDR blocks.
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpAddress,
  ipEquals,
  isLinkLocalMulticast,
  isLinkLocalUnicast,
  isLoopback,
  isUnspecified,
  networkOf,
  parseCidr,
  parseIp,
} from '#api/ip'
import { CelError, EntryMap, listFrom, type Opaque, type Value } from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'

const scanned = (size: number): number => perChar(size)

class UrlValue implements Opaque {
  readonly opaque = 'kubernetes.URL'
  readonly url: URL
  /** As it was given: a path alone has no host. */
  readonly absolute: boolean
  /** Nothing stands behind the host, not even a slash. */
  readonly bare: boolean
  constructor(url: URL, absolute: boolean, bare: boolean) {
    this.url = url
    this.absolute = absolute
    this.bare = bare
  }

  text(): string {
    return this.url.href
  }

  equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.url.href === this.url.href
  }
}

// An absolute URL, or an absolute path, as Go's ParseRequestURI takes it.
function parseUrl(text: string): UrlValue | undefined {
  if (/[^\S ]/.test(text) || /%(?![0-9a-fA-F]{2})/.test(text)) return undefined
  const absolute = /^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text)
  if (!absolute && !text.startsWith('/')) return undefined
  try {
    return new UrlValue(new URL(text, 'http://none.invalid'), absolute, /^[^/]+\/\/[^/?#]*(?:[?#]|$)/.test(text))
  } catch {
    return undefined
  }
}

function url(text: string): UrlValue {
  const parsed = parseUrl(text)
  if (parsed === undefined)
    throw new CelError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`)
  return parsed
}

function query({ url: { searchParams } }: UrlValue): Value {
  const map = new EntryMap()
  for (const key of new Set(searchParams.keys())) map.add(key, listFrom(searchParams.getAll(key)))
  return map
}

const hostOnly =
  (part: (url: URL) => string) =>
  ({ url: parsed, absolute }: UrlValue): string =>
    absolute ? part(parsed) : ''

const urlFunctions: readonly Overload[] = [
  fn('url(string): kubernetes.URL', url, scanned),
  fn('isURL(string): bool', (text: string) => parseUrl(text) !== undefined, scanned),
  fn(
    'kubernetes.URL->getScheme(): string',
    hostOnly(({ protocol }) => protocol.slice(0, -1)),
  ),
  fn(
    'kubernetes.URL->getHost(): string',
    hostOnly(({ host }) => host),
  ),
  fn(
    'kubernetes.URL->getHostname(): string',
    hostOnly(({ hostname }) => hostname.replace(/^\[|\]$/g, '')),
  ),
  fn(
    'kubernetes.URL->getPort(): string',
    hostOnly(({ port }) => port),
  ),
  fn('kubernetes.URL->getEscapedPath(): string', ({ url: parsed, bare }: UrlValue) => (bare ? '' : parsed.pathname)),
  fn('kubernetes.URL->getQuery(): map<string,list<string>>', query),
]

class IpValue implements Opaque {
  readonly opaque = 'net.IP'
  readonly ip: IpAddress
  constructor(ip: IpAddress) {
    this.ip = ip
  }

  text(): string {
    return formatIp(this.ip)
  }

  equals(other: Opaque): boolean {
    return other instanceof IpValue && ipEquals(other.ip, this.ip)
  }
}

class CidrValue implements Opaque {
  readonly opaque = 'net.CIDR'
  readonly cidr: Cidr
  constructor(cidr: Cidr) {
    this.cidr = cidr
  }

  text(): string {
    return `${formatIp(this.cidr.address)}/${this.cidr.prefixLength}`
  }

  equals(other: Opaque): boolean {
    return other instanceof CidrValue && other.text() === this.text()
  }
}

// Strict: neither leading zeros nor IPv4 in IPv6, nor zones.
function strictIp(text: string): IpAddress | undefined {
  const parsed = parseIp(text)
  return parsed === undefined || parsed.leadingZero || parsed.mapped ? undefined : parsed
}

function strictCidr(text: string): Cidr | undefined {
  const parsed = parseCidr(text)
  if (parsed === undefined || parsed.leadingZero || parsed.address.leadingZero || parsed.address.mapped) return undefined
  return parsed
}

function ip(text: string): IpValue {
  const parsed = strictIp(text)
  if (parsed === undefined)
    throw new CelError(
      `IP Address ${JSON.stringify(text)} parse error during conversion from string: ParseAddr(${JSON.stringify(text)}): unable to parse IP`,
    )
  return new IpValue(parsed)
}

function cidr(text: string): CidrValue {
  const parsed = strictCidr(text)
  if (parsed === undefined) {
    throw new CelError(
      `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)}): invalid CIDR`,
    )
  }
  return new CidrValue(parsed)
}

function isMulticast({ family, bytes }: IpAddress): boolean {
  return family === 4 ? bytes[0]! >= 224 && bytes[0]! <= 239 : bytes[0] === 0xff
}

function isGlobalUnicast(address: IpAddress): boolean {
  const broadcast = address.family === 4 && address.bytes.every((byte) => byte === 255)
  return !broadcast && !isUnspecified(address) && !isLoopback(address) && !isMulticast(address) && !isLinkLocalUnicast(address)
}

function containsCidr({ cidr: outer }: CidrValue, { cidr: inner }: CidrValue): boolean {
  return inner.prefixLength >= outer.prefixLength && cidrContains(outer, networkOf(inner))
}

const about =
  (test: (address: IpAddress) => boolean) =>
  ({ ip: address }: IpValue): boolean =>
    test(address)

const addressFunctions: readonly Overload[] = [
  fn('ip(string): net.IP', ip, scanned),
  fn('isIP(string): bool', (text: string) => strictIp(text) !== undefined, scanned),
  fn('ip.isCanonical(string): bool', (text: string) => ip(text).text() === text, scanned),
  fn('string(net.IP): string', (value: IpValue) => value.text()),
  fn('net.IP->family(): int', ({ ip: { family } }: IpValue) => BigInt(family)),
  fn('net.IP->isUnspecified(): bool', about(isUnspecified)),
  fn('net.IP->isLoopback(): bool', about(isLoopback)),
  fn('net.IP->isLinkLocalMulticast(): bool', about(isLinkLocalMulticast)),
  fn('net.IP->isLinkLocalUnicast(): bool', about(isLinkLocalUnicast)),
  fn('net.IP->isGlobalUnicast(): bool', about(isGlobalUnicast)),
  fn('cidr(string): net.CIDR', cidr, scanned),
  fn('isCIDR(string): bool', (text: string) => strictCidr(text) !== undefined, scanned),
  fn('string(net.CIDR): string', (value: CidrValue) => value.text()),
  fn('net.CIDR->containsIP(net.IP): bool', ({ cidr: block }: CidrValue, address: IpValue) => cidrContains(block, address.ip)),
  fn('net.CIDR->containsIP(string): bool', ({ cidr: block }: CidrValue, text: string) => cidrContains(block, ip(text).ip)),
  fn('net.CIDR->containsCIDR(net.CIDR): bool', containsCidr),
  fn('net.CIDR->containsCIDR(string): bool', (block: CidrValue, text: string) => containsCidr(block, cidr(text))),
  fn('net.CIDR->ip(): net.IP', ({ cidr: block }: CidrValue) => new IpValue(block.address)),
  fn('net.CIDR->masked(): net.CIDR', ({ cidr: block }: CidrValue) => cidr(formatCidr(block))),
  fn('net.CIDR->prefixLength(): int', ({ cidr: block }: CidrValue) => BigInt(block.prefixLength)),
]

export const networkFunctions: readonly Overload[] = [...urlFunctions, ...addressFunctions]
