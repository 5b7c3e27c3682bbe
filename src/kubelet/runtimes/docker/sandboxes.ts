// Sandboxes in the Docker engine, once they are made: how they are, and their end.
import { rm } from 'node:fs/promises'
import { type ContainerRuntime, RuntimeError, type Sandbox } from '../runtime.ts'
import { type Inspected, sandboxFrom } from './convert.ts'
import { type DockerParts, removeOne, stopOne } from './parts.ts'
import { runDockerSandbox } from './run-sandbox.ts'

type SandboxVerbs = Pick<
  ContainerRuntime,
  'runSandbox' | 'stopSandbox' | 'removeSandbox' | 'sandboxStatus' | 'listSandboxes' | 'networkNamespace' | 'portForward'
>

/** The verbs on sandboxes. */
export function sandboxVerbs(parts: DockerParts): SandboxVerbs {
  const { client, books, network, images, dialer } = parts

  const leaveNetwork = async ({ Id, State }: Inspected): Promise<void> => {
    await network.withdraw(Id)
    await network.detach(Id, State.Pid > 0 ? namespaceOf(State.Pid) : '')
  }

  return {
    runSandbox: (config) => runDockerSandbox(parts, images, config),
    async stopSandbox(id) {
      const sandbox = await books.inspect(id)
      if (sandbox === undefined) return
      const running = await books.list({ sandboxId: id, runningOnly: true })
      // The pause container goes last: it holds the namespace that the network is taken out of.
      await Promise.all([leaveNetwork(sandbox), ...running.map((c) => stopOne(client, c.Id, 0))])
      await stopOne(client, id, 0)
    },
    async removeSandbox(id) {
      const sandbox = await books.inspect(id)
      if (sandbox === undefined) return
      const containers = await books.list({ sandboxId: id })
      await Promise.all([leaveNetwork(sandbox), ...containers.map((c) => removeOne(parts, c.Id))])
      await removeOne(parts, id)
      await rm(parts.sandboxDir(id), { recursive: true, force: true })
    },
    async sandboxStatus(id) {
      const found = await books.inspectSandbox(id)
      return found === undefined ? undefined : sandboxFrom(found.Id, found.State.Status, found.meta, network.addresses(found.Id))
    },
    async listSandboxes() {
      const found = await books.list()
      return found.flatMap(({ Id, State, meta }): Sandbox[] =>
        meta.type === 'sandbox' ? [sandboxFrom(Id, State, meta, network.addresses(Id))] : [],
      )
    },
    async networkNamespace(id) {
      const sandbox = await books.inspectSandbox(id)
      return sandbox?.meta.network === 'pod' && sandbox.State.Running ? namespaceOf(sandbox.State.Pid) : undefined
    },
    async portForward(sandboxId, port) {
      const sandbox = await books.inspectSandbox(sandboxId)
      if (sandbox === undefined) throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      if (!sandbox.State.Running) throw new RuntimeError('notRunning', `sandbox "${sandboxId}" is not running`)
      return dialer.dial(sandbox.meta.network === 'node' ? undefined : namespaceOf(sandbox.State.Pid), port)
    },
  }
}

function namespaceOf(pid: number): string {
  return `/proc/${pid}/ns/net`
}
