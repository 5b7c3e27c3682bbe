// The plain requests: lists, metrics, logs, and commands that run to their end.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Pod } from '#api/generated/core-v1'
import { readLog } from '../logs/read-log.ts'
import { RuntimeError } from '../runtimes/runtime.ts'
import { answerText } from './answers.ts'
import { containerIdForLogs, LogRequestError, parseLogQuery } from './container-logs.ts'
import { findRunningContainer, TargetError } from './find-container.ts'
import type { Route } from './routes.ts'
import type { ServerContext } from './server.ts'
import { summary } from './summary.ts'
import { cadvisorMetrics, resourceMetrics } from './usage-metrics.ts'

const metricsType = 'text/plain; version=0.0.4; charset=utf-8'
const lastLinesMs = 100
const runTimeoutMs = 60_000
const runOutputBytesMax = 1024 * 1024

export async function handleRequest(
  context: ServerContext,
  route: Route,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = request.method === 'GET' || request.method === 'HEAD'
  if (route.name === 'run') {
    if (request.method !== 'POST') return answerText(response, 405, '405: Method Not Allowed')
    return await run(context, route, url, response)
  }
  if (!read) return answerText(response, 405, '405: Method Not Allowed')
  switch (route.name) {
    case 'healthz':
      return answerText(response, 200, 'ok')
    case 'pods':
      return answerJson(response, podList(context.workers.all().map((w) => withStatus(context, w.pod))))
    case 'runningPods':
      return answerJson(response, podList(runningPods(context)))
    case 'configz':
      return answerJson(response, { kubeletconfig: configuration(context) })
    case 'summary':
      return answerJson(response, summary(context.nodeName, await context.usage(), context.startedAt))
    case 'metrics':
      return await answerPieces(response, context.registry.text())
    case 'resourceMetrics': {
      const usage = await context.usage()
      return await answerPieces(
        response,
        resourceMetrics(usage, (id) => context.engine.container(id)?.startedAt),
      )
    }
    case 'cadvisorMetrics':
      return await answerPieces(response, cadvisorMetrics(await context.usage()))
    case 'probeMetrics':
      return await answerPieces(response, [])
    case 'containerLogs':
      return await containerLogs(context, route, url, request, response)
    default:
      return answerText(response, 400, 'this path needs an upgraded connection')
  }
}

function answerJson(response: ServerResponse, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
  response.end(body)
}

async function answerPieces(response: ServerResponse, pieces: Iterable<string>): Promise<void> {
  response.writeHead(200, { 'content-type': metricsType })
  for (const piece of pieces) if (!response.write(piece)) await drained(response)
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}

function podList(items: readonly unknown[]): unknown {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items }
}

function withStatus({ statuses }: ServerContext, pod: Pod): Pod {
  return { ...pod, status: statuses.get(pod.metadata.uid) ?? pod.status }
}

function runningPods({ engine }: ServerContext): unknown[] {
  return engine
    .pods()
    .filter((p) => p.containers.some((c) => c.state === 'running'))
    .map((p) => ({
      metadata: { name: p.name, namespace: p.namespace, uid: p.uid },
      spec: {
        containers: p.containers.filter((c) => c.state === 'running').map((c) => ({ name: c.name, image: c.imageRef, resources: {} })),
      },
      status: {},
    }))
}

function configuration(context: ServerContext): unknown {
  return {
    kind: 'KubeletConfiguration',
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    address: context.address,
    port: context.port,
    authentication: { x509: {}, webhook: { enabled: true, cacheTTL: '2m0s' }, anonymous: { enabled: false } },
    authorization: { mode: 'Webhook', webhook: { cacheAuthorizedTTL: '5m0s', cacheUnauthorizedTTL: '30s' } },
    clusterDomain: context.clusterDomain,
    clusterDNS: context.clusterDns,
    maxPods: context.maxPods,
    cgroupDriver: context.runtime.info.cgroupDriver,
    containerLogMaxSize: String(context.containerLogMaxBytes ?? 10 * 1024 * 1024),
    containerLogMaxFiles: context.containerLogMaxFiles ?? 5,
    imageGCHighThresholdPercent: context.imageGcHighPercent ?? 85,
    imageGCLowThresholdPercent: context.imageGcLowPercent ?? 80,
    nodeStatusUpdateFrequency: '10s',
    nodeStatusReportFrequency: '5m0s',
    nodeLeaseDurationSeconds: 40,
  }
}

async function containerLogs(
  context: ServerContext,
  route: Extract<Route, { name: 'containerLogs' | 'exec' | 'attach' | 'run' }>,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { clock, engine, statuses, workers } = context
  const worker = workers.find(route.namespace, route.pod)
  if (worker === undefined) return answerText(response, 404, 'pod does not exist')
  const { pod } = worker
  try {
    const query = parseLogQuery(url.searchParams, clock.now())
    const named = [...pod.spec.containers, ...(pod.spec.initContainers ?? []), ...(pod.spec.ephemeralContainers ?? [])]
    if (!named.some((c) => c.name === route.container)) {
      throw new LogRequestError(404, `container ${JSON.stringify(route.container)} not found in pod ${JSON.stringify(route.pod)}`)
    }
    const id = containerIdForLogs(route.pod, statuses.get(pod.metadata.uid) ?? pod.status, route.container, query.previous)
    const container = engine.container(id)
    if (container === undefined)
      throw new LogRequestError(400, `unable to retrieve container logs for ${context.runtime.info.name}://${id}`)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    request.once('aborted', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, context.signal])
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.flushHeaders()
    const ended = untilExited(context, id, signal)
    for await (const text of readLog(
      container.logPath,
      { ...query, follow: query.follow && container.state === 'running' },
      { signal, ended },
    )) {
      if (!response.write(text)) await drained(response)
    }
    response.end()
    gone.abort()
  } catch (error) {
    if (!(error instanceof LogRequestError)) throw error
    answerText(response, error.code, error.message)
  }
}

/** Resolves when the picture of the engine no longer shows the container running. */
async function untilExited({ clock, engine, workers }: ServerContext, id: string, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (!signal.aborted && engine.container(id)?.state === 'running') return
      stop()
      resolve()
    }
    const stop = workers.onChange(look)
    signal.addEventListener('abort', look, { once: true })
    look()
  })
  // The exit is known a little before the last lines are in the file.
  await clock.sleep(lastLinesMs, signal).catch(() => undefined)
}

async function run(
  context: ServerContext,
  route: Extract<Route, { name: 'containerLogs' | 'exec' | 'attach' | 'run' }>,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  try {
    const container = findRunningContainer(context, route)
    const command = url.searchParams.getAll('cmd').flatMap((text) => text.split(' '))
    const { stdout, stderr, exitCode } = await context.runtime.execSync(container.id, command, runTimeoutMs, runOutputBytesMax)
    const output = Buffer.concat([stdout, stderr]).toString('utf8')
    if (exitCode === 0) return answerText(response, 200, output)
    answerText(response, 500, `command terminated with exit code ${exitCode}: ${output}`)
  } catch (error) {
    if (error instanceof TargetError) return answerText(response, error.code, error.message)
    if (error instanceof RuntimeError) return answerText(response, 500, error.message)
    throw error
  }
}
