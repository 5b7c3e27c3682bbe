// What the node agent is given. Everything from outside comes in here, so that a test can stand in for any of it.
import type { Taint } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'
import type { EventRecorder } from '#client/events'
import type { Informer, InformerOptions } from '#client/informer'
import type { ContainerRuntime } from './runtimes/runtime.ts'

export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Starts an informer that lives until the signal aborts. */
export type OpenInformer = <T extends KubeObject>(kind: Kind<T>, options: InformerOptions<T>, signal: AbortSignal) => Informer<T>

export interface ServingTls {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** PEM of the authority whose client certificates count. */
  readonly clientCa: string
}

export interface KubeletOptions {
  readonly nodeName: string
  /** Addresses of the node, primary first: IPv4, and IPv6 when there is dual stack. */
  readonly nodeIps: readonly string[]
  readonly hostname: string
  readonly dataDir: string
  /** Where container logs go: `<dir>/<namespace>_<pod>_<uid>/<container>/<attempt>.log`. Default: `<dataDir>/pod-logs`. */
  readonly podLogsDir?: string
  readonly clusterDns: readonly string[]
  readonly clusterDomain: string
  /** The resolver file that pods inherit; default `/etc/resolv.conf`. */
  readonly resolvConf?: string
  readonly maxPods: number
  /** Name below the root of each cgroup hierarchy, e.g. `/navarch`: pods get `<root>/kubepods/…`. Empty: `/kubepods`. */
  readonly cgroupRoot: string
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly kubeletVersion: string
  /** HTTPS port; 0 takes any free one. */
  readonly port: number
  readonly address: string
  readonly tls: ServingTls
  /** Directory of static pod manifests; empty: none. */
  readonly manifestDir?: string
  readonly providerId?: string
  /** Sysctls beyond the safe ones that pods may set; a trailing `*` matches a prefix. */
  readonly allowedUnsafeSysctls?: readonly string[]
  /** Subtracted from capacity, e.g. `{ cpu: '200m', memory: '256Mi' }`. */
  readonly systemReserved?: Readonly<Record<string, string>>
  readonly containerLogMaxBytes?: number
  readonly containerLogMaxFiles?: number
  /** Image pulls at once; default 4. */
  readonly parallelPulls?: number
  /** Percent of the image filesystem in use at which unused images are removed; default 85, down to 80. */
  readonly imageGcHighPercent?: number
  readonly imageGcLowPercent?: number
  /** Available bytes under which the node is under pressure, in Kubernetes' words; defaults are Kubernetes'. */
  readonly eviction?: Partial<EvictionThresholds>
}

export interface EvictionThresholds {
  readonly memoryAvailableBytes: number
  /** Percent of the filesystem. */
  readonly nodefsAvailablePercent: number
  readonly nodefsInodesFreePercent: number
  readonly imagefsAvailablePercent: number
}

export interface KubeletDeps extends KubeletOptions {
  readonly client: Client
  readonly openInformer: OpenInformer
  readonly events: EventRecorder
  readonly runtime: ContainerRuntime
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signal: AbortSignal
  /** Called once the HTTPS server listens, with the port it got. */
  readonly onListening?: (port: number) => void
  /** Called once the node is registered and its first status, Ready or not, has been written. */
  readonly onRegistered?: () => void
}
