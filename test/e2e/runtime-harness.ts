// The runtime contract's harness over a real engine, for both of them.
import { execFile } from 'node:child_process'
import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock as clock } from '#base/clock'
import { freshSeed, seededRandom } from '#base/random'
import { openCgroups } from '#kubelet/cgroups'
import { podNetworkName, removePodNetwork } from '#kubelet/cni/pod-network'
import { openRuntime, type RuntimeOptions } from '#kubelet/runtimes/all'
import { shellCommand } from '#kubelet/runtimes/behaviour'
import type { RuntimeHarness } from '#kubelet/runtimes/contract/harness'
import { silentLogger } from '#platform/log'
import { makeTestDir } from '../tools/names.ts'

const run = promisify(execFile)

/** Opens the driver; the engine is the caller's, and so is `stop`. */
export async function openHarness(
  engine: Pick<RuntimeOptions, 'engine' | 'criEndpoint' | 'dockerHost'>,
  { podCidr, image, stop, cniConfigs }: { podCidr: string; image: string; stop: () => Promise<void>; cniConfigs?: string },
): Promise<RuntimeHarness> {
  const dir = makeTestDir('runtime')
  const clusterName = basename(dir)
  const cgroupRoot = `/${clusterName}/kubepods`
  const cgroups = await openCgroups()
  const open = async () => {
    const runtime = await openRuntime({ ...engine, dataDir: dir, clusterName, clock, random: seededRandom(freshSeed()), log: silentLogger })
    await runtime.setPodCidr(podCidr)
    return runtime
  }
  let runtime = await open()
  return {
    get runtime() {
      return runtime
    },
    async reopen() {
      await runtime.close()
      runtime = await open()
    },
    image,
    unpullable: [{ image: '127.0.0.1:1/absent:1', code: 'registryUnavailable' }],
    logRoot: join(dir, 'logs'),
    cgroupRoot,
    realProcesses: true,
    privilegedWorks: engine.engine !== 'docker' || (await hasEveryCapability()),
    command: shellCommand,
    pass: (ms) => clock.sleep(ms),
    async residue() {
      const [containers, leases, results, exposed, routes, mounts] = await Promise.all([
        cgroups
          .children(cgroupRoot)
          .then(async (names) => (await Promise.all(names.map((n) => cgroups.children(`${cgroupRoot}/${n}`)))).flat()),
        readdir(join(dir, 'cni/leases', podNetworkName(clusterName))).catch(() => []),
        readdir(join(dir, 'cni/results')).catch(() => []),
        readdir(join(dir, 'cni/exposed')).catch(() => []),
        run('ip', ['-o', 'route', 'show', 'root', podCidr]),
        readFile('/proc/self/mountinfo', 'utf8'),
      ])
      return [
        ...containers.map((c) => `cgroup ${c}`),
        ...leases.filter((l) => /^[0-9.]+$/.test(l)).map((l) => `lease ${l}`),
        ...results.map((r) => `CNI result ${r}`),
        ...exposed.map((e) => `exposure ${e}`),
        ...routes.stdout
          .split('\n')
          // The range's own, by which addresses without a pod are refused, is the node's.
          .filter((l) => l !== '' && !l.startsWith(`unreachable ${podCidr} `))
          .map((l) => `route ${l}`),
        ...mounts
          .split('\n')
          .filter((l) => l.includes(dir))
          .map((l) => `mount ${l}`),
      ]
    },
    async close() {
      await runtime.close()
      await removePodNetwork({ clusterName, podCidr, confDir: cniConfigs })
      await stop()
      await cgroups.remove(`/${clusterName}`)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function hasEveryCapability(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8')
  const last = Number(await readFile('/proc/sys/kernel/cap_last_cap', 'utf8'))
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1]}`) === (1n << BigInt(last + 1)) - 1n
}
