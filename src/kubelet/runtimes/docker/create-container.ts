// Making a container in a sandbox with the Docker engine.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContainerConfig, RuntimeError, type SandboxConfig } from '../runtime.ts'
import { DockerError } from './client.ts'
import { containerBody } from './convert.ts'
import { type ContainerMeta, containerMeta, dockerName, labelsOf } from './marks.ts'
import type { DockerParts } from './parts.ts'

/** Creates the container; one call of the engine. */
export async function createDockerContainer(
  parts: DockerParts,
  sandboxId: string,
  config: ContainerConfig,
  sandbox: SandboxConfig,
): Promise<{ id: string; meta: ContainerMeta }> {
  const meta = containerMeta(sandboxId, config, sandbox, parts.clock.now())
  const { seccomp } = config.security
  const body = containerBody(config, {
    sandboxId,
    sandbox,
    labels: labelsOf(parts.clusterName, meta),
    cgroupParent: parts.cgroups.parentFor(sandbox.cgroupParent),
    resolvConf: sandbox.dns === undefined ? undefined : join(parts.sandboxDir(sandboxId), 'resolv.conf'),
    // Docker wants the profile itself, not its path.
    seccompProfile: seccomp.type === 'Localhost' ? await readFile(seccomp.path, 'utf8') : undefined,
    oomScore: parts.oomScore,
  })
  try {
    const { Id } = await parts.client.call<{ Id: string }>('POST', '/containers/create', { query: { name: dockerName(meta) }, body })
    return { id: Id, meta }
  } catch (error) {
    throw createError(error, config, sandboxId, parts.sandboxDir(sandboxId))
  }
}

function createError(error: unknown, config: ContainerConfig, sandboxId: string, sandboxDir: string): unknown {
  if (!(error instanceof DockerError)) return error
  const { message } = error
  if (/no such image/i.test(message))
    return new RuntimeError('imageNotFound', `failed to get image "${config.imageRef}": ${message}`, { cause: error })
  // Either the pause container is gone, or what we keep of the sandbox.
  const gone =
    (message.includes(sandboxId) && /no such container/i.test(message)) || (message.includes(sandboxDir) && /does not exist/.test(message))
  if (gone) return new RuntimeError('notFound', `sandbox "${sandboxId}" not found`, { cause: error })
  return error
}
