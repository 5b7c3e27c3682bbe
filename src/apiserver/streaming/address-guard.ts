// Which addresses the API server never lets a proxied request reach (CVE-2020-8562, CVE-2022-3294): itself, loopback, link-local
// (where clouds keep their metadata), multicast. What a node's or pod's status says, its own kubelet wrote; it is looked at
// at the moment of proxying, and names are looked at after they were resolved.
import { lookup as resolve } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { badRequest } from '#api/errors'
import {
  cidrContains,
  formatIp,
  type IpAddress,
  isLinkLocalMulticast,
  isLinkLocalUnicast,
  isLoopback,
  isUnspecified,
  parseCidr,
  parseIp,
} from '#api/ip'

/** This server, as others reach it. */
export interface OwnAddress {
  readonly address: string
  readonly port: number
  /** Services lead to this server as well. */
  readonly serviceCidrs: readonly string[]
}

export interface AddressGuard {
  /** Throws BadRequest when a request must not go there. Names are left to `lookup`. */
  check(host: string, port: number): void
  /** For sockets: resolves a name, and fails when what it resolves to is refused. */
  lookup(port: number): LookupFunction
}

// Amazon's metadata service has an IPv6 address outside the link-local range.
const metadataAddresses: ReadonlySet<string> = new Set(['fd00:ec2::254'])

/** `localAddresses`: those of this machine; default: asked of the system at each check. */
export function createAddressGuard(own: OwnAddress, localAddresses: () => readonly string[] = machineAddresses): AddressGuard {
  const services = own.serviceCidrs.flatMap((text) => parseCidr(text) ?? [])
  const ownIp = canonical(own.address)

  const refused = (ip: IpAddress, port: number): boolean => {
    const text = formatIp(ip)
    // A test cluster that lives on loopback alone has its nodes there too, but never on this server's port.
    if (text === ownIp) return port === own.port
    if (isLoopback(ip) || isUnspecified(ip) || isLinkLocalUnicast(ip) || isLinkLocalMulticast(ip) || isMulticast(ip)) return true
    if (metadataAddresses.has(text) || services.some((cidr) => cidr.address.family === ip.family && cidrContains(cidr, ip))) return true
    return port === own.port && localAddresses().some((address) => canonical(address) === text)
  }
  const check = (host: string, port: number): void => {
    const ip = parseIp(host)
    if (ip !== undefined && refused(ip, port)) throw badRequest('address not allowed')
  }
  return {
    check,
    lookup: (port) => (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, found) => {
        if (error !== null) return callback(error, '', 4)
        const list = found as unknown as { address: string; family: number }[]
        for (const { address } of list) {
          const ip = parseIp(address)
          if (ip === undefined || refused(ip, port)) return callback(new Error('address not allowed') as NodeJS.ErrnoException, '', 4)
        }
        if (options.all === true) return (callback as unknown as (error: null, all: typeof list) => void)(null, list)
        callback(null, list[0]?.address ?? '', list[0]?.family ?? 4)
      })
    },
  }
}

function isMulticast({ family, bytes }: IpAddress): boolean {
  return family === 4 ? bytes[0]! >= 224 : bytes[0] === 0xff
}

function canonical(text: string): string {
  const ip = parseIp(text)
  return ip === undefined ? text : formatIp(ip)
}

function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
}

/** Whether a host is a name rather than an address. */
export function isName(host: string): boolean {
  return isIP(host) === 0
}
