import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { silentLogger } from '#platform/log'
import { unreachableRanges } from './dead-addresses.ts'
import { acceptedRanges } from './forwarding.ts'
import { openPodNetwork, podNetworkList, podNetworkName, releaseLeases } from './pod-network.ts'
import { hostInterfaceIn4, hostInterfaceIn6 } from './routes.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-podnet-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

describe('the pod network', () => {
  test('its configuration routes both families through one ptp link, without masquerade', () => {
    expect(podNetworkList({ name: 'n', podCidrs: ['10.1.0.0/24', 'fd00:1::/64'], mtu: 1400, leaseDir: '/l' }).plugins).toEqual([
      {
        type: 'ptp',
        ipMasq: false,
        mtu: 1400,
        ipam: {
          type: 'host-local',
          dataDir: '/l',
          ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
    ])
    expect(podNetworkName('my cluster')).toBe('navarch-my-cluster')
  })

  test('what it left in the kernel is told from what others did there', () => {
    const routes =
      'unreachable 10.1.0.0/24 metric 4294967295 \nunreachable 10.1.4.0/24 metric 10 \nunreachable fd00:1::/64 dev lo metric 4294967295 pref medium\n'
    expect(unreachableRanges(routes)).toEqual(['10.1.0.0/24', 'fd00:1::/64'])
    const rules = `-P FORWARD DROP
-A FORWARD -d 10.1.0.0/24 -m comment --comment "navarch a pods" -j ACCEPT
-A FORWARD -s 10.1.0.0/24 -m comment --comment "navarch a pods" -j ACCEPT
-A FORWARD -s 10.2.0.0/24 -m comment --comment "navarch a pods b" -j ACCEPT
-A FORWARD -s 10.3.0.0/24 -j ACCEPT
`
    expect(acceptedRanges(rules, 'a')).toEqual(['10.1.0.0/24'])
  })

  test('a lease is freed when its sandbox is gone and the lease is not brand new', async () => {
    const lease = async (ip: string, owner: string, at: number): Promise<void> => {
      await writeFile(join(dir, ip), `${owner}\r\neth0`)
      await utimes(join(dir, ip), at / 1000, at / 1000)
    }
    await lease('10.1.0.2', 'alive', 1_000)
    await lease('10.1.0.3', 'gone', 1_000)
    await lease('10.1.0.4', 'gone-but-new', 9_000)
    await lease('fd00:1::3', 'gone', 1_000)
    await writeFile(join(dir, 'last_reserved_ip.0'), '10.1.0.4')
    await writeFile(join(dir, 'lock'), '')
    expect((await releaseLeases(dir, new Set(['alive']), 5_000)).sort()).toEqual(['10.1.0.3', 'fd00:1::3'])
    expect((await readdir(dir)).sort()).toEqual(['10.1.0.2', '10.1.0.4', 'last_reserved_ip.0', 'lock'])
  })

  test('the configuration for a CRI engine is one file named after the cluster', async () => {
    const routed: string[] = []
    const network = await openPodNetwork({
      clusterName: 'c',
      dataDir: dir,
      mtu: 1300,
      routeRanges: async (ranges) => void routed.push(...ranges),
      clock: new FakeClock(),
      log: silentLogger,
    })
    await network.writeConfiguration(join(dir, 'conf'))
    expect(await readdir(dir)).toEqual(['cni'])
    await network.setPodCidr('192.0.2.0/24')
    expect(routed).toEqual(['192.0.2.0/24'])
    await network.writeConfiguration(join(dir, 'conf'))
    expect(await readdir(join(dir, 'conf'))).toEqual(['10-navarch-c.conflist'])
    const written = JSON.parse(await readFile(join(dir, 'conf/10-navarch-c.conflist'), 'utf8'))
    expect(written.plugins[0].ipam.dataDir).toBe(join(dir, 'cni/leases'))
    await expect(network.detach('unknown', '')).resolves.toBeUndefined()
  })
})

test('the interface of a pod is the one with its host route', () => {
  const table = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n
eth0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\nvethA\t0200010A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\n`
  expect(hostInterfaceIn4(table, '10.1.0.2')).toBe('vethA')
  expect(hostInterfaceIn4(table, '10.1.0.3')).toBeUndefined()
  const six = `fd000001000000000000000000000002 80 00000000000000000000000000000000 00 0 0 0 0 00000001    vethB\n`
  expect(hostInterfaceIn6(six, 'fd00:1::2')).toBe('vethB')
})
