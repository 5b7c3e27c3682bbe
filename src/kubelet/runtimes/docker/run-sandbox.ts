// Making a sandbox with the Docker engine: create, start, attach to the pod network. What fails midway is taken back.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RuntimeError, type Sandbox, type SandboxConfig } from '../runtime.ts'
import { DockerError } from './client.ts'
import { type Inspected, resolvConfText, sandboxBody, sandboxFrom } from './convert.ts'
import type { DockerImages } from './images.ts'
import { dockerName, labelsOf, sandboxMeta } from './marks.ts'
import type { DockerParts } from './parts.ts'

/** Runs the sandbox. Three calls of the engine, and CNI. */
export async function runDockerSandbox(parts: DockerParts, images: DockerImages, config: SandboxConfig): Promise<Sandbox> {
  const { client, network, clock } = parts
  if (config.network === 'pod' && network.configuration() === undefined) {
    throw new RuntimeError('networkNotReady', 'container runtime network not ready: the node has no pod range yet')
  }
  const meta = sandboxMeta(config, clock.now())
  const body = sandboxBody(config, {
    image: parts.sandboxImage,
    labels: labelsOf(parts.clusterName, meta),
    cgroupParent: parts.cgroups.parentFor(config.cgroupParent),
    oomScore: parts.oomScore,
  })
  const create = (): Promise<{ Id: string }> => client.call('POST', '/containers/create', { query: { name: dockerName(meta) }, body })
  const { Id: id } = await create().catch(async (error: unknown) => {
    if (!(error instanceof DockerError && error.status === 404)) throw error
    await images.pull(parts.sandboxImage, undefined)
    return create()
  })
  let netns = ''
  try {
    const written = config.dns === undefined ? undefined : writeResolvConf(parts.sandboxDir(id), resolvConfText(config.dns))
    await client.call('POST', `/containers/${id}/start`)
    await written
    if (config.network === 'node') return sandboxFrom(id, 'running', meta, [])
    const { State } = await client.call<Inspected>('GET', `/containers/${id}/json`)
    if (!State.Running) throw new RuntimeError('startFailed', `the pause container ended with ${State.ExitCode}: ${State.Error}`)
    netns = `/proc/${State.Pid}/ns/net`
    const ips = await network.attach(id, netns, {
      IgnoreUnknown: '1',
      K8S_POD_NAMESPACE: config.podNamespace,
      K8S_POD_NAME: config.podName,
      K8S_POD_INFRA_CONTAINER_ID: id,
      K8S_POD_UID: config.podUid,
    })
    const { hostPorts, ingressBandwidth, egressBandwidth } = config
    await network.expose(id, { ips, netns, hostPorts: hostPorts.filter((p) => p.hostPort > 0), ingressBandwidth, egressBandwidth })
    return sandboxFrom(id, 'running', meta, ips)
  } catch (error) {
    await undo(parts, id, netns)
    throw error
  }
}

async function undo({ client, network, sandboxDir, log }: DockerParts, id: string, netns: string): Promise<void> {
  const steps = [
    () => network.withdraw(id),
    () => network.detach(id, netns),
    () => client.call('DELETE', `/containers/${id}`, { query: { force: true, v: true } }),
    () => rm(sandboxDir(id), { recursive: true, force: true }),
  ]
  for (const step of steps) {
    await step().catch((error: unknown) => log.warn('could not take back a sandbox that failed', { sandbox: id, error }))
  }
}

async function writeResolvConf(dir: string, text: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 })
  await writeFile(join(dir, 'resolv.conf'), text, { mode: 0o644 })
}
