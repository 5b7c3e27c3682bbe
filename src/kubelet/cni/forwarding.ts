// Where somebody set the node to drop what it forwards (Docker does), pods need leave to be reached: their range is accepted in
// that chain. Accepting in a table of ours would not help, since every table's drop is final.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Logger } from '#platform/log'

const run = promisify(execFile)

/** Accepts forwarding from and to the ranges, where the policy of FORWARD is DROP. Repeatable. */
export async function applyForwarding(clusterName: string, podCidrs: readonly string[], log: Logger): Promise<void> {
  for (const cidr of podCidrs) {
    const iptables = cidr.includes(':') ? 'ip6tables' : 'iptables'
    try {
      const { stdout } = await run(iptables, ['-w', '-S', 'FORWARD'])
      if (!stdout.includes('-P FORWARD DROP')) continue
      for (const rule of rulesFor(clusterName, cidr)) {
        await run(iptables, ['-w', '-C', 'FORWARD', ...rule]).catch(() => run(iptables, ['-w', '-I', 'FORWARD', ...rule]))
      }
    } catch (error) {
      // No iptables on the machine: then nobody set such a policy with it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log.warn('could not read the forwarding policy', { error })
    }
  }
}

/** Takes back what `applyForwarding` did for this cluster, whatever its ranges were. */
export async function removeForwarding(clusterName: string): Promise<void> {
  for (const iptables of ['iptables', 'ip6tables']) {
    // No iptables on the machine: nothing was done with it.
    const { stdout } = await run(iptables, ['-w', '-S', 'FORWARD']).catch(() => ({ stdout: '' }))
    for (const cidr of acceptedRanges(stdout, clusterName)) {
      for (const rule of rulesFor(clusterName, cidr)) {
        // It is an error when the rule is not there, which is what is wanted.
        await run(iptables, ['-w', '-D', 'FORWARD', ...rule]).catch(() => undefined)
      }
    }
  }
}

/** Ranges that were accepted for a cluster, from what `iptables -S FORWARD` prints. */
export function acceptedRanges(rules: string, clusterName: string): string[] {
  const ours = rules.split('\n').filter((line) => line.includes(`--comment "${commentOf(clusterName)}"`))
  return [...new Set(ours.flatMap((line) => /(?:-s|-d) (\S+)/.exec(line)?.[1] ?? []))]
}

function commentOf(clusterName: string): string {
  return `navarch ${clusterName} pods`
}

function rulesFor(clusterName: string, cidr: string): string[][] {
  const mark = ['-m', 'comment', '--comment', commentOf(clusterName), '-j', 'ACCEPT']
  return [
    ['-s', cidr, ...mark],
    ['-d', cidr, ...mark],
  ]
}
