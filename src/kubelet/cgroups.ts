// Pod cgroups: made, limited, measured and removed through the cgroup file system, version 1 and 2 alike.
// Engines put their containers below the pod's cgroup; the agent owns everything above them. Paths given here are those of
// the cgroupfs driver (`/<cluster>/kubepods/burstable/pod<uid>`); under the systemd driver they are turned into slices.
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export type CgroupDriver = 'cgroupfs' | 'systemd'

/** Limits of one cgroup. Absent: not touched. `-1` for a quota, a memory limit or a pids limit: none. */
export interface CgroupLimits {
  readonly cpuShares?: number
  readonly cpuQuotaMicros?: number
  readonly cpuPeriodMicros?: number
  readonly memoryLimitBytes?: number
  readonly pidsMax?: number
}

/** What a cgroup and everything below it has used. */
export interface CgroupUsage {
  readonly cpuUsageNanoSeconds: number
  readonly memoryUsageBytes: number
  /** Usage without the page cache that could go at once. */
  readonly memoryWorkingSetBytes: number
  readonly memoryRssBytes: number
  readonly memoryPageFaults: number
  readonly memoryMajorPageFaults: number
  /** Processes and threads; 0 when the controller is absent. */
  readonly tasks: number
}

export interface Cgroups {
  readonly version: 1 | 2
  readonly driver: CgroupDriver
  /** Makes the cgroup and its parents in every controller that limits or measures, then sets the limits. Safe to repeat. */
  create(path: string, limits: CgroupLimits): Promise<void>
  update(path: string, limits: CgroupLimits): Promise<void>
  /** Removes the cgroup and those below it, deepest first, in every hierarchy. False when a process still lives there. */
  remove(path: string): Promise<boolean>
  exists(path: string): Promise<boolean>
  /** Names of the cgroups directly below, in any hierarchy. */
  children(path: string): Promise<string[]>
  /** Undefined when the cgroup is gone. `leaf` is a cgroup directly below, by the name that an engine gave it. */
  usage(path: string, leaf?: string): Promise<CgroupUsage | undefined>
  /** The limits that hold for the cgroup itself; undefined when it is gone. `leaf` as for `usage`. */
  limits(path: string, leaf?: string): Promise<CgroupLimits | undefined>
  /** Process ids in this cgroup and below. */
  processes(path: string): Promise<number[]>
  /** What an engine wants to hear as a container's parent: the path, or the slice's name under the systemd driver. */
  parentFor(path: string): string
}

/** One mounted hierarchy. Version 2 has a single one, with `controllers` empty. */
interface Hierarchy {
  readonly mountPoint: string
  readonly controllers: ReadonlySet<string>
  readonly unified: boolean
}

/** Opens the machine's cgroup hierarchies, as `/proc/self/mountinfo` lists them. */
export async function openCgroups(options: { driver?: CgroupDriver; mountInfo?: string } = {}): Promise<Cgroups> {
  const hierarchies = parseHierarchies(options.mountInfo ?? (await readFile('/proc/self/mountinfo', 'utf8')))
  const legacy = hierarchies.filter((h) => !h.unified)
  const driver = options.driver ?? 'cgroupfs'
  const place = driver === 'systemd' ? (path: string) => slicePath(path) : (path: string) => path
  const common = { hierarchies, driver, place }
  return legacy.some((h) => h.controllers.has('memory') || h.controllers.has('cpu'))
    ? versionOne(common, legacy)
    : versionTwo(common, hierarchies[0]?.mountPoint ?? '/sys/fs/cgroup')
}

/** The cgroup mounts in a mountinfo text, each mount point once. */
export function parseHierarchies(mountInfo: string): Hierarchy[] {
  const found = new Map<string, Hierarchy>()
  for (const line of mountInfo.split('\n')) {
    const [left, right] = line.split(' - ')
    const mountPoint = left?.split(' ')[4]
    const [type, , options] = right?.split(' ') ?? []
    if (mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue
    const controllers = type === 'cgroup' ? (options ?? '').split(',').filter((o) => o !== 'rw' && o !== 'ro') : []
    found.set(mountPoint, { mountPoint, controllers: new Set(controllers), unified: type === 'cgroup2' })
  }
  return [...found.values()]
}

/**
 * A cgroupfs path as systemd nests it: `/a/b-c/d` is `/a.slice/a-b_c.slice/a-b_c-d.slice`. Dashes mean nesting to
 * systemd (systemd.slice(5)), so those within a component become underscores, as the kubelet writes them.
 */
export function slicePath(path: string): string {
  const components = path.split('/').filter((c) => c !== '')
  let name = ''
  let out = ''
  for (const component of components) {
    const escaped = component.replaceAll('-', '_')
    name = name === '' ? escaped : `${name}-${escaped}`
    out += `/${name}.slice`
  }
  return out
}

/** CPU shares (2 to 262144) on the scale of version 2's weight (1 to 10000); KEP-2254. */
export function cpuWeight(shares: number): number {
  return Math.min(10_000, Math.max(1, Math.trunc(1 + ((Math.max(2, shares) - 2) * 9_999) / 262_142)))
}

/** The smallest number of shares that weighs so much. */
function sharesOf(weight: number): number {
  return Math.ceil(2 + ((weight - 1) * 262_142) / 9_999)
}

// Version 1 says "no limit" with the largest number of bytes that whole pages can make.
const unlimitedBytes = 2 ** 62

/** -1 for the "max" of both versions, which is no number. */
function orNone(value: number | undefined): number | undefined {
  return value !== undefined && Number.isNaN(value) ? -1 : value
}

interface Common {
  readonly hierarchies: readonly Hierarchy[]
  readonly driver: CgroupDriver
  readonly place: (path: string) => string
}

function shared({ hierarchies, driver, place }: Common): Omit<Cgroups, 'version' | 'create' | 'update' | 'usage' | 'limits'> {
  const everywhere = (path: string): string[] => hierarchies.map((h) => join(h.mountPoint, place(path)))
  return {
    driver,
    async remove(path) {
      if (
        place(path)
          .split('/')
          .every((c) => c === '')
      )
        return false
      const results = await Promise.all(everywhere(path).map(removeTree))
      return results.every((gone) => gone)
    },
    async exists(path) {
      const found = await Promise.all(everywhere(path).map((dir) => subdirectories(dir)))
      return found.some((f) => f !== undefined)
    },
    async children(path) {
      const found = await Promise.all(everywhere(path).map((dir) => subdirectories(dir)))
      return [...new Set(found.flatMap((f) => f ?? []))].sort()
    },
    async processes(path) {
      const found = await Promise.all(everywhere(path).map(processesBelow))
      return [...new Set(found.flat())].sort((a, b) => a - b)
    },
    parentFor: (path) => (driver === 'systemd' ? (place(path).split('/').at(-1) ?? '') : path),
  }
}

function versionOne(common: Common, legacy: readonly Hierarchy[]): Cgroups {
  const at = (controller: string): string | undefined => legacy.find((h) => h.controllers.has(controller))?.mountPoint
  const managed = [...new Set(['cpu', 'cpuacct', 'memory', 'pids'].map(at).filter((m) => m !== undefined))]
  const file = (controller: string, path: string, name: string): string | undefined => {
    const mount = at(controller)
    return mount === undefined ? undefined : join(mount, common.place(path), name)
  }
  const set = async (controller: string, path: string, name: string, value: number | undefined): Promise<void> => {
    const target = file(controller, path, name)
    if (value !== undefined && target !== undefined) await writeFile(target, name === 'pids.max' && value < 0 ? 'max' : `${value}`)
  }
  const update = async (path: string, limits: CgroupLimits): Promise<void> => {
    await Promise.all([
      set('cpu', path, 'cpu.shares', limits.cpuShares),
      set('cpu', path, 'cpu.cfs_period_us', limits.cpuPeriodMicros).then(() => set('cpu', path, 'cpu.cfs_quota_us', limits.cpuQuotaMicros)),
      set('memory', path, 'memory.limit_in_bytes', limits.memoryLimitBytes),
      set('pids', path, 'pids.max', limits.pidsMax),
    ])
  }
  return {
    ...shared(common),
    version: 1,
    update,
    async create(path, limits) {
      await Promise.all(managed.map((mount) => mkdir(join(mount, common.place(path)), { recursive: true })))
      await update(path, limits)
    },
    async limits(path, leaf = '') {
      const own = (controller: string, name: string): Promise<number | undefined> => readNumber(file(controller, path, join(leaf, name)))
      const [cpuShares, cpuQuotaMicros, cpuPeriodMicros, memory, pidsMax] = await Promise.all([
        own('cpu', 'cpu.shares'),
        own('cpu', 'cpu.cfs_quota_us'),
        own('cpu', 'cpu.cfs_period_us'),
        own('memory', 'memory.limit_in_bytes'),
        own('pids', 'pids.max'),
      ])
      if (cpuShares === undefined && memory === undefined) return undefined
      const memoryLimitBytes = memory !== undefined && memory >= unlimitedBytes ? -1 : memory
      return { cpuShares, cpuQuotaMicros, cpuPeriodMicros, memoryLimitBytes, pidsMax: orNone(pidsMax) }
    },
    async usage(path, leaf = '') {
      const own = (controller: string, name: string): string | undefined => file(controller, path, join(leaf, name))
      const [cpu, memory, statText, tasks] = await Promise.all([
        readNumber(own('cpuacct', 'cpuacct.usage')),
        readNumber(own('memory', 'memory.usage_in_bytes')),
        readText(own('memory', 'memory.stat')),
        readNumber(own('pids', 'pids.current')),
      ])
      if (cpu === undefined && memory === undefined) return undefined
      const stat = parseFlat(statText)
      return usageOf(cpu ?? 0, memory ?? 0, tasks ?? 0, {
        inactiveFile: stat['total_inactive_file'],
        rss: stat['total_rss'],
        faults: stat['total_pgfault'],
        majorFaults: stat['total_pgmajfault'],
      })
    },
  }
}

function versionTwo(common: Common, root: string): Cgroups {
  const update = async (path: string, limits: CgroupLimits): Promise<void> => {
    const dir = join(root, common.place(path))
    const set = async (name: string, value: string | undefined): Promise<void> => {
      if (value !== undefined) await writeFile(join(dir, name), value)
    }
    const orMax = (value: number | undefined): string | undefined => (value === undefined ? undefined : value < 0 ? 'max' : `${value}`)
    const quota = orMax(limits.cpuQuotaMicros)
    await Promise.all([
      set('cpu.weight', limits.cpuShares === undefined ? undefined : `${cpuWeight(limits.cpuShares)}`),
      set('cpu.max', quota === undefined ? undefined : `${quota} ${limits.cpuPeriodMicros ?? 100_000}`),
      set('memory.max', orMax(limits.memoryLimitBytes)),
      set('pids.max', orMax(limits.pidsMax)),
    ])
  }
  return {
    ...shared(common),
    version: 2,
    update,
    async create(path, limits) {
      await mkdir(join(root, common.place(path)), { recursive: true })
      await delegateControllers(root, common.place(path))
      await update(path, limits)
    },
    async limits(path, leaf = '') {
      const dir = join(root, common.place(path), leaf)
      const [weight, cpuMax, memory, pidsMax] = await Promise.all([
        readNumber(join(dir, 'cpu.weight')),
        readText(join(dir, 'cpu.max')),
        readNumber(join(dir, 'memory.max')),
        readNumber(join(dir, 'pids.max')),
      ])
      if (cpuMax === undefined && memory === undefined) return undefined
      const [quota, period] = (cpuMax ?? 'max 100000').trim().split(' ').map(Number)
      return {
        cpuShares: weight === undefined ? undefined : sharesOf(weight),
        cpuQuotaMicros: orNone(quota),
        cpuPeriodMicros: period,
        memoryLimitBytes: orNone(memory),
        pidsMax: orNone(pidsMax),
      }
    },
    async usage(path, leaf = '') {
      const dir = join(root, common.place(path), leaf)
      const [cpuText, memory, statText, tasks] = await Promise.all([
        readText(join(dir, 'cpu.stat')),
        readNumber(join(dir, 'memory.current')),
        readText(join(dir, 'memory.stat')),
        readNumber(join(dir, 'pids.current')),
      ])
      if (cpuText === undefined && memory === undefined) return undefined
      const stat = parseFlat(statText)
      const cpu = (parseFlat(cpuText)['usage_usec'] ?? 0) * 1000
      return usageOf(cpu, memory ?? 0, tasks ?? 0, {
        inactiveFile: stat['inactive_file'],
        rss: stat['anon'],
        faults: stat['pgfault'],
        majorFaults: stat['pgmajfault'],
      })
    },
  }
}

/** Lets the children of every ancestor have the controllers that pods and containers need (cgroup-v2, "Controlling Controllers"). */
async function delegateControllers(root: string, path: string): Promise<void> {
  const available = new Set(((await readText(join(root, 'cgroup.controllers'))) ?? '').trim().split(' '))
  const wanted = ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'].filter((c) => available.has(c))
  let dir = root
  for (const component of ['', ...path.split('/').filter((c) => c !== '')]) {
    dir = join(dir, component)
    const enabled = new Set(((await readText(join(dir, 'cgroup.subtree_control'))) ?? '').trim().split(' '))
    const missing = wanted.filter((c) => !enabled.has(c))
    // The last one is where engines put containers: they delegate further themselves, but never above it.
    if (missing.length > 0) await writeFile(join(dir, 'cgroup.subtree_control'), missing.map((c) => `+${c}`).join(' '))
  }
}

function usageOf(
  cpuUsageNanoSeconds: number,
  memoryUsageBytes: number,
  tasks: number,
  stat: Record<'inactiveFile' | 'rss' | 'faults' | 'majorFaults', number | undefined>,
): CgroupUsage {
  return {
    cpuUsageNanoSeconds,
    memoryUsageBytes,
    memoryWorkingSetBytes: Math.max(0, memoryUsageBytes - (stat.inactiveFile ?? 0)),
    memoryRssBytes: stat.rss ?? 0,
    memoryPageFaults: stat.faults ?? 0,
    memoryMajorPageFaults: stat.majorFaults ?? 0,
    tasks,
  }
}

function parseFlat(text: string | undefined): Record<string, number | undefined> {
  const out: Record<string, number | undefined> = Object.create(null)
  for (const line of text?.split('\n') ?? []) {
    const space = line.indexOf(' ')
    if (space > 0) out[line.slice(0, space)] = Number(line.slice(space + 1))
  }
  return out
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  // ENODEV: the file was open while its cgroup went away.
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV'
}

async function readText(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

async function readNumber(path: string | undefined): Promise<number | undefined> {
  const text = await readText(path)
  return text === undefined ? undefined : Number(text.trim())
}

async function subdirectories(dir: string): Promise<string[] | undefined> {
  try {
    return (await readdir(dir, { withFileTypes: true })).filter((e) => e.isDirectory()).map((e) => e.name)
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

async function removeTree(dir: string): Promise<boolean> {
  const below = await subdirectories(dir)
  if (below === undefined) return true
  const results = await Promise.all(below.map((name) => removeTree(join(dir, name))))
  if (!results.every((gone) => gone)) return false
  try {
    await rmdir(dir)
    return true
  } catch (error) {
    if (isGone(error)) return true
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false
    throw error
  }
}

async function processesBelow(dir: string): Promise<number[]> {
  const below = await subdirectories(dir)
  if (below === undefined) return []
  const own = ((await readText(join(dir, 'cgroup.procs'))) ?? '').split('\n').filter((l) => l !== '')
  const deeper = await Promise.all(below.map((name) => processesBelow(join(dir, name))))
  return [...own.map(Number), ...deeper.flat()]
}

/** Where the process's own cgroup lies in the hierarchy that accounts memory (or the unified one); undefined when it is gone. */
export async function cgroupOfProcess(pid: number): Promise<string | undefined> {
  const text = await readText(`/proc/${pid}/cgroup`)
  const lines = (text ?? '').split('\n').map((l) => l.split(':'))
  const line = lines.find((l) => l[1]?.split(',').includes('memory')) ?? lines.find((l) => l[0] === '0')
  return line?.slice(2).join(':')
}
