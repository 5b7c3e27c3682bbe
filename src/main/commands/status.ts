// `navarch status`: what runs, where, and what it costs.
import { systemClock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import { rolePidFile } from '#bootstrap/keeper'
import { createHttpsTransport } from '#client/https-transport'
import { readKubeconfig } from '#client/kubeconfig'
import { createClient } from '#client/rest-client'
import { runningProcess } from '#platform/daemon'
import { residentBytes } from '#platform/process'
import { kubernetesVersion, navarchVersion } from '../version.ts'
import { existingCluster } from './existing-cluster.ts'

interface ProcessStatus {
  readonly role: string
  readonly running: boolean
  readonly pid?: number
  readonly residentBytes?: number
}

/** What `--output json` prints. */
export interface ClusterStatus {
  readonly name: string
  readonly state: 'running' | 'degraded' | 'stopped'
  readonly version: string
  readonly kubernetesVersion: string
  readonly server: string
  readonly serverReady: boolean
  readonly node: string
  readonly engine: string
  readonly engineEndpoint: string
  readonly store: string
  readonly dataDir: string
  readonly kubeconfig: string
  readonly podCidr: string
  readonly serviceCidr: string
  readonly clusterDns: string
  readonly processes: readonly ProcessStatus[]
  readonly residentBytes: number
}

export async function status(options: { dataDir: string; output: 'text' | 'json' }): Promise<void> {
  const { config, paths } = existingCluster(options.dataDir)
  const found = await clusterStatus(config, paths)
  process.stdout.write(options.output === 'json' ? `${JSON.stringify(found, null, 2)}\n` : asText(found))
  process.exitCode = found.state === 'running' ? 0 : 1
}

async function clusterStatus(config: ClusterConfig, paths: ClusterPaths): Promise<ClusterStatus> {
  const processes = ['apiserver', 'controllers', 'node'].map((role) => processStatus(role, rolePidFile(paths, role)))
  const serverReady = processes[0]?.running === true && (await answersReady(paths))
  const roles = processes.filter(({ running }) => running).length
  const engineProcesses = config.privateEngine ? [processStatus('containerd', privateContainerdPaths(paths.dataDir).pidFile)] : []
  return {
    name: config.name,
    state: roles === 0 ? 'stopped' : roles === processes.length && serverReady ? 'running' : 'degraded',
    version: navarchVersion,
    kubernetesVersion,
    server: `https://${config.nodeIp}:${config.apiPort}`,
    serverReady,
    node: config.nodeName,
    engine: config.engine,
    engineEndpoint: config.privateEngine
      ? `unix://${privateContainerdPaths(paths.dataDir).socket}`
      : (config.dockerHost ?? config.criEndpoint ?? ''),
    store: config.store,
    dataDir: paths.dataDir,
    kubeconfig: paths.adminKubeconfig,
    podCidr: config.podCidr,
    serviceCidr: config.serviceCidr,
    clusterDns: config.dnsIp,
    processes: [...processes, ...engineProcesses],
    residentBytes: processes.reduce((sum, { residentBytes = 0 }) => sum + residentBytes, 0),
  }
}

function processStatus(role: string, pidFile: string): ProcessStatus {
  const identity = runningProcess(pidFile)
  if (identity === undefined) return { role, running: false }
  const bytes = residentBytes(identity.pid)
  return { role, running: true, pid: identity.pid, ...(bytes === undefined ? {} : { residentBytes: bytes }) }
}

async function answersReady(paths: ClusterPaths): Promise<boolean> {
  const transport = createHttpsTransport({ ...readKubeconfig(paths.adminKubeconfig), clock: systemClock })
  try {
    return (await createClient({ transport, userAgent: 'navarch' }).raw('GET', '/readyz')) === 'ok'
  } catch {
    return false
  } finally {
    await transport.close()
  }
}

function asText(found: ClusterStatus): string {
  const megabytes = (bytes: number | undefined): string => (bytes === undefined ? '' : `${(bytes / 2 ** 20).toFixed(0)} MiB`)
  const rows: [string, string][] = [
    ['cluster', `${found.name} (${found.state})`],
    ['version', `${found.version}, Kubernetes ${found.kubernetesVersion}`],
    ['server', `${found.server} (${found.serverReady ? 'ready' : 'not ready'})`],
    ['node', found.node],
    ['engine', `${found.engine} at ${found.engineEndpoint}`],
    ['store', `${found.store} in ${found.dataDir}`],
    ['kubeconfig', found.kubeconfig],
    ['pods', found.podCidr],
    ['services', `${found.serviceCidr}, DNS at ${found.clusterDns}`],
    ...found.processes.map(({ role, running, pid, residentBytes: bytes }): [string, string] => [
      role,
      running ? `pid ${pid}, ${megabytes(bytes)}` : 'not running',
    ]),
    ['memory', megabytes(found.residentBytes)],
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}\n`).join('')
}
