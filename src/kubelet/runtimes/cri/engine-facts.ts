// What the driver finds out about the engine behind a CRI socket: who it is, how it names cgroups, and where it looks for its network.
import { type CriClient, isUnimplemented } from './client.ts'

export interface EngineFacts {
  readonly name: string
  readonly version: string
  readonly apiVersion: string
  readonly cgroupDriver: 'cgroupfs' | 'systemd'
  readonly cniConfDir: string
}

const cniConfDirDefault = '/etc/cni/net.d'

interface ContainerdConfig {
  readonly cni?: { readonly confDir?: string }
  readonly containerd?: {
    readonly defaultRuntimeName?: string
    readonly runtimes?: Readonly<Record<string, { readonly options?: { readonly SystemdCgroup?: boolean } | null } | undefined>>
  }
}

/** Asks the engine. Three calls, once. */
export async function findEngineFacts(client: CriClient): Promise<EngineFacts> {
  const { runtimeName, runtimeVersion, runtimeApiVersion } = await client.call('Version', {})
  const { info } = await client.call('Status', { verbose: true })
  const config = parse<ContainerdConfig>(info['config']) ?? {}
  return {
    name: runtimeName,
    version: runtimeVersion,
    apiVersion: runtimeApiVersion,
    cgroupDriver: await cgroupDriver(client, config),
    cniConfDir: config.cni?.confDir || cniConfDirDefault,
  }
}

async function cgroupDriver(client: CriClient, config: ContainerdConfig): Promise<'cgroupfs' | 'systemd'> {
  try {
    const { linux } = await client.call('RuntimeConfig', {})
    if (linux !== null) return linux.cgroupDriver === 0 ? 'systemd' : 'cgroupfs'
  } catch (error) {
    if (!isUnimplemented(error)) throw error
  }
  // containerd before 2.0 has no such call, but shows its configuration.
  const { defaultRuntimeName = 'runc', runtimes = {} } = config.containerd ?? {}
  return runtimes[defaultRuntimeName]?.options?.SystemdCgroup === true ? 'systemd' : 'cgroupfs'
}

/** The name of the CNI network that the engine uses for pods; undefined when it has none or does not say. */
export function networkNameFrom(info: Readonly<Record<string, string>>): string | undefined {
  const found = parse<{ Networks?: { Config?: { Name?: string } }[] }>(info['cniconfig'])
  return found?.Networks?.map((n) => n.Config?.Name).find((name) => name !== undefined && name !== 'cni-loopback')
}

/** The path of a sandbox's network namespace in what a verbose status says; undefined on the host network. */
export function netnsFrom(info: Readonly<Record<string, string>>): string | undefined {
  const found = parse<{ runtimeSpec?: { linux?: { namespaces?: { type?: string; path?: string }[] } } }>(info['info'])
  return found?.runtimeSpec?.linux?.namespaces?.find((n) => n.type === 'network')?.path || undefined
}

function parse<T>(text: string | undefined): T | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return JSON.parse(text) as T
  } catch {
    // Other engines put other things there.
    return undefined
  }
}
