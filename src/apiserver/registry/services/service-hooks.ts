// What a Service takes and gives back: cluster IPs, each held by an IPAddress object that is written in the same commit as the
// service (KEP-1880), and node ports. Exactly one service gets an address or a port, with any number of API servers.
import { type FieldError, internalError, invalid } from '#api/errors'
import { formatIp, parseIp } from '#api/ip'
import { type Kind, storageKey } from '#api/kind'
import type { Service } from '#api/kinds/core/service'
import {
  dropTypeDependentFields,
  isHeadless,
  keepAllocatedValues,
  needsClusterIp,
  needsHealthCheckNodePort,
  needsNodePort,
  normalizeClusterIps,
} from '#api/kinds/core/services'
import { IPAddress } from '#api/kinds/networking/ip-address'
import { invalid as invalidField } from '#api/validation/field-errors'
import { type Clock, timestamp } from '#base/clock'
import type { Write } from '#storage/store'
import type { LocalReader } from '../../request.ts'
import { encodeStored } from '../../watch-cache/stored-json.ts'
import type { Call } from '../call.ts'
import type { Claim, RegistryHooks } from '../hooks.ts'
import { completeFamilies, familyOf } from './ip-families.ts'
import type { IpRange } from './ip-range.ts'
import type { NodePorts, PortBitmap } from './node-ports.ts'

export interface ServiceHooksDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly newUid: () => string
  /** One or two, the default family first. */
  readonly ranges: readonly IpRange[]
  readonly nodePorts: NodePorts
}

const about = { group: '', kind: 'Service' }

export function serviceHooks(deps: ServiceHooksDeps): RegistryHooks<Service> {
  const families = deps.ranges.map((range) => range.family)
  const oneAtATime = createQueue()
  const reserved = new Set<string>()

  const claim = async (service: Service, old: Service | undefined, call: Call): Promise<Claim | undefined> => {
    const ips = new IpClaim(deps, reserved, service, old)
    // Whoever changes the bitmap waits for the one before: they would only meet each other's conflict.
    const leave = touchesPorts(service, old) ? await oneAtATime() : undefined
    const release = (): void => {
      ips.release()
      leave?.()
    }
    try {
      ips.take()
      const portWrite = leave === undefined ? undefined : claimPorts(await deps.nodePorts.read(), service, old)
      const writes = [...ips.writes(), ...(portWrite === undefined ? [] : [portWrite])]
      return { writes: call.dryRun ? [] : writes, commit: release, release }
    } catch (error) {
      release()
      throw error
    }
  }

  return {
    async beginCreate(service, call) {
      normalizeClusterIps(service, undefined)
      completeFamilies(service, undefined, families)
      return claim(service, undefined, call)
    },
    async beginUpdate(service, old, call) {
      keepAllocatedValues(service, old)
      normalizeClusterIps(service, old)
      dropTypeDependentFields(service, old)
      completeFamilies(service, old, families)
      return claim(service, old, call)
    },
    async beginDelete(service) {
      const writes: Write[] = heldIps(service).map((ip) => ({ key: ipKey(ip), value: undefined }))
      const ports = heldPorts(service)
      if (ports.length === 0) return writes.length === 0 ? undefined : { writes, commit: () => {}, release: () => {} }
      const leave = await oneAtATime()
      try {
        const bitmap = await deps.nodePorts.read()
        for (const port of ports) bitmap.delete(port)
        const write = bitmap.write()
        return { writes: write === undefined ? writes : [...writes, write], commit: leave, release: leave }
      } catch (error) {
        leave()
        throw error
      }
    },
  }
}

/** Lets one through at a time; each calls what it got to let the next one in. */
function createQueue(): () => Promise<() => void> {
  let last: Promise<void> = Promise.resolve()
  return () => {
    const before = last
    let leave: () => void = () => {}
    last = new Promise((resolve) => {
      leave = resolve
    })
    return before.then(() => leave)
  }
}

function ipKey(ip: string): string {
  return storageKey(IPAddress as unknown as Kind, '', canonical(ip))
}

function canonical(ip: string): string {
  const address = parseIp(ip)
  return address === undefined ? ip : formatIp(address)
}

/** The addresses that a service holds. */
function heldIps(service: Service): string[] {
  return needsClusterIp(service) && !isHeadless(service) ? (service.spec.clusterIPs ?? []).filter((ip) => ip !== '' && ip !== 'None') : []
}

/** The ports that a service holds. */
export function heldPorts(service: Service): number[] {
  const ports: number[] = []
  if (needsClusterIp(service)) for (const { nodePort } of service.spec.ports ?? []) if (nodePort) ports.push(nodePort)
  if (service.spec.healthCheckNodePort) ports.push(service.spec.healthCheckNodePort)
  return [...new Set(ports)]
}

function touchesPorts(service: Service, old: Service | undefined): boolean {
  return (
    needsNodePort(service) ||
    needsHealthCheckNodePort(service) ||
    heldPorts(service).length > 0 ||
    (old !== undefined && heldPorts(old).length > 0)
  )
}

// The addresses of one write: those that are new to the service are taken, those it has no more go.
class IpClaim {
  readonly #deps: ServiceHooksDeps
  readonly #reserved: Set<string>
  readonly #service: Service
  readonly #before: readonly string[]
  #taken: string[] = []

  constructor(deps: ServiceHooksDeps, reserved: Set<string>, service: Service, old: Service | undefined) {
    this.#deps = deps
    this.#reserved = reserved
    this.#service = service
    this.#before = old === undefined ? [] : heldIps(old)
  }

  take(): void {
    const { spec } = this.#service
    if (!needsClusterIp(this.#service) || isHeadless(this.#service)) return
    const ips = [...(spec.clusterIPs ?? [])]
    for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
      const asked = ips[i] ?? ''
      // An address that stands is not exchanged for another: nothing is taken, and validation says so.
      if (asked !== '' && (this.#before.includes(asked) || this.#before[i] !== undefined)) continue
      const range = this.#deps.ranges.find((r) => r.family === family)
      if (range === undefined) continue
      ips[i] = asked === '' ? this.#next(range) : this.#ask(range, asked)
    }
    if (ips.length === 0) return
    spec.clusterIPs = ips
    spec.clusterIP = ips[0]!
  }

  writes(): Write[] {
    const now = heldIps(this.#service)
    const gone = this.#before.filter((ip) => !now.includes(ip))
    return [
      ...this.#taken.map((ip) => ({ key: ipKey(ip), value: this.#address(ip), expectedModRevision: 0 })),
      ...gone.map((ip) => ({ key: ipKey(ip), value: undefined })),
    ]
  }

  release(): void {
    for (const ip of this.#taken.splice(0)) this.#reserved.delete(canonical(ip))
  }

  #isTaken(ip: string): boolean {
    return this.#reserved.has(ip) || this.#deps.reader.get(IPAddress, '', ip) !== undefined
  }

  #next(range: IpRange): string {
    const ip = range.next((candidate) => this.#isTaken(candidate))
    if (ip === undefined) throw internalError('failed to allocate a serviceIP: range is full')
    return this.#reserve(ip)
  }

  #ask(range: IpRange, ip: string): string {
    const why = range.refuse(ip) ?? (this.#isTaken(canonical(ip)) ? 'provided IP is already allocated' : undefined)
    if (why === undefined) return this.#reserve(ip)
    const errors = [invalidField('spec.clusterIPs', this.#service.spec.clusterIPs, `failed to allocate IP ${ip}: ${why}`)]
    throw invalid(about, this.#service.metadata.name, errors)
  }

  #reserve(ip: string): string {
    this.#reserved.add(canonical(ip))
    this.#taken.push(ip)
    return ip
  }

  #address(ip: string): Buffer {
    const { name, namespace } = this.#service.metadata
    const address: IPAddress = {
      apiVersion: IPAddress.apiVersion,
      kind: IPAddress.kind,
      metadata: {
        name: canonical(ip),
        uid: this.#deps.newUid(),
        resourceVersion: '',
        creationTimestamp: timestamp(this.#deps.clock.now()),
        generation: 1,
        labels: {
          'ipaddress.kubernetes.io/ip-family': familyOf(ip),
          'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
        },
      },
      spec: { parentRef: { group: '', resource: 'services', name, namespace: namespace ?? '' } },
    }
    return encodeStored(IPAddress as unknown as Kind, address)
  }
}

/** Takes what the service needs of node ports and gives back what it has no more; the write that records it. */
function claimPorts(bitmap: PortBitmap, service: Service, old: Service | undefined): Write | undefined {
  const before = old === undefined ? [] : heldPorts(old)
  const errors: FieldError[] = []
  const mine = new Set<number>()
  const take = (port: number, path: string): void => {
    if (before.includes(port) || mine.has(port)) {
      mine.add(port)
      return
    }
    const why = !bitmap.inRange(port)
      ? `provided port is not in the valid range. The range of valid ports is ${bitmapRange(bitmap)}`
      : bitmap.has(port)
        ? 'provided port is already allocated'
        : undefined
    if (why !== undefined) errors.push(invalidField(path, port, why))
    else bitmap.add(port)
    mine.add(port)
  }
  const { spec } = service
  const ports = spec.ports ?? []
  // Those that were chosen first, so that none of them is given to a port that has no wish.
  for (const [i, { nodePort }] of ports.entries()) if (nodePort) take(nodePort, `spec.ports[${i}].nodePort`)
  if (needsNodePort(service)) {
    for (const port of ports) {
      if (port.nodePort) continue
      // Compat: one number may serve TCP and UDP, as kube-dns has it.
      const twin = ports.find((other) => other !== port && other.port === port.port && other.nodePort && other.protocol !== port.protocol)
      port.nodePort = twin?.nodePort ?? bitmap.take()
      mine.add(port.nodePort)
    }
  }
  if (spec.healthCheckNodePort) take(spec.healthCheckNodePort, 'spec.healthCheckNodePort')
  else if (needsHealthCheckNodePort(service)) {
    spec.healthCheckNodePort = bitmap.take()
    mine.add(spec.healthCheckNodePort)
  }
  if (errors.length > 0) throw invalid(about, service.metadata.name, errors)
  for (const port of before) if (!mine.has(port)) bitmap.delete(port)
  return bitmap.write()
}

function bitmapRange(bitmap: PortBitmap): string {
  return `${bitmap.range.from}-${bitmap.range.to}`
}
