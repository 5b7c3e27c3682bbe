// `navarch up`: an ordered list of phases. Each is safe to repeat, so a second `up` finds what is there and completes it.
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#base/clock'
import {
  addressInRange,
  type ClusterConfig,
  type ClusterPaths,
  clusterPaths,
  machineAddress,
  readClusterConfig,
  writeClusterConfig,
} from '#bootstrap/cluster-config'
import { detectEngine, type Engine, engineTrouble } from '#bootstrap/engine/engine'
import { keptRoles, type RoleSpec, startKeeper } from '#bootstrap/keeper'
import { ensurePki } from '#bootstrap/pki'
import { Failure, usageFailure } from '../failure.ts'
import { freePort, isFree } from '../ports.ts'
import { stopCluster } from './stop-cluster.ts'
import { waitUntilReady } from './wait-until-ready.ts'

export interface UpOptions {
  readonly dataDir: string
  readonly name?: string
  readonly engine?: 'auto' | 'docker' | 'containerd' | 'fake'
  readonly dockerHost?: string
  readonly criEndpoint?: string
  readonly apiPort?: string
  readonly nodePortRange?: string
  readonly podCidr?: string
  readonly serviceCidr?: string
  readonly store?: 'lmdb' | 'etcd'
  readonly etcdEndpoints?: string
  readonly wait: string
  readonly foreground?: boolean
}

/** The roles of a one-node cluster, in the order in which they are best started. */
export function rolesOf(dataDir: string): RoleSpec[] {
  const entry = join(dirname(fileURLToPath(import.meta.url)), 'navarch.js')
  const node = (...args: string[]): Pick<RoleSpec, 'program' | 'args'> => ({
    program: process.execPath,
    args: ['--max-semi-space-size=4', entry, ...args, '--data-dir', dataDir],
  })
  return [
    { role: 'apiserver', ...node('server', '--components', 'apiserver') },
    { role: 'controllers', ...node('server', '--components', 'controllers,scheduler') },
    { role: 'node', ...node('node') },
  ]
}

/** Runs the phases; returns when the cluster is up. */
export async function up(options: UpOptions): Promise<void> {
  const dataDir = resolve(options.dataDir)
  const paths = clusterPaths(dataDir)
  const startedAt = systemClock.monotonic()
  if (process.getuid?.() !== 0) throw new Failure('containers, networks and mounts need root: run this as root, or with sudo')
  const waitSeconds = wholeNumber(options.wait, '--wait', 0, 86_400)
  const known = readClusterConfig(dataDir)
  const config = known === undefined ? await chooseConfig(options) : checkUnchanged(known, options, dataDir)
  const roles = rolesOf(dataDir)
  const running = keptRoles(paths)
  if (roles.every(({ role }) => running.includes(role))) {
    await waitUntilReady(config, paths, { clock: systemClock, seconds: waitSeconds })
    process.stdout.write(`cluster ${config.name} is running: ${describe(config, dataDir)}\n`)
    return
  }
  if (!running.includes('apiserver')) await checkPort(config.apiPort, '--api-port')
  await checkEngine(config)
  for (const directory of [paths.logs, paths.run, paths.store, paths.kubelet]) mkdirSync(directory, { recursive: true, mode: 0o700 })
  await writeClusterConfig(dataDir, config)
  await ensurePki(config, paths, systemClock.now())
  for (const role of roles) await startKeeper(paths, role, systemClock)
  if (waitSeconds > 0) await waitUntilReady(config, paths, { clock: systemClock, seconds: waitSeconds })
  const seconds = ((systemClock.monotonic() - startedAt) / 1_000).toFixed(1)
  process.stdout.write(`cluster ${config.name} is ready after ${seconds} s: ${describe(config, dataDir)}\n`)
  if (options.foreground) await stayUntilInterrupted(config, paths)
}

function describe(config: ClusterConfig, dataDir: string): string {
  const engine = config.privateEngine ? `${config.engine} of its own` : config.engine
  return `API at https://${config.nodeIp}:${config.apiPort}, engine ${engine}, kubeconfig ${clusterPaths(dataDir).adminKubeconfig}`
}

async function stayUntilInterrupted(config: ClusterConfig, paths: ClusterPaths): Promise<void> {
  await new Promise<void>((finish) => {
    process.once('SIGINT', finish)
    process.once('SIGTERM', finish)
    // Something must keep the loop alive while nothing happens.
    systemClock.after(2 ** 40, () => {})
  })
  await stopCluster(config, paths, { clock: systemClock, log: (line) => process.stdout.write(`${line}\n`) })
  process.exit(0)
}

async function chooseConfig(options: UpOptions): Promise<ClusterConfig> {
  if (options.store === 'etcd' || options.etcdEndpoints !== undefined) {
    throw new Failure('this version keeps its state in LMDB only: leave --store and --etcd-endpoints out')
  }
  const serviceCidr = checkCidr(options.serviceCidr ?? '10.96.0.0/16', '--service-cidr', 24)
  const podCidr = checkCidr(options.podCidr ?? '10.244.0.0/16', '--pod-cidr', 24)
  const name = options.name ?? 'navarch'
  if (!/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw usageFailure(`--name ${name}: use lower-case letters, digits and dashes, beginning with a letter, at most 32`)
  }
  const nodeName = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
  return {
    formatVersion: 1,
    name,
    nodeName: nodeName === '' ? `node-${randomBytes(3).toString('hex')}` : nodeName,
    nodeIp: machineAddress(),
    apiPort: wholeNumber(options.apiPort ?? '6443', '--api-port', 1, 65_535),
    kubeletPort: await freePort(10_250, 'the node agent'),
    nodePortRange: portRange(options.nodePortRange ?? '30000-32767'),
    podCidr,
    serviceCidr,
    clusterDomain: 'cluster.local',
    dnsIp: addressInRange(serviceCidr, 10),
    store: 'lmdb',
    ...(await chooseEngine(options)),
  }
}

async function chooseEngine(options: UpOptions): Promise<Pick<ClusterConfig, 'engine' | 'dockerHost' | 'criEndpoint' | 'privateEngine'>> {
  const asked = options.engine ?? (options.dockerHost ? 'docker' : options.criEndpoint ? 'containerd' : 'auto')
  if (asked === 'fake') return { engine: 'fake', privateEngine: false }
  if (asked === 'docker') return { engine: 'docker', dockerHost: options.dockerHost ?? 'unix:///var/run/docker.sock', privateEngine: false }
  if (asked === 'containerd') {
    return options.criEndpoint === undefined
      ? { engine: 'containerd', privateEngine: true }
      : { engine: 'containerd', criEndpoint: options.criEndpoint, privateEngine: false }
  }
  const found = await detectEngine({
    clock: systemClock,
    ...(options.dockerHost === undefined ? {} : { dockerHost: options.dockerHost }),
    ...(options.criEndpoint === undefined ? {} : { criEndpoint: options.criEndpoint }),
  })
  if (found.kind === 'private') return { engine: 'containerd', privateEngine: true }
  if (found.kind === 'docker') return { engine: 'docker', dockerHost: found.endpoint, privateEngine: false }
  return { engine: 'containerd', criEndpoint: found.endpoint, privateEngine: false }
}

/** What was chosen at the first `up` stands: other options for the same data directory are refused, by name. */
function checkUnchanged(config: ClusterConfig, options: UpOptions, dataDir: string): ClusterConfig {
  const asked: [string, string | undefined, string | undefined][] = [
    ['--name', options.name, config.name],
    ['--engine', options.engine === 'auto' ? undefined : options.engine, config.engine],
    ['--docker-host', options.dockerHost, config.dockerHost],
    ['--cri-endpoint', options.criEndpoint, config.criEndpoint],
    ['--api-port', options.apiPort, String(config.apiPort)],
    ['--node-port-range', options.nodePortRange, `${config.nodePortRange.from}-${config.nodePortRange.to}`],
    ['--pod-cidr', options.podCidr, config.podCidr],
    ['--service-cidr', options.serviceCidr, config.serviceCidr],
    ['--store', options.store, config.store],
  ]
  for (const [flag, wanted, stands] of asked) {
    if (wanted !== undefined && wanted !== stands) {
      throw usageFailure(
        `the cluster in ${dataDir} was made with ${flag} ${stands ?? '(none)'}: leave ${flag} out, or use another --data-dir`,
      )
    }
  }
  return config
}

async function checkEngine(config: ClusterConfig): Promise<void> {
  const engine = engineOf(config)
  if (engine === undefined) return
  const trouble = await engineTrouble(engine, systemClock)
  if (trouble !== undefined) throw new Failure(trouble)
}

/** The engine that must be there already; undefined when the cluster brings its own or uses none. */
function engineOf(config: ClusterConfig): Engine | undefined {
  if (config.engine === 'docker') return { kind: 'docker', endpoint: config.dockerHost ?? '' }
  if (config.engine === 'containerd' && !config.privateEngine)
    return { kind: 'containerd', endpoint: config.criEndpoint ?? '', private: false }
  return undefined
}

function wholeNumber(text: string, flag: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw usageFailure(`${flag} ${text}: a whole number from ${min} to ${max} is needed`)
}

function portRange(text: string): { from: number; to: number } {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text) ?? []
  if (from === undefined || to === undefined || Number(from) < 1 || Number(to) > 65_535 || Number(from) > Number(to)) {
    throw usageFailure(`--node-port-range ${text}: give the first and the last port, as in 30000-32767`)
  }
  return { from: Number(from), to: Number(to) }
}

function checkCidr(text: string, flag: string, bitsMax: number): string {
  const [, address, bits] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(text) ?? []
  const good = address?.split('.').every((part) => Number(part) <= 255) && Number(bits) >= 8 && Number(bits) <= bitsMax
  if (!good) throw usageFailure(`${flag} ${text}: give an IPv4 range of at least a /${bitsMax}, as in 10.96.0.0/16`)
  return `${addressInRange(text, 0)}/${bits}`
}

async function checkPort(port: number, flag: string): Promise<void> {
  if (!(await isFree(port))) throw new Failure(`port ${port} is in use by another program: stop it, or choose another port with ${flag}`)
}
