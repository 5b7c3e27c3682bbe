// Addresses of the node's pod range that no pod has: connections to them fail at once (EHOSTUNREACH, or ICMP to who is elsewhere)
// instead of following the default route into a time-out. Each pod has a route of its own, which is longer and so always wins.
import type { Logger } from '#platform/log'
import { runChecked, runCommand } from '#platform/process'

// The last choice among routes for the same range: somebody else's is left in force, and ours is told by it.
const metric = '4294967295'

/** Refuses what is sent to addresses of the ranges without a route of their own. Repeatable. */
export async function refuseDeadAddresses(podCidrs: readonly string[], log: Logger): Promise<void> {
  for (const cidr of podCidrs) {
    try {
      await runChecked('ip', [familyOf(cidr), 'route', 'replace', 'unreachable', cidr, 'metric', metric])
    } catch (error) {
      log.warn('could not refuse connections to addresses without a pod: they will time out instead', { cidr, error })
    }
  }
}

/** Takes back what `refuseDeadAddresses` did for these ranges and for ranges within them. */
export async function acceptDeadAddresses(podCidrs: readonly string[]): Promise<void> {
  for (const cidr of podCidrs) {
    const { stdout } = await runCommand('ip', [familyOf(cidr), 'route', 'show', 'root', cidr, 'type', 'unreachable']).catch(() => ({
      stdout: '',
    }))
    for (const range of unreachableRanges(stdout)) {
      // It is an error when somebody was faster, which is as well.
      await runCommand('ip', [familyOf(cidr), 'route', 'del', 'unreachable', range, 'metric', metric])
    }
  }
}

/** The ranges of our routes, from what `ip route show type unreachable` prints. */
export function unreachableRanges(routes: string): string[] {
  return routes.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/)
    return words[0] === 'unreachable' && words[words.indexOf('metric') + 1] === metric ? [words[1] ?? ''] : []
  })
}

function familyOf(cidr: string): '-4' | '-6' {
  return cidr.includes(':') ? '-6' : '-4'
}
