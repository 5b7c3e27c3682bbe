// What a pod needs before its first container, besides its volumes: directories, cgroup, hosts file, and its sandbox.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '#api/generated/core-v1'
import { podCgroup, podCgroupLimits } from '../container-resources.ts'
import type { DownwardContext } from '../downward.ts'
import { nodeHostsFile, podHostsFile, podNames } from '../hosts-file.ts'
import type { Sandbox, SandboxConfig } from '../runtimes/runtime.ts'
import { podLogDirectoryName, sandboxConfig } from './sandbox-config.ts'
import type { WorkerContext } from './worker-context.ts'

export interface PreparedPod {
  sandboxConfig(attempt: number): SandboxConfig
  /** Writes the pod's hosts file when needed and says where it is. */
  hostsFile(sandbox: Sandbox): Promise<string>
  downward(sandbox: Sandbox | undefined): DownwardContext
}

/** Sets up directories and the cgroup. Safe to repeat. */
export async function preparePod(context: WorkerContext, pod: Pod): Promise<PreparedPod> {
  const { options, capacity } = context
  const { uid, name, namespace = '' } = pod.metadata
  const podDir = context.volumes.podDir(uid)
  const logDirectory = join(context.podLogsDir, podLogDirectoryName({ uid, name, namespace }))
  const downward = (sandbox: Sandbox | undefined): DownwardContext => ({
    podIps: pod.spec.hostNetwork ? options.nodeIps : (sandbox?.ips ?? []),
    nodeIps: options.nodeIps,
    nodeName: options.nodeName,
    allocatable: context.allocatable(),
  })
  const [host, runtimeHandler] = await Promise.all([
    context.hostResolver(),
    context.runtimeHandler(pod),
    mkdir(podDir, { recursive: true, mode: 0o750 }),
    mkdir(logDirectory, { recursive: true, mode: 0o755 }),
    context.cgroups.create(podCgroup(options.cgroupRoot, pod), podCgroupLimits(pod, capacity)),
    context.checkpoints.save(pod),
  ])
  let hostsWrittenFor: string | undefined
  return {
    downward,
    sandboxConfig(attempt) {
      const dns = { clusterDns: options.clusterDns, clusterDomain: options.clusterDomain, host }
      const { config, dnsWarnings } = sandboxConfig({
        pod,
        attempt,
        dns,
        cgroupRoot: options.cgroupRoot,
        logDirectory,
        nodeHostname: options.hostname,
        runtimeHandler,
      })
      if (attempt === 0) for (const warning of dnsWarnings) context.events.record(pod, 'Warning', 'DNSConfigForming', warning)
      return config
    },
    async hostsFile(sandbox) {
      const path = join(podDir, 'etc-hosts')
      if (hostsWrittenFor === sandbox.id) return path
      const text = pod.spec.hostNetwork
        ? nodeHostsFile(await readFile('/etc/hosts', 'utf8').catch(() => ''), pod.spec.hostAliases)
        : podHostsFile(sandbox.ips, podNames(pod, options.clusterDomain), pod.spec.hostAliases)
      // Written in place: running containers have this very file mounted.
      await writeFile(path, text, { mode: 0o644 })
      hostsWrittenFor = sandbox.id
      return path
    },
  }
}

/** Makes the sandbox; the picture of the engine shows it afterwards. */
export async function makeSandbox(context: WorkerContext, pod: Pod, prepared: PreparedPod, attempt: number): Promise<void> {
  try {
    context.engine.setSandbox(await context.runtime.runSandbox(prepared.sandboxConfig(attempt)))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    context.events.record(pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`)
    // What the engine left behind, if it did, is found by listing.
    context.engine.requestRelist()
    throw error
  }
}
