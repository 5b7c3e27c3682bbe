// Where a cluster's own containerd keeps its things, and the configuration it is given.
import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** The paths of a private containerd, all below the cluster's data directory except where a socket's path would be too long. */
export interface PrivateContainerdPaths {
  readonly root: string
  readonly state: string
  readonly runcRoot: string
  readonly config: string
  readonly certs: string
  readonly cniConfigs: string
  readonly socket: string
  readonly pidFile: string
  readonly logFile: string
}

// sockaddr_un holds 108 bytes, the last of which is a zero (unix(7)); containerd listens on `<socket>.ttrpc` as well.
const socketPathBytesMax = 107 - '.ttrpc'.length

/** The paths for the cluster whose data directory is `dataDir` (absolute). */
export function privateContainerdPaths(dataDir: string): PrivateContainerdPaths {
  const state = join(dataDir, 'containerd/state')
  return {
    root: join(dataDir, 'containerd/root'),
    state,
    runcRoot: join(state, 'runc'),
    config: join(dataDir, 'containerd/config.toml'),
    certs: join(dataDir, 'containerd/certs.d'),
    cniConfigs: join(dataDir, 'cni/conf'),
    socket: shortSocketPath(join(dataDir, 'run/containerd.sock'), socketPathBytesMax),
    pidFile: join(dataDir, 'run/containerd.pid'),
    logFile: join(dataDir, 'logs/containerd.log'),
  }
}

/** `path`, or where it is longer than `bytesMax` a path below /run/navarch that stands for it. */
export function shortSocketPath(path: string, bytesMax = 107): string {
  if (Buffer.byteLength(path) <= bytesMax) return path
  const name = path.slice(path.lastIndexOf('/') + 1)
  return join('/run/navarch', createHash('sha256').update(path).digest('hex').slice(0, 16), name)
}

/** What the configuration depends on besides the paths. */
export interface ContainerdConfigFacts {
  readonly paths: PrivateContainerdPaths
  readonly sandboxImage: string
  readonly snapshotter: 'overlayfs' | 'native'
  readonly cniPluginsDir: string
  /** Set where this process may not lower `oom_score_adj`; containerd then gives containers the lowest score it may. */
  readonly restrictOomScore: boolean
  readonly disableApparmor: boolean
}

/** The text of config.toml (containerd's configuration, version 2, which containerd 1.6 and all later ones read). */
export function renderContainerdConfig(facts: ContainerdConfigFacts): string {
  const { paths } = facts
  const cri = 'plugins."io.containerd.grpc.v1.cri"'
  const text = JSON.stringify
  const unused = ['aufs', 'btrfs', 'devmapper', 'zfs'].map((name) => `io.containerd.snapshotter.v1.${name}`)
  return `version = 2
root = ${text(paths.root)}
state = ${text(paths.state)}
disabled_plugins = ${text(unused)}

[debug]
  level = "warn"
[grpc]
  address = ${text(paths.socket)}
[ttrpc]
  address = ${text(`${paths.socket}.ttrpc`)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${text(join(paths.root, 'opt'))}
[plugins."io.containerd.nri.v1.nri"]
  disable = true

[${cri}]
  sandbox_image = ${text(facts.sandboxImage)}
  restrict_oom_score_adj = ${facts.restrictOomScore}
  disable_apparmor = ${facts.disableApparmor}
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [${cri}.containerd]
    snapshotter = ${text(facts.snapshotter)}
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        Root = ${text(paths.runcRoot)}
        SystemdCgroup = false
  [${cri}.cni]
    bin_dir = ${text(facts.cniPluginsDir)}
    conf_dir = ${text(paths.cniConfigs)}
    max_conf_num = 1
  [${cri}.registry]
    config_path = ${text(paths.certs)}
`
}
