// Node ports: a bitmap in the store, one key as Kubernetes has it, that every allocation rewrites with compare-and-write. So two
// API servers never give one port to two services.
import { internalError } from '#api/errors'
import type { Random } from '#base/random'
import type { Store, Write } from '#storage/store'

export interface PortRange {
  readonly from: number
  readonly to: number
}

export const nodePortsKey = '/registry/ranges/servicenodeports'

/** The bitmap as read, with what was taken and given back since. */
export interface PortBitmap {
  readonly range: PortRange
  has(port: number): boolean
  /** Whether the port may be given out at all. */
  inRange(port: number): boolean
  add(port: number): void
  delete(port: number): void
  /** A free port, added; throws InternalError when there is none. */
  take(): number
  /** The write that records the changes; undefined when there are none. */
  write(): Write | undefined
}

export interface NodePorts {
  readonly range: PortRange
  /** The bitmap as it stands in the store. */
  read(): Promise<PortBitmap>
}

interface StoredBitmap {
  readonly kind: 'RangeAllocation'
  readonly apiVersion: 'v1'
  readonly metadata: Record<string, never>
  readonly range: string
  readonly data: string
}

export function createNodePorts(store: Store, range: PortRange, random: Random): NodePorts {
  const size = range.to - range.from + 1
  // As with addresses, the lower part is left to those who choose ports themselves.
  const reserved = size < 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128)
  const name = `${range.from}-${range.to}`
  return {
    range,
    async read() {
      const stored = await store.get(nodePortsKey)
      const ports = stored === undefined ? new Set<number>() : readBitmap(stored.value, range)
      let changed = false
      const inRange = (port: number): boolean => port >= range.from && port <= range.to
      const set = (port: number, taken: boolean): void => {
        if (!inRange(port) || ports.has(port) === taken) return
        if (taken) ports.add(port)
        else ports.delete(port)
        changed = true
      }
      return {
        range,
        has: (port) => ports.has(port),
        inRange,
        add: (port) => set(port, true),
        delete: (port) => set(port, false),
        take() {
          const port = free(ports, range.from + reserved, range.to, random) ?? free(ports, range.from, range.from + reserved - 1, random)
          if (port === undefined) throw internalError('failed to allocate a nodePort: range is full')
          set(port, true)
          return port
        },
        write() {
          if (!changed) return undefined
          const value = writeBitmap(ports, range, name)
          return { key: nodePortsKey, value, expectedModRevision: stored?.modRevision ?? 0 }
        },
      }
    },
  }
}

function free(taken: ReadonlySet<number>, from: number, to: number, random: Random): number | undefined {
  const size = to - from + 1
  if (size <= 0) return undefined
  const start = Math.floor(random() * size)
  for (let i = 0; i < size; i++) {
    const port = from + ((start + i) % size)
    if (!taken.has(port)) return port
  }
  return undefined
}

// Kubernetes keeps the bytes of a big integer: most significant byte first, bit n for the n-th port.
function readBitmap(value: Buffer, range: PortRange): Set<number> {
  const stored = JSON.parse(value.toString()) as StoredBitmap
  const bytes = Buffer.from(stored.data, 'base64')
  const start = Number(stored.range.split('-')[0])
  const ports = new Set<number>()
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[bytes.length - 1 - i]!
    for (let bit = 0; bit < 8; bit++) {
      const port = start + i * 8 + bit
      // Ports of a former range that are not in this one are no longer ours to keep.
      if ((byte & (1 << bit)) !== 0 && port >= range.from && port <= range.to) ports.add(port)
    }
  }
  return ports
}

function writeBitmap(ports: ReadonlySet<number>, range: PortRange, name: string): Buffer {
  const bytes = Buffer.alloc(Math.ceil((range.to - range.from + 1) / 8))
  for (const port of ports) {
    const offset = port - range.from
    const at = bytes.length - 1 - (offset >> 3)
    bytes[at] = bytes[at]! | (1 << (offset & 7))
  }
  let first = 0
  while (first < bytes.length && bytes[first] === 0) first++
  const stored: StoredBitmap = {
    kind: 'RangeAllocation',
    apiVersion: 'v1',
    metadata: {},
    range: name,
    data: bytes.subarray(first).toString('base64'),
  }
  return Buffer.from(JSON.stringify(stored))
}
