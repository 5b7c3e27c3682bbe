import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cpuWeight, openCgroups, parseHierarchies, slicePath } from './cgroups.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'navarch-cgroups-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const mountLine = (path: string, type: string, options: string): string => `30 20 0:25 / ${path} rw,nosuid - ${type} none ${options}\n`
const versionOneMounts = (): string =>
  mountLine(`${root}/cpu`, 'cgroup', 'rw,cpu,cpuacct') +
  mountLine(`${root}/memory`, 'cgroup', 'rw,memory') +
  mountLine(`${root}/pids`, 'cgroup', 'rw,pids') +
  mountLine(`${root}/unified`, 'cgroup2', 'rw')

test('the hierarchies are those that the kernel says are mounted, each once', () => {
  const text = `${versionOneMounts() + mountLine(`${root}/pids`, 'cgroup', 'rw,pids')}1 2 0:1 / / rw - ext4 /dev/vda rw\n`
  expect(parseHierarchies(text).map((h) => [h.mountPoint, [...h.controllers], h.unified])).toEqual([
    [`${root}/cpu`, ['cpu', 'cpuacct'], false],
    [`${root}/memory`, ['memory'], false],
    [`${root}/pids`, ['pids'], false],
    [`${root}/unified`, [], true],
  ])
})

test.each([
  ['/navarch/kubepods', '/navarch.slice/navarch-kubepods.slice'],
  ['/a/b-c/d', '/a.slice/a-b_c.slice/a-b_c-d.slice'],
  ['/', ''],
])('the slice of %s is %s', (path, slice) => {
  expect(slicePath(path)).toBe(slice)
})

test.each([
  [2, 1],
  [1024, 39],
  [262_144, 10_000],
  [0, 1],
])('%i shares weigh %i', (shares, weight) => {
  expect(cpuWeight(shares)).toBe(weight)
})

describe('version 1', () => {
  test('create makes the path in every controller that limits and writes the limits there', async () => {
    const cgroups = await openCgroups({ mountInfo: versionOneMounts() })
    await cgroups.create('/n/pods/pod1', {
      cpuShares: 512,
      cpuQuotaMicros: 50_000,
      cpuPeriodMicros: 100_000,
      memoryLimitBytes: 1024,
      pidsMax: -1,
    })
    const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')
    expect(cgroups.version).toBe(1)
    expect(await read('cpu/n/pods/pod1/cpu.shares')).toBe('512')
    expect(await read('cpu/n/pods/pod1/cpu.cfs_quota_us')).toBe('50000')
    expect(await read('memory/n/pods/pod1/memory.limit_in_bytes')).toBe('1024')
    expect(await read('pids/n/pods/pod1/pids.max')).toBe('max')
  })

  test('the working set is the usage without inactive file pages', async () => {
    const cgroups = await openCgroups({ mountInfo: versionOneMounts() })
    await cgroups.create('/p', {})
    await writeFile(join(root, 'cpu/p/cpuacct.usage'), '5000\n')
    await writeFile(join(root, 'memory/p/memory.usage_in_bytes'), '1000\n')
    await writeFile(join(root, 'memory/p/memory.stat'), 'total_inactive_file 300\ntotal_rss 400\ntotal_pgfault 7\ntotal_pgmajfault 1\n')
    await writeFile(join(root, 'pids/p/pids.current'), '3\n')
    expect(await cgroups.usage('/p')).toEqual({
      cpuUsageNanoSeconds: 5000,
      memoryUsageBytes: 1000,
      memoryWorkingSetBytes: 700,
      memoryRssBytes: 400,
      memoryPageFaults: 7,
      memoryMajorPageFaults: 1,
      tasks: 3,
    })
    expect(await cgroups.usage('/absent')).toBeUndefined()
  })

  test('remove goes deepest first in every hierarchy, those the agent did not make included, and is repeatable', async () => {
    const cgroups = await openCgroups({ mountInfo: versionOneMounts() })
    await Promise.all(['cpu', 'memory', 'pids', 'unified'].map((h) => mkdir(join(root, h, 'n/pod1/c1'), { recursive: true })))
    expect(await cgroups.children('/n/pod1')).toEqual(['c1'])
    expect(await cgroups.remove('/n/pod1')).toBe(true)
    expect(await cgroups.exists('/n/pod1')).toBe(false)
    expect(await cgroups.exists('/n')).toBe(true)
    expect(await cgroups.remove('/n/pod1')).toBe(true)
    expect(await cgroups.remove('/')).toBe(false)
  })
})

describe('version 2', () => {
  test('create delegates the controllers and writes weight, quota and limits', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpuset cpu io memory hugetlb pids misc\n')
    await writeFile(join(root, 'cgroup.subtree_control'), 'cpu memory\n')
    const cgroups = await openCgroups({ mountInfo: mountLine(root, 'cgroup2', 'rw') })
    await cgroups.create('/n/pod1', { cpuShares: 1024, cpuQuotaMicros: 20_000, memoryLimitBytes: -1, pidsMax: 5 })
    const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')
    expect(cgroups.version).toBe(2)
    expect(await read('cgroup.subtree_control')).toBe('+cpuset +io +pids +hugetlb')
    expect(await read('n/pod1/cpu.weight')).toBe('39')
    expect(await read('n/pod1/cpu.max')).toBe('20000 100000')
    expect(await read('n/pod1/memory.max')).toBe('max')
    expect(await read('n/pod1/pids.max')).toBe('5')
  })
})
