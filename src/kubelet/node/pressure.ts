// Whether the node runs short of memory, disk or process ids, by Kubernetes' eviction signals and default thresholds. On large
// disks a percentage alone would call for help with plenty left, so a share counts up to an absolute amount.
import { readFile, statfs } from 'node:fs/promises'
import type { EvictionThresholds } from '../deps.ts'
import { memInfoBytes } from './node-facts.ts'

export const defaultThresholds: EvictionThresholds = {
  memoryAvailableBytes: 100 * 1024 * 1024,
  nodefsAvailablePercent: 10,
  nodefsInodesFreePercent: 5,
  imagefsAvailablePercent: 15,
}
const diskBytesMax = 2 * 1024 ** 3
const pidsFreePercentMin = 2

export interface FilesystemUse {
  readonly capacityBytes: number
  readonly availableBytes: number
  readonly inodes: number
  readonly inodesFree: number
}

export interface NodeUse {
  readonly memoryCapacityBytes: number
  readonly memoryAvailableBytes: number
  readonly nodefs: FilesystemUse
  readonly imagefs: FilesystemUse
  readonly pidsMax: number
  readonly pids: number
}

/** What is short, with the signal's own name and the threshold it crossed, for messages. */
export interface Shortage {
  readonly resource: 'memory' | 'ephemeral-storage' | 'inodes' | 'pids'
  readonly signal: string
  readonly thresholdText: string
  readonly availableText: string
}

export interface Pressure {
  readonly memory: Shortage | undefined
  readonly disk: Shortage | undefined
  readonly pid: Shortage | undefined
}

export async function measureNode(dataDir: string, imageDir: string): Promise<NodeUse> {
  const [memInfo, nodefs, imagefs, pidMax, loadavg] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    filesystemUse(dataDir),
    filesystemUse(imageDir).catch(() => filesystemUse(dataDir)),
    readFile('/proc/sys/kernel/pid_max', 'utf8').catch(() => '32768'),
    readFile('/proc/loadavg', 'utf8').catch(() => ''),
  ])
  return {
    memoryCapacityBytes: memInfoBytes(memInfo, 'MemTotal'),
    memoryAvailableBytes: memInfoBytes(memInfo, 'MemAvailable'),
    nodefs,
    imagefs,
    pidsMax: Number(pidMax.trim()),
    // The fourth field: runnable/total scheduling entities.
    pids: Number(loadavg.split(' ')[3]?.split('/')[1] ?? 0),
  }
}

async function filesystemUse(path: string): Promise<FilesystemUse> {
  const s = await statfs(path)
  return { capacityBytes: s.blocks * s.bsize, availableBytes: s.bavail * s.bsize, inodes: s.files, inodesFree: s.ffree }
}

export function pressureOf(use: NodeUse, thresholds: EvictionThresholds): Pressure {
  return {
    memory:
      use.memoryAvailableBytes < thresholds.memoryAvailableBytes
        ? shortage('memory', 'memory.available', use.memoryAvailableBytes, thresholds.memoryAvailableBytes)
        : undefined,
    disk:
      diskShortage('nodefs', use.nodefs, thresholds.nodefsAvailablePercent, thresholds.nodefsInodesFreePercent) ??
      diskShortage('imagefs', use.imagefs, thresholds.imagefsAvailablePercent, thresholds.nodefsInodesFreePercent),
    pid:
      use.pidsMax > 0 && (100 * (use.pidsMax - use.pids)) / use.pidsMax < pidsFreePercentMin
        ? { resource: 'pids', signal: 'pid.available', thresholdText: `${pidsFreePercentMin}%`, availableText: `${use.pidsMax - use.pids}` }
        : undefined,
  }
}

function diskShortage(name: string, use: FilesystemUse, bytesPercent: number, inodesPercent: number): Shortage | undefined {
  const bytesMin = Math.min((use.capacityBytes * bytesPercent) / 100, diskBytesMax)
  if (use.availableBytes < bytesMin) return shortage('ephemeral-storage', `${name}.available`, use.availableBytes, bytesMin)
  const inodesMin = (use.inodes * inodesPercent) / 100
  if (use.inodes > 0 && use.inodesFree < inodesMin) {
    const signal = `${name}.inodesFree`
    return { resource: 'inodes', signal, thresholdText: `${Math.floor(inodesMin)}`, availableText: `${use.inodesFree}` }
  }
  return undefined
}

function shortage(resource: Shortage['resource'], signal: string, available: number, threshold: number): Shortage {
  return { resource, signal, thresholdText: kibi(threshold), availableText: kibi(available) }
}

function kibi(bytes: number): string {
  return `${Math.floor(bytes / 1024)}Ki`
}
