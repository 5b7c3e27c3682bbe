// Which container engine a node uses, and how one is found.
import { connect } from 'node:net'
import type { Clock } from '#base/clock'
import { dockerRequest } from './docker-request.ts'
import { criAnswers } from './private-containerd.ts'

/** A container engine, by its address: `unix:///path`, or for Docker also `tcp://host:port`. */
export type Engine =
  | { readonly kind: 'docker'; readonly endpoint: string }
  | { readonly kind: 'containerd'; readonly endpoint: string; readonly private: boolean }

/** What `--engine auto` found; `private` means that nothing runs here and a containerd of our own is to be started. */
export type DetectedEngine = Engine | { readonly kind: 'private' }

/** Where engines listen by default. */
export const defaultEndpoints = {
  docker: 'unix:///var/run/docker.sock',
  containerd: 'unix:///run/containerd/containerd.sock',
} as const

/** Takes a running Docker, else a running containerd that serves the CRI, else says that a private one is needed. */
export async function detectEngine(options: {
  readonly clock: Clock
  readonly dockerHost?: string
  readonly criEndpoint?: string
}): Promise<DetectedEngine> {
  const docker = options.dockerHost ?? defaultEndpoints.docker
  if (await dockerAnswers(docker, options.clock)) return { kind: 'docker', endpoint: docker }
  const containerd = options.criEndpoint ?? defaultEndpoints.containerd
  if (await criAnswers(socketPath(containerd), options.clock, 2_000)) return { kind: 'containerd', endpoint: containerd, private: false }
  return { kind: 'private' }
}

/** Whether a Docker Engine answers at `endpoint`. */
export async function dockerAnswers(endpoint: string, clock: Clock): Promise<boolean> {
  try {
    const { status, body } = await dockerRequest(endpoint, { method: 'GET', path: '/_ping' }, { clock, timeoutMs: 2_000 })
    return status === 200 && body.toString().startsWith('OK')
  } catch {
    return false
  }
}

/**
 * Why the engine at `endpoint` cannot be used, as one line that says what to do; undefined when it answers.
 */
export async function engineTrouble(engine: Engine, clock: Clock): Promise<string | undefined> {
  if (engine.kind === 'docker') {
    if (await dockerAnswers(engine.endpoint, clock)) return undefined
    return `no Docker Engine answers at ${engine.endpoint}: start it, or name another one with --docker-host`
  }
  const path = socketPath(engine.endpoint)
  if (await criAnswers(path, clock)) return undefined
  if (await accepts(path))
    return `the engine at ${engine.endpoint} does not serve CRI v1: enable its "cri" plugin, or name another one with --cri-endpoint`
  return `no container engine answers at ${engine.endpoint}: start it, or name another one with --cri-endpoint`
}

/** The path in `unix:///path`; a plain path is taken as it is. */
export function socketPath(endpoint: string): string {
  return endpoint.replace(/^unix:(\/\/)?/, '')
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
