// How our sandboxes and containers are known among everything in a Docker engine: labels that say whose they are, and one that holds,
// as JSON, what CRI would have kept for us. Written once, at creation, so a fresh driver reads back exactly what was meant.
import type { ContainerConfig, PodIdentity, SandboxConfig } from '../runtime.ts'

export const clusterLabel = 'navarch.dev/cluster'
export const typeLabel = 'navarch.dev/type'
export const sandboxLabel = 'navarch.dev/sandbox'
const metaLabel = 'navarch.dev/meta'

export interface SandboxMeta extends PodIdentity {
  readonly type: 'sandbox'
  readonly attempt: number
  readonly createdAt: number
  readonly network: 'pod' | 'node'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface ContainerMeta extends PodIdentity {
  readonly type: 'container'
  readonly sandboxId: string
  readonly name: string
  readonly attempt: number
  readonly createdAt: number
  readonly image: string
  readonly imageRef: string
  readonly logPath: string
  readonly cgroupParent: string
  readonly tty: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export type Meta = SandboxMeta | ContainerMeta

export function sandboxMeta(config: SandboxConfig, createdAt: number): SandboxMeta {
  const { podUid, podName, podNamespace, attempt, network, labels, annotations } = config
  return { type: 'sandbox', podUid, podName, podNamespace, attempt, createdAt, network, labels, annotations }
}

export function containerMeta(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig, createdAt: number): ContainerMeta {
  const { podUid, podName, podNamespace, cgroupParent } = sandbox
  const { name, attempt, image, imageRef, tty, labels, annotations } = config
  const logPath = `${sandbox.logDirectory}/${config.logPath}`
  const identity = { podUid, podName, podNamespace }
  return {
    type: 'container',
    ...identity,
    sandboxId,
    name,
    attempt,
    createdAt,
    image,
    imageRef,
    logPath,
    cgroupParent,
    tty,
    labels,
    annotations,
  }
}

/** All labels of a sandbox or container. Kubernetes' own names are there for people and tools that look with `docker ps`. */
export function labelsOf(cluster: string, meta: Meta): Record<string, string> {
  return {
    [clusterLabel]: cluster,
    [typeLabel]: meta.type,
    [metaLabel]: JSON.stringify(meta),
    'io.kubernetes.pod.name': meta.podName,
    'io.kubernetes.pod.namespace': meta.podNamespace,
    'io.kubernetes.pod.uid': meta.podUid,
    'io.kubernetes.container.name': meta.type === 'sandbox' ? 'POD' : meta.name,
    ...(meta.type === 'sandbox' ? {} : { [sandboxLabel]: meta.sandboxId }),
  }
}

/** Reads the marks back; undefined for a container that is none of ours. */
export function metaOf(labels: Readonly<Record<string, string>> | undefined): Meta | undefined {
  const text = labels?.[metaLabel]
  return text === undefined ? undefined : (JSON.parse(text) as Meta)
}

/** The name in Docker: unique, and it says where the container belongs. */
export function dockerName(meta: Meta): string {
  const name = meta.type === 'sandbox' ? 'POD' : meta.name
  return ['k8s', name, meta.podName, meta.podNamespace, meta.podUid, meta.attempt].join('_')
}
