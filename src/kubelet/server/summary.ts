// GET /stats/summary: the node's and its pods' use of CPU, memory and disk, as the Summary API has it
// (kubernetes/kubelet: stats/v1alpha1).
import { timestamp } from '#base/clock'
import type { NodeUsage, PodUsage } from './usage.ts'

export function summary(nodeName: string, usage: NodeUsage, startedAt: number): unknown {
  const time = timestamp(usage.at)
  const fs = {
    time,
    availableBytes: usage.fs.availableBytes,
    capacityBytes: usage.fs.capacityBytes,
    usedBytes: usage.fs.capacityBytes - usage.fs.availableBytes,
    inodesFree: usage.fs.inodesFree,
    inodes: usage.fs.inodes,
    inodesUsed: usage.fs.inodes - usage.fs.inodesFree,
  }
  const imageFs = {
    time,
    availableBytes: usage.imageFs.availableBytes,
    capacityBytes: usage.imageFs.capacityBytes,
    usedBytes: usage.imageFs.usedBytes,
  }
  return {
    node: {
      nodeName,
      startTime: timestamp(startedAt),
      cpu: { time, ...rated(usage.cpuNanoCores), usageCoreNanoSeconds: usage.cpuUsageNanoSeconds },
      memory: {
        time,
        availableBytes: usage.memoryAvailableBytes,
        usageBytes: usage.memoryUsedBytes,
        workingSetBytes: usage.memoryWorkingSetBytes,
      },
      fs,
      runtime: { imageFs, containerFs: imageFs },
    },
    pods: usage.pods.map((pod) => podSummary(pod, time)),
  }
}

function podSummary(usage: PodUsage, time: string): unknown {
  const sum = (of: (c: PodUsage['containers'][number]) => number): number => usage.containers.reduce((total, c) => total + of(c), 0)
  return {
    podRef: { name: usage.name, namespace: usage.namespace, uid: usage.uid },
    startTime: time,
    containers: usage.containers.map((c) => ({
      name: c.name,
      startTime: time,
      cpu: { time: timestamp(c.timestamp), ...rated(c.cpuNanoCores), usageCoreNanoSeconds: c.cpuUsageNanoSeconds },
      memory: {
        time: timestamp(c.timestamp),
        usageBytes: c.memoryUsageBytes,
        workingSetBytes: c.memoryWorkingSetBytes,
        rssBytes: c.memoryRssBytes,
        pageFaults: c.memoryPageFaults,
        majorPageFaults: c.memoryMajorPageFaults,
      },
      rootfs: { time: timestamp(c.timestamp), usedBytes: c.rootfsUsedBytes, inodesUsed: c.rootfsInodesUsed },
    })),
    cpu: {
      time,
      ...rated(usage.pod?.cpuNanoCores),
      usageCoreNanoSeconds: usage.pod?.cpuUsageNanoSeconds ?? sum((c) => c.cpuUsageNanoSeconds),
    },
    memory: {
      time,
      usageBytes: usage.pod?.memoryUsageBytes ?? sum((c) => c.memoryUsageBytes),
      workingSetBytes: usage.pod?.memoryWorkingSetBytes ?? sum((c) => c.memoryWorkingSetBytes),
      rssBytes: usage.pod?.memoryRssBytes ?? sum((c) => c.memoryRssBytes),
    },
    'ephemeral-storage': { time, usedBytes: sum((c) => c.rootfsUsedBytes), inodesUsed: sum((c) => c.rootfsInodesUsed) },
    ...(usage.pod === undefined ? {} : { process_stats: { process_count: usage.pod.tasks } }),
  }
}

function rated(nanoCores: number | undefined): { usageNanoCores?: number } {
  return nanoCores === undefined ? {} : { usageNanoCores: nanoCores }
}
