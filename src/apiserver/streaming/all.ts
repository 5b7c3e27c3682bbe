// What streams between a client and a node or a pod: log, exec, attach, port-forward, proxy. The one place where the API server
// speaks to anything but its store.

import { badRequest } from '#api/errors'
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Authorizer } from '../authz/authorizer.ts'
import { attributesOf, forbiddenError } from '../pipeline/authorize.ts'
import type { ApiReply, ApiRequest, LocalReader } from '../request.ts'
import type { RawHandler, ResourceHandler } from '../subresources/subresource.ts'
import { booleanParam } from '../verbs/query.ts'
import { createAddressGuard, type OwnAddress } from './address-guard.ts'
import { logQuery } from './log-options.ts'
import { type ProxyDeps, type ProxyTarget, proxyRequest } from './proxy-request.ts'
import { type Address, endpointAddress, existingPod, kubeletOf, nodeOf, type ProxyName, parseProxyName, podAddress } from './targets.ts'

export interface StreamingDeps {
  readonly reader: LocalReader
  readonly random: Random
  readonly clock: Clock
  /** How the server proves itself to kubelets, and by whom theirs must be vouched for; PEM. */
  readonly kubeletTls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly own: OwnAddress
  /** Asked once more about requests whose method says less than what they do. */
  readonly authorizer: Authorizer
}

// What the API calls the streams, and what kubelets do.
const streamKeys = [
  ['stdin', 'input'],
  ['stdout', 'output'],
  ['stderr', 'error'],
  ['tty', 'tty'],
] as const

// What the handlers share, made once.
interface Context extends StreamingDeps, ProxyDeps {}

export function streamingHandlers(streaming: StreamingDeps): readonly ResourceHandler[] {
  const deps: Context = { ...streaming, guard: createAddressGuard(streaming.own) }
  const onPod = (subresource: string, handle: RawHandler['handle']): RawHandler => ({
    type: 'raw',
    group: '',
    resource: 'pods',
    subresource,
    handle,
  })
  return [
    onPod('log', (request) => podLog(deps, request)),
    onPod('exec', (request) => podCommand(deps, request, 'exec')),
    onPod('attach', (request) => podCommand(deps, request, 'attach')),
    onPod('portforward', (request) => portForward(deps, request)),
    onPod('proxy', (request) => proxyToPod(deps, request)),
    { type: 'raw', group: '', resource: 'services', subresource: 'proxy', handle: (request) => proxyToService(deps, request) },
    { type: 'raw', group: '', resource: 'nodes', subresource: 'proxy', handle: (request) => proxyToNode(deps, request) },
  ]
}

/** The container that is meant: the one named, else the only one. Other names are refused in Kubernetes' words. */
export function chooseContainer(pod: PodObject, asked: string | null): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec
  const { name } = pod.metadata
  const names = [...initContainers, ...containers, ...ephemeralContainers].map((container) => container.name)
  if (asked) {
    if (names.includes(asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${name}`)
  }
  const [only] = containers
  if (containers.length === 1 && only !== undefined) return only.name
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`)
}

function toKubelet(deps: Context, request: ApiRequest, node: string, path: string, more: Partial<ProxyTarget> = {}): Promise<ApiReply> {
  return proxyRequest(deps, request, {
    ...kubeletOf(deps.reader, node),
    scheme: 'https',
    path,
    tls: { ...deps.kubeletTls, commonName: `system:node:${node}` },
    what: `the kubelet of node ${node}`,
    kubelet: true,
    redirects: 'refuse',
    ...more,
  })
}

async function podLog(deps: Context, request: ApiRequest): Promise<ApiReply> {
  const { namespace, name } = request.info
  const query = logQuery(request.query, name)
  const pod = existingPod(deps.reader, namespace, name)
  const container = chooseContainer(pod, request.query.get('container'))
  // Nobody has run it yet: its log is empty.
  if (!pod.spec.nodeName) return { status: 204, headers: {}, body: Buffer.alloc(0) }
  const status = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])].find(
    (one) => one.name === container,
  )
  const waiting = status?.state?.waiting
  // Not started yet, and never before: there is no log to ask for.
  if (waiting !== undefined && status?.lastState?.terminated === undefined && (status?.restartCount ?? 0) === 0) {
    const why = waiting.reason === undefined ? 'waiting to start' : explainWaiting(waiting.reason, waiting.message)
    throw badRequest(`container "${container}" in pod "${name}" is ${why}`)
  }
  const path = `/containerLogs/${namespace}/${name}/${container}${query.size > 0 ? `?${query}` : ''}`
  return toKubelet(deps, request, pod.spec.nodeName, path, { failuresAsStatus: true })
}

function explainWaiting(reason: string, message: string | undefined): string {
  if (reason === 'ContainerCreating' || reason === 'PodInitializing') return `waiting to start: ${reason}`
  return `waiting to start: ${message ?? reason}`
}

function mustUpgrade(request: ApiRequest): void {
  if (request.upgrade === undefined) throw badRequest('Upgrade request required')
}

// A WebSocket begins with a GET, whatever it is for: to run a command takes the right to create, not the right to read (KEP-2862).
async function mustBeAllowedToCreate({ authorizer }: StreamingDeps, request: ApiRequest): Promise<void> {
  if (request.info.verb === 'create') return
  const attributes = attributesOf(request, 'create')
  const decision = await authorizer.authorize(attributes)
  if (decision.verdict !== 'allow') throw forbiddenError(attributes, decision.reason)
}

async function podCommand(deps: Context, request: ApiRequest, action: 'exec' | 'attach'): Promise<ApiReply> {
  mustUpgrade(request)
  await mustBeAllowedToCreate(deps, request)
  const { namespace, name } = request.info
  const pod = existingPod(deps.reader, namespace, name)
  const container = chooseContainer(pod, request.query.get('container'))
  const nodeName = nodeOf(pod)
  const query = new URLSearchParams()
  for (const [key, kubeletKey] of streamKeys) if (booleanParam(request.query, key)) query.set(kubeletKey, '1')
  if (action === 'exec') for (const word of request.query.getAll('command')) query.append('command', word)
  return toKubelet(deps, request, nodeName, `/${action}/${namespace}/${name}/${container}?${query}`)
}

async function portForward(deps: Context, request: ApiRequest): Promise<ApiReply> {
  mustUpgrade(request)
  await mustBeAllowedToCreate(deps, request)
  const { namespace, name } = request.info
  const nodeName = nodeOf(existingPod(deps.reader, namespace, name))
  const ports = request.query.getAll('ports').flatMap((text) => text.split(','))
  const query = ports.length > 0 ? `?${new URLSearchParams({ port: ports.join(',') })}` : ''
  return toKubelet(deps, request, nodeName, `/portForward/${namespace}/${name}${query}`)
}

/** The path behind the proxy with its query, as they came; at least a slash. */
function restOf({ info, rawQuery }: ApiRequest): string {
  const path = info.rest === '' ? '/' : info.rest
  if (path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) throw badRequest('the path of the request is invalid')
  return rawQuery === '' ? path : `${path}?${rawQuery}`
}

function proxyTo(deps: Context, request: ApiRequest, resource: string, find: (proxied: ProxyName) => Address): Promise<ApiReply> {
  const { namespace, name } = request.info
  const proxied = parseProxyName(name)
  return proxyRequest(deps, request, {
    ...find(proxied),
    scheme: proxied.scheme,
    path: restOf(request),
    what: `${resource.slice(0, -1)} ${namespace}/${proxied.name}`,
    redirects: { below: `/api/v1/namespaces/${namespace}/${resource}/${name}/proxy` },
  })
}

async function proxyToPod(deps: Context, request: ApiRequest): Promise<ApiReply> {
  return proxyTo(deps, request, 'pods', (proxied) => podAddress(deps.reader, request.info.namespace, proxied))
}

async function proxyToService(deps: Context, request: ApiRequest): Promise<ApiReply> {
  return proxyTo(deps, request, 'services', (proxied) => endpointAddress(deps.reader, request.info.namespace, proxied, deps.random))
}

async function proxyToNode(deps: Context, request: ApiRequest): Promise<ApiReply> {
  // Behind this path a kubelet runs commands for whoever upgrades.
  if (request.upgrade !== undefined) await mustBeAllowedToCreate(deps, request)
  const { name } = parseProxyName(request.info.name)
  return toKubelet(deps, request, name, restOf(request))
}
