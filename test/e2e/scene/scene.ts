// What the acceptance tests share: manifests in a line, programs that run beside a test, and views of a cluster that kubectl does not give.
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import { runChecked } from '#platform/process'
import { clientProgram, eventually, type TestCluster } from '../../tools/cluster.ts'

export const engines = ['containerd', 'docker'] as const

export const busybox = 'navarch.local/busybox:1'

type Fields = Readonly<Record<string, unknown>>

/** A container of busybox that runs a line of shell. */
export function shell(script: string, more: Fields = {}): Fields {
  return { name: 'main', image: busybox, command: ['sh', '-c', script], ...more }
}

/** A pod's manifest, in JSON. */
export function pod(name: string, container: Fields, { labels, ...spec }: Fields = {}): string {
  const metadata = { name, ...(labels === undefined ? {} : { labels }) }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { terminationGracePeriodSeconds: 1, containers: [container], ...spec },
  })
}

/** A Deployment of the web server's version 1, in JSON, with its probe of readiness. */
export function web(name: string, replicas: number, more: Fields = {}): string {
  const readinessProbe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 }
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1', readinessProbe, ...more }] },
      },
    },
  })
}

/** A Service in front of the pods labelled `app: <name>`, from port 80 to 8080, in JSON. */
export function service(name: string, { app = name, ...spec }: Fields = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  })
}

export const apply = (cluster: TestCluster, ...manifests: string[]): Promise<string> =>
  cluster.kubectlWith(manifests.join('\n---\n'), 'apply', '-f', '-')

export const ready = (cluster: TestCluster, name: string): Promise<string> =>
  cluster.kubectl('wait', '--for=condition=Ready', name, '--timeout=120s')

/** What a jsonpath finds in one object. */
export const field = (cluster: TestCluster, object: string, path: string): Promise<string> =>
  cluster.kubectl('get', object, '-o', `jsonpath=${path}`)

/** Names of the pods with a label, in order. */
export async function podNames(cluster: TestCluster, selector: string): Promise<string[]> {
  const text = await cluster.kubectl('get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}')
  return text
    .split(' ')
    .filter((name) => name !== '')
    .sort()
}

/** Names of the pods that a Service leads to, in order. */
export async function readyEndpoints(cluster: TestCluster, name: string): Promise<string> {
  const text = await cluster.kubectl('get', 'endpointslices', '-l', `kubernetes.io/service-name=${name}`, '-o', 'json')
  const { items } = JSON.parse(text) as {
    items: { endpoints: { conditions: { ready?: boolean }; targetRef: { name: string } }[] | null }[]
  }
  const serving = items.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions.ready)
  return serving
    .map(({ targetRef }) => targetRef.name)
    .sort()
    .join(' ')
}

/** What `status --output json` says, as far as tests use it. */
export interface Status {
  readonly state: string
  readonly server: string
  readonly engineEndpoint: string
  readonly clusterDns: string
  readonly podCidr: string
  readonly processes: readonly { readonly role: string; readonly running: boolean; readonly pid?: number }[]
}

export async function statusOf(cluster: TestCluster): Promise<Status> {
  return JSON.parse((await cluster.navarch('status', '--output', 'json')).stdout)
}

/** Ids of all containers that the engine knows, sandboxes included, those that ended as well. */
export async function engineContainers(cluster: TestCluster, engine: (typeof engines)[number]): Promise<string[]> {
  const lines =
    engine === 'docker'
      ? await runChecked('docker', ['-H', (await statusOf(cluster)).engineEndpoint, 'ps', '-aq', '--no-trunc'])
      : await runChecked('ctr', ['-a', privateContainerdPaths(cluster.dataDir).socket, '-n', 'k8s.io', 'containers', 'list', '-q'])
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

/** Names below /run/netns of the network namespaces that the cluster's own containerd made: the bundles of sandboxes tell them. */
export function sandboxNamespaces({ dataDir }: TestCluster): string[] {
  const tasks = join(privateContainerdPaths(dataDir).state, 'io.containerd.runtime.v2.task/k8s.io')
  const bundles = filesBelow(tasks).filter((path) => path.endsWith('/config.json'))
  const found = bundles.flatMap((path) => /\/run\/netns\/(cni-[0-9a-f-]+)"/.exec(readFileSync(path, 'utf8'))?.[1] ?? [])
  return [...new Set(found)].sort()
}

/** Paths of all that lies below a directory, in order; of none when it is not there. */
export function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return []
  return (readdirSync(dir, { recursive: true }) as string[]).map((name) => join(dir, name)).sort()
}

/** A program that runs beside the test, with what it has said so far. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its exit code, once it has ended and all output is in. */
  readonly ended: Promise<number | null>
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
}

export function start(program: string, args: readonly string[]): Running {
  const child = spawn(program, args, { stdio: 'pipe' })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  child.stdin.on('error', () => {})
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  return { child, stdout: () => said.stdout, stderr: () => said.stderr, ended, stop }
}

export type Kubectl = 'kubectl' | 'kubectl-old'

/** kubectl, beside the test. */
export const startKubectl = (cluster: TestCluster, args: readonly string[], program: Kubectl = 'kubectl'): Running =>
  start(clientProgram(program), ['--kubeconfig', cluster.kubeconfig, ...args])

/** `kubectl port-forward` to a port of an object; `port` is the one on this machine. */
export async function portForward(cluster: TestCluster, to: string, port: number, program: Kubectl = 'kubectl') {
  const running = startKubectl(cluster, ['port-forward', to, `:${port}`], program)
  let gone = false
  void running.ended.then(() => (gone = true))
  const said = await eventually(
    'port-forward',
    async () => running.stdout(),
    (text) => gone || text.includes('Forwarding from 127.0.0.1:'),
  )
  const local = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1]
  assert.ok(local !== undefined, `port-forward: ${running.stderr()}`)
  return { ...running, port: Number(local) }
}
