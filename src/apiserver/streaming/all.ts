// What streams between a client and a node or a pod: log, exec, attach, port-forward, proxy. The one place where the API server
// speaks to anything but its store.

import { badRequest } from '#api/errors'
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { Random } from '#base/random'
import type { Authorizer } from '../authz/authorizer.ts'
import { attributesOf, forbiddenError } from '../pipeline/authorize.ts'
import type { ApiReply, ApiRequest, LocalReader } from '../request.ts'
import type { RawHandler, ResourceHandler } from '../subresources/subresource.ts'
import { type ProxyTls, proxyRequest } from './proxy-request.ts'
import { endpointAddress, kubeletOf, type OwnAddress, parseProxyName, placedPod, podAddress } from './targets.ts'

export interface StreamingDeps {
  readonly reader: LocalReader
  readonly random: Random
  /** How the server proves itself to kubelets, and by whom theirs must be vouched for. */
  readonly kubeletTls: Required<ProxyTls>
  readonly own: OwnAddress
  /** Asked once more about requests whose method says less than what they do. */
  readonly authorizer: Authorizer
}

const defaultContainer = 'kubectl.kubernetes.io/default-container'
const logQuery = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
  'insecureSkipTLSVerifyBackend',
  'stream',
] as const

export function streamingHandlers(deps: StreamingDeps): readonly ResourceHandler[] {
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

/** The container that is meant: the one named, else the only one or the annotated one. Unknown names are refused in Kubernetes' words. */
export function chooseContainer(pod: PodObject, asked: string | null): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec
  const { name } = pod.metadata
  const names = (list: readonly { name: string }[]): string => `[${list.map((container) => container.name).join(' ')}]`
  if (asked) {
    if ([...containers, ...initContainers, ...ephemeralContainers].some((container) => container.name === asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${name}`)
  }
  const annotated = pod.metadata.annotations?.[defaultContainer]
  if (annotated && containers.some((container) => container.name === annotated)) return annotated
  const [only] = containers
  if (containers.length === 1 && only !== undefined) return only.name
  const others = initContainers.length > 0 ? ` or one of the init containers: ${names(initContainers)}` : ''
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: ${names(containers)}${others}`)
}

function toKubelet(deps: StreamingDeps, request: ApiRequest, node: string, path: string, method?: string): Promise<ApiReply> {
  const { host, port } = kubeletOf(deps.reader, node, deps.own)
  return proxyRequest(request, {
    scheme: 'https',
    host,
    port,
    path,
    tls: deps.kubeletTls,
    what: `the kubelet of node ${node}`,
    redirects: 'refuse',
    ...(method === undefined ? {} : { method }),
  })
}

async function podLog(deps: StreamingDeps, request: ApiRequest): Promise<ApiReply> {
  const { namespace, name } = request.info
  const pod = placedPod(deps.reader, namespace, name)
  const container = chooseContainer(pod, request.query.get('container'))
  const status = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])].find(
    (one) => one.name === container,
  )
  const waiting = status?.state?.waiting
  // Not started yet, and never before: there is no log to ask for.
  if (waiting !== undefined && status?.lastState?.terminated === undefined && (status?.restartCount ?? 0) === 0) {
    const why = waiting.reason === undefined ? 'waiting to start' : explainWaiting(waiting.reason, waiting.message)
    throw badRequest(`container "${container}" in pod "${name}" is ${why}`)
  }
  const query = new URLSearchParams()
  for (const key of logQuery) for (const value of request.query.getAll(key)) query.append(key, value)
  const path = `/containerLogs/${namespace}/${name}/${container}${query.size > 0 ? `?${query}` : ''}`
  return toKubelet(deps, request, pod.spec.nodeName ?? '', path)
}

function explainWaiting(reason: string, message: string | undefined): string {
  if (reason === 'ContainerCreating' || reason === 'PodInitializing') return `waiting to start: ${reason}`
  return `waiting to start: ${message ?? reason}`
}

function mustUpgrade(request: ApiRequest): void {
  if (request.upgrade === undefined) throw badRequest('Upgrade request required')
}

// A WebSocket begins with a GET, whatever it is for: to run a command takes the right to create, not the right to read (KEP-2862).
function mustBeAllowedToCreate({ authorizer }: StreamingDeps, request: ApiRequest): void {
  if (request.info.verb === 'create') return
  const attributes = { ...attributesOf(request), verb: 'create' }
  const decision = authorizer.authorize(attributes)
  if (decision.verdict !== 'allow') throw forbiddenError(attributes, decision.reason)
}

async function podCommand(deps: StreamingDeps, request: ApiRequest, action: 'exec' | 'attach'): Promise<ApiReply> {
  mustUpgrade(request)
  mustBeAllowedToCreate(deps, request)
  const { namespace, name } = request.info
  const pod = placedPod(deps.reader, namespace, name)
  if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') {
    throw badRequest(`cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`)
  }
  const container = chooseContainer(pod, request.query.get('container'))
  const query = new URLSearchParams()
  for (const key of ['stdin', 'stdout', 'stderr', 'tty']) {
    const value = request.query.get(key)
    if (value !== null) query.set(key, value)
  }
  if (action === 'exec') for (const word of request.query.getAll('command')) query.append('command', word)
  return toKubelet(deps, request, pod.spec.nodeName ?? '', `/${action}/${namespace}/${name}/${container}?${query}`)
}

async function portForward(deps: StreamingDeps, request: ApiRequest): Promise<ApiReply> {
  mustUpgrade(request)
  mustBeAllowedToCreate(deps, request)
  const { namespace, name } = request.info
  const pod = placedPod(deps.reader, namespace, name)
  const ports = request.query.getAll('ports')
  const query = ports.length > 0 ? `?${new URLSearchParams(ports.map((port): [string, string] => ['ports', port]))}` : ''
  return toKubelet(deps, request, pod.spec.nodeName ?? '', `/portForward/${namespace}/${name}${query}`)
}

/** The path behind the proxy, with its query; at least a slash. */
function restOf(request: ApiRequest): string {
  const query = request.query.toString()
  return `${request.info.rest === '' ? '/' : encodeURI(request.info.rest)}${query === '' ? '' : `?${query}`}`
}

function proxyToPod(deps: StreamingDeps, request: ApiRequest): Promise<ApiReply> {
  const { namespace, name } = request.info
  const proxied = parseProxyName(name)
  const address = podAddress(deps.reader, namespace, proxied, deps.own)
  const below = `/api/v1/namespaces/${namespace}/pods/${name}/proxy`
  return proxyRequest(request, {
    ...address,
    scheme: proxied.scheme,
    path: restOf(request),
    what: `pod ${namespace}/${proxied.name}`,
    redirects: { below },
  })
}

function proxyToService(deps: StreamingDeps, request: ApiRequest): Promise<ApiReply> {
  const { namespace, name } = request.info
  const proxied = parseProxyName(name)
  const address = endpointAddress(deps.reader, namespace, proxied, deps.own, deps.random)
  const below = `/api/v1/namespaces/${namespace}/services/${name}/proxy`
  return proxyRequest(request, {
    ...address,
    scheme: proxied.scheme,
    path: restOf(request),
    what: `service ${namespace}/${proxied.name}`,
    redirects: { below },
  })
}

function proxyToNode(deps: StreamingDeps, request: ApiRequest): Promise<ApiReply> {
  const { name } = parseProxyName(request.info.name)
  return toKubelet(deps, request, name, restOf(request))
}
