// Contract: what was asked for is what the kernel enforces, read back from /proc inside the container.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { SecurityContext } from '../runtime.ts'
import { containerConfig, type RuntimeHarness, withPod } from './harness.ts'

const netBindService = 1n << 10n
const netAdmin = 1n << 12n
const sysAdmin = 1n << 21n

export function describeSecurity(get: () => RuntimeHarness): void {
  const inside = async (security: Partial<SecurityContext>, script: string, privileged = false): Promise<string> => {
    const h = get()
    let output = ''
    await withPod(h, { privileged }, async (pod) => {
      const base = containerConfig(h, 'main', [], '').security
      const id = await pod.run('main', { do: 'run' }, { security: { ...base, ...security } })
      const result = await h.runtime.execSync(id, ['sh', '-c', script], 30_000)
      output = `${result.stdout}${result.stderr}`
    })
    return output
  }
  const field = (status: string, name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''

  test('MUSTHOLD 20: user, group and supplementary groups', async () => {
    const status = await inside({ runAsUser: 1234, runAsGroup: 2345, supplementalGroups: [3456, 4567] }, 'cat /proc/1/status')
    expect(field(status, 'Uid')).toBe('1234\t1234\t1234\t1234')
    expect(field(status, 'Gid')).toBe('2345\t2345\t2345\t2345')
    expect(field(status, 'Groups').trim().split(' ')).toEqual(expect.arrayContaining(['3456', '4567']))
  })

  test('MUSTHOLD 20: capabilities dropped and added, no new privileges, seccomp', async () => {
    const status = await inside(
      { capabilitiesDrop: ['ALL'], capabilitiesAdd: ['NET_BIND_SERVICE'], noNewPrivileges: true, seccomp: { type: 'RuntimeDefault' } },
      'cat /proc/1/status',
    )
    expect(BigInt(`0x${field(status, 'CapEff')}`)).toBe(netBindService)
    expect(BigInt(`0x${field(status, 'CapBnd')}`)).toBe(netBindService)
    expect(field(status, 'NoNewPrivs')).toBe('1')
    expect(field(status, 'Seccomp')).toBe('2')
  })

  test('without asking, seccomp is off, privileges may grow and the dangerous capabilities are absent', async () => {
    const status = await inside({}, 'cat /proc/1/status')
    expect(field(status, 'Seccomp')).toBe('0')
    expect(field(status, 'NoNewPrivs')).toBe('0')
    expect(BigInt(`0x${field(status, 'CapEff')}`) & (sysAdmin | netAdmin)).toBe(0n)
  })

  test('MUSTHOLD 20: a read-only root cannot be written; masked and read-only paths are', async () => {
    const output = await inside(
      { readOnlyRootFilesystem: true },
      'touch /x; echo 1 > /proc/sys/kernel/hostname; head -c1 /proc/kcore | wc -c; grep -c /proc/keys /proc/mounts',
    )
    expect(output.match(/Read-only file system|can't create|read-only/gi)?.length).toBeGreaterThanOrEqual(2)
    expect(output).toMatch(/^0$/m)
    expect(output).toMatch(/^1$/m)
  })

  test('a privileged container has every capability that the engine has, and nothing masked', async () => {
    // Docker gives a privileged container every capability there is, which a root that lacks one of them cannot.
    if (!get().privilegedWorks) return
    const status = await inside(
      { privileged: true, maskedPaths: [], readonlyPaths: [] },
      'cat /proc/1/status; grep -c /proc/keys /proc/mounts',
      true,
    )
    expect(BigInt(`0x${field(status, 'CapEff')}`) & (sysAdmin | netAdmin)).toBe(sysAdmin | netAdmin)
    expect(status).toMatch(/^0$/m)
  })

  test('the limits are in the cgroup below the pod’s own', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const resources = { cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, memoryLimitBytes: 67_108_864 }
      const id = await pod.run('main', { do: 'run' }, { resources })
      const groups = `${(await h.runtime.execSync(id, ['cat', '/proc/1/cgroup'], 30_000)).stdout}`
      const memory = groups.split('\n').find((l) => l.includes(':memory:'))
      // On the unified hierarchy the container's own cgroup namespace hides the path.
      if (memory === undefined) return
      const path = memory.split(':')[2]!
      expect(path.startsWith(`${pod.config.cgroupParent}/`)).toBe(true)
      expect((await readFile(`/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`, 'utf8')).trim()).toBe('67108864')
      expect((await readFile(`/sys/fs/cgroup/cpu${path}/cpu.cfs_quota_us`, 'utf8')).trim()).toBe('50000')
      expect((await readFile(`/sys/fs/cgroup/cpu${path}/cpu.shares`, 'utf8')).trim()).toBe('512')
    })
  })

  test('containers of a pod share network, IPC and host name; resolv.conf is the pod’s', async () => {
    const h = get()
    await withPod(h, { hostname: 'my-host' }, async (pod) => {
      const ids = [await pod.run('one', { do: 'run' }), await pod.run('two', { do: 'run' })]
      const script = 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; hostname; cat /etc/resolv.conf'
      const [one, two] = await Promise.all(ids.map(async (id) => `${(await h.runtime.execSync(id, ['sh', '-c', script], 30_000)).stdout}`))
      expect(one).toBe(two)
      expect(
        one!
          .split('\n')
          .slice(2)
          .filter((l) => l !== ''),
      ).toEqual(['my-host', 'search default.svc.cluster.local', 'nameserver 10.96.0.10', 'options ndots:5'])
    })
  })

  test('with a shared process namespace containers see each other; with their own they do not', async () => {
    const h = get()
    const processes = async (pid: 'pod' | 'container'): Promise<string> => {
      let seen = ''
      await withPod(h, { pid }, async (pod) => {
        await pod.run('one', ['sleep', '4321'])
        const two = await pod.run('two', { do: 'run' })
        seen = `${(await h.runtime.execSync(two, ['ps'], 30_000)).stdout}`
      })
      return seen
    }
    expect(await processes('pod')).toContain('sleep 4321')
    expect(await processes('container')).not.toContain('sleep 4321')
  })

  test('safe sysctls are set in the pod', async () => {
    const h = get()
    await withPod(h, { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' } }, async (pod) => {
      const id = await pod.run('main', { do: 'run' })
      const { stdout } = await h.runtime.execSync(id, ['cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'], 30_000)
      expect(`${stdout}`).toBe('80\n')
    })
  })
}
