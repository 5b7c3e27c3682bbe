// One try of one probe: what it was aimed at, and what came of it. The words are those of Kubernetes' Unhealthy events.

import type { Container, Probe } from '#api/generated/core-v1'
import { expand } from '../expand.ts'
import { type ContainerRuntime, RuntimeError } from '../runtimes/runtime.ts'
import { grpcHealth } from './grpc-probe.ts'
import { httpGet } from './http-probe.ts'
import { bracketed, httpTarget, portNumber } from './probe-target.ts'
import { tcpConnect } from './tcp-probe.ts'
import { TimeoutError } from './timeout.ts'

export const probeUserAgent = 'kube-probe/1.36'

export interface ProbeResult {
  /** `error`: it could not be tried, which says nothing of the container. */
  readonly outcome: 'success' | 'failure' | 'error'
  readonly message: string
}

export interface ProbeSubject {
  readonly containerId: string
  readonly container: Container
  readonly podIp: string
}

export async function runProbe(probe: Probe, subject: ProbeSubject, runtime: ContainerRuntime, signal: AbortSignal): Promise<ProbeResult> {
  try {
    if (probe.exec !== undefined) return await execProbe(probe, subject, runtime)
    if (probe.httpGet !== undefined) return await httpProbe(probe, subject, signal)
    if (probe.tcpSocket !== undefined) return await tcpProbe(probe, subject, signal)
    if (probe.grpc !== undefined) return await grpcProbe(probe, subject, signal)
    return { outcome: 'error', message: `missing probe handler for ${subject.container.name}` }
  } catch (error) {
    return { outcome: 'error', message: error instanceof Error ? error.message : String(error) }
  }
}

async function execProbe(probe: Probe, subject: ProbeSubject, runtime: ContainerRuntime): Promise<ProbeResult> {
  const env = new Map((subject.container.env ?? []).map((e) => [e.name, e.value]))
  const command = (probe.exec?.command ?? []).map((word) => expand(word, (name) => env.get(name)))
  const timeoutMs = probe.timeoutSeconds * 1000
  try {
    const { exitCode, stdout, stderr } = await runtime.execSync(subject.containerId, command, timeoutMs, 10 * 1024)
    const message = Buffer.concat([stdout, stderr]).toString('utf8')
    return { outcome: exitCode === 0 ? 'success' : 'failure', message }
  } catch (error) {
    // A command that could not be started says nothing of the container, as in Kubernetes: not even when it is not in the image.
    if (!(error instanceof RuntimeError) || error.code !== 'timeout') throw error
    return {
      outcome: 'failure',
      message: `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${probe.timeoutSeconds}s`,
    }
  }
}

async function httpProbe(probe: Probe, subject: ProbeSubject, signal: AbortSignal): Promise<ProbeResult> {
  const target = httpTarget(probe.httpGet!, subject.container, subject.podIp)
  try {
    const { status, body } = await httpGet(target, { userAgent: probeUserAgent, signal })
    if (status >= 200 && status < 400) return { outcome: 'success', message: body }
    return { outcome: 'failure', message: `HTTP probe failed with statuscode: ${status}` }
  } catch (error) {
    const why = signal.aborted
      ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
      : networkError(error, bracketed(target.url.hostname), Number(target.url.port) || (target.url.protocol === 'https:' ? 443 : 80))
    return { outcome: 'failure', message: `Get "${target.url.href}": ${why}` }
  }
}

async function tcpProbe(probe: Probe, subject: ProbeSubject, signal: AbortSignal): Promise<ProbeResult> {
  const host = probe.tcpSocket?.host ? probe.tcpSocket.host : subject.podIp
  const port = portNumber(probe.tcpSocket!.port, subject.container)
  try {
    await tcpConnect(host, port, signal)
    return { outcome: 'success', message: '' }
  } catch (error) {
    return {
      outcome: 'failure',
      message: signal.aborted ? `dial tcp ${bracketed(host)}:${port}: i/o timeout` : networkError(error, bracketed(host), port),
    }
  }
}

async function grpcProbe(probe: Probe, subject: ProbeSubject, signal: AbortSignal): Promise<ProbeResult> {
  const { port, service = '' } = probe.grpc!
  const address = `${bracketed(subject.podIp)}:${port}`
  try {
    const { healthy, message } = await grpcHealth(subject.podIp, port, service, { userAgent: probeUserAgent, signal })
    return { outcome: healthy ? 'success' : 'failure', message }
  } catch (error) {
    const within = `timeout: failed to connect service ${JSON.stringify(address)} within ${probe.timeoutSeconds}s`
    const why = signal.reason instanceof TimeoutError ? 'context deadline exceeded' : networkError(error, bracketed(subject.podIp), port)
    return { outcome: 'failure', message: `${within}: ${why}` }
  }
}

const dialErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
}

/** A socket error as Go's net package says it. */
function networkError(error: unknown, host: string, port: number): string {
  // HTTP/2 wraps the socket's error.
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined
  const own = (error as NodeJS.ErrnoException).code ?? ''
  const code = dialErrors[own] === undefined && cause?.code !== undefined ? cause.code : own
  const dial = dialErrors[code]
  if (dial !== undefined) return `dial tcp ${host}:${port}: ${dial}`
  if (code === 'ECONNRESET') return 'EOF'
  return error instanceof Error ? error.message : String(error)
}
