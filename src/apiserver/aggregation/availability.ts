// Whether the server behind an APIService can be reached: what its service and endpoints say, then an answer to discovery. Kept as the
// APIService's Available condition, in Kubernetes' words.
import type { EndpointSlice as SliceObject } from '#api/generated/discovery-v1'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { Manifest } from '#api/object'
import { timestamp } from '#base/clock'
import type { Client } from '#client/client'
import type { LocalReader } from '../request.ts'
import { ask, type RemoteDeps, remoteAddress } from './remote.ts'

export interface Availability {
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
}

const passed: Availability = { status: 'True', reason: 'Passed', message: 'all checks passed' }
const failed = (reason: string, message: string): Availability => ({ status: 'False', reason, message })

export function slicesOf(reader: LocalReader, namespace: string, service: string): SliceObject[] {
  return reader.list(EndpointSlice, namespace).filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === service)
}

/** What the objects of the cluster say; undefined when nothing speaks against it. */
export function checkObjects(reader: LocalReader, { spec }: APIService): Availability | undefined {
  const { name = '', namespace = '', port = 443 } = spec.service ?? {}
  const where = `service/${name} in ${JSON.stringify(namespace)}`
  const service = reader.get(Service, namespace, name)
  if (service === undefined) return failed('ServiceNotFound', `${where} is not present`)
  if (service.spec.type !== 'ClusterIP') return undefined
  const found = (service.spec.ports ?? []).find((candidate) => candidate.port === port)
  if (found === undefined) return failed('ServicePortError', `${where} is not listening on port ${port}`)
  const slices = slicesOf(reader, namespace, name)
  if (slices.length === 0) return failed('EndpointsNotFound', `cannot find endpointslices for ${where}`)
  const { name: portName = '' } = found
  const isReady = slices.some(
    ({ endpoints, ports }) =>
      (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false) &&
      (ports ?? []).some((candidate) => (candidate.name ?? '') === portName && candidate.port !== undefined),
  )
  if (isReady) return undefined
  return failed('MissingEndpoints', `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`)
}

const attempts = 5

/** All checks. Several endpoints may stand behind the service: that one of five questions is answered is enough. */
export async function checkAvailability(deps: RemoteDeps, apiService: APIService): Promise<Availability> {
  const told = checkObjects(deps.reader, apiService)
  if (told !== undefined) return told
  const { group, version } = apiService.spec
  const path = `/apis/${group}/${version}`
  let url = path
  const question = async (): Promise<void> => {
    const { host, port } = remoteAddress(deps, apiService)
    url = `https://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
    const { status } = await ask(deps, apiService, path, { verify: false })
    if (status < 200 || status > 299) throw new Error(`bad status from ${url}: ${status}`)
  }
  try {
    // The first answer decides in nearly every case; the others are asked when it is not there.
    await question().catch(() => Promise.any(Array.from({ length: attempts - 1 }, question)))
    return passed
  } catch (error) {
    const last = error instanceof AggregateError ? error.errors.at(-1) : error
    return failed('FailedDiscoveryCheck', `failing or missing response from ${url}: ${(last as Error).message}`)
  }
}

/** Writes the condition where it is another one. */
export async function writeAvailability(client: Client, apiService: APIService, found: Availability, nowMs: number): Promise<void> {
  const conditions = apiService.status.conditions ?? []
  const old = conditions.find(({ type }) => type === 'Available')
  if (old?.status === found.status && old.reason === found.reason && old.message === found.message) return
  const lastTransitionTime = old?.status === found.status ? old.lastTransitionTime : timestamp(nowMs)
  const available = { type: 'Available', ...found, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) }
  const others = conditions.filter(({ type }) => type !== 'Available')
  const written = { ...apiService, status: { ...apiService.status, conditions: [...others, available] } }
  await client.updateStatus(APIService, written as Manifest<APIService>)
}

export function isAvailable({ status }: APIService): boolean {
  return status.conditions?.some(({ type, status: value }) => type === 'Available' && value === 'True') ?? false
}
