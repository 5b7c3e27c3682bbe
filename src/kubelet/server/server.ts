// The agent's HTTPS server: what the API server asks a node for. One port, TLS only, every path behind the same check; there
// is no read-only port.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { createMetrics, type MetricsRegistry, registerProcessMetrics } from '#platform/metrics'
import type { Cgroups } from '../cgroups.ts'
import type { KubeletDeps } from '../deps.ts'
import type { EngineView } from '../engine-view.ts'
import type { PodWorkers } from '../pod-workers/pod-workers.ts'
import type { StatusWriter } from '../status/status-writer.ts'
import { createAccessControl } from './access.ts'
import { answerText, refuseUpgrade } from './answers.ts'
import { handleRequest } from './handle-request.ts'
import { handleUpgrade } from './handle-upgrade.ts'
import { actionOf, findRoute, type Route } from './routes.ts'
import { createUsage, type NodeUsage } from './usage.ts'

export interface ServerDeps extends KubeletDeps {
  readonly engine: EngineView
  readonly workers: PodWorkers
  readonly statuses: StatusWriter
  readonly cgroups: Pick<Cgroups, 'usage'>
  readonly metrics?: MetricsRegistry
  readonly onListening: (port: number) => void
}

/** What the handlers work with. */
export interface ServerContext extends ServerDeps {
  readonly startedAt: number
  readonly registry: MetricsRegistry
  readonly usage: () => Promise<NodeUsage>
}

const limits = { headersMs: 10_000, requestMs: 60_000, keepAliveMs: 60_000, headerBytes: 64 * 1024, connections: 4_096 } as const

/** Serves until the signal aborts. Rejects when it cannot listen. */
export async function runServer(deps: ServerDeps): Promise<void> {
  const { client, clock, nodeName, signal, tls, log } = deps
  const access = createAccessControl({ client, clock, nodeName })
  const registry = deps.metrics ?? createMetrics()
  const context: ServerContext = { ...deps, startedAt: clock.now(), registry, usage: createUsage(deps) }
  if (deps.metrics === undefined) registerProcessMetrics(registry, context.startedAt)
  registerPodMetrics(context)
  const server = createServer({
    cert: tls.cert,
    key: tls.key,
    ca: tls.clientCa,
    // A certificate is asked for, and its absence is for the access check to judge.
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
  })
  server.maxConnections = limits.connections

  /** The route when the caller may use it; otherwise the refusal. */
  async function check(request: IncomingMessage): Promise<{ route: Route; url: URL } | { code: number; message: string }> {
    const text = request.url ?? '/'
    const path = text.split('?', 1)[0]!
    const route = findRoute(path)
    const verdict = await access.check(request, actionOf(request.method ?? '', path, route))
    if ('refused' in verdict) return { code: verdict.refused, message: verdict.message }
    if (route.name === 'unknown') return { code: 404, message: '404 page not found' }
    return { route, url: new URL(`https://node${text.startsWith('/') ? text : '/'}`) }
  }

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void (async () => {
      const checked = await check(request)
      if ('code' in checked) return answerText(response, checked.code, checked.message)
      await handleRequest(context, checked.route, checked.url, request, response)
    })().catch((error) => {
      log.warn('answering a request failed', { error: String(error) })
      if (response.headersSent) response.destroy()
      else answerText(response, 500, error instanceof Error ? error.message : String(error))
    })
  })
  // The server forgets connections that were upgraded.
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    socket.on('error', () => socket.destroy())
    ;(socket as TLSSocket).setNoDelay(true)
    void (async () => {
      const checked = await check(request)
      if ('code' in checked) return refuseUpgrade(socket, checked.code, checked.message)
      await handleUpgrade(context, checked.route, checked.url, request, socket, head)
    })().catch((error) => {
      log.warn('serving a stream failed', { error: String(error) })
      socket.destroy()
    })
  })
  server.on('tlsClientError', (error) => log.debug('a TLS handshake failed', { error: error.message }))
  server.on('clientError', (_error, socket) => socket.destroy())

  await listen(server, deps.port, deps.address)
  deps.onListening((server.address() as AddressInfo).port)
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  server.closeAllConnections()
  for (const socket of upgraded) socket.destroy()
  await new Promise<void>((resolve) => server.close(() => resolve()))
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function registerPodMetrics({ engine, registry, workers, nodeName }: ServerContext): void {
  registry.gaugeFrom({ name: 'kubelet_node_name', help: 'The node name. The count is always 1.', labels: ['node'] }, () => [
    [[nodeName], 1],
  ])
  registry.gaugeFrom({ name: 'kubelet_running_pods', help: 'Number of pods that have a running pod sandbox' }, () =>
    count(engine.pods(), (p) => p.sandboxes[0]?.state === 'ready'),
  )
  const states = ['created', 'running', 'exited', 'unknown'] as const
  registry.gaugeFrom(
    { name: 'kubelet_running_containers', help: 'Number of containers currently running', labels: ['container_state'] },
    () => {
      const containers = engine.pods().flatMap((p) => p.containers)
      return states.map((state) => [[state], count(containers, (c) => c.state === state)] as const)
    },
  )
  registry.gaugeFrom(
    { name: 'kubelet_working_pods', help: 'Number of pods the kubelet is actually running', labels: ['lifecycle'] },
    () => {
      const stages = { running: 'sync', terminating: 'terminating', terminated: 'terminated' } as const
      return Object.entries(stages).map(([stage, name]) => [[name], count(workers.all(), (w) => w.stage === stage)] as const)
    },
  )
}

function count<T>(items: readonly T[], when: (item: T) => boolean): number {
  return items.reduce((sum, item) => sum + (when(item) ? 1 : 0), 0)
}
