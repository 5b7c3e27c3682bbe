// Keeps cluster roles that are the sum of others (`aggregationRule`) equal to that sum, whenever a cluster role changes.
import { isDeepStrictEqual } from 'node:util'
import type { PolicyRule } from '#api/generated/rbac-v1'
import { ClusterRole } from '#api/kinds/rbac/cluster-role'
import { labelMatcher } from '#api/label-selectors'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'
import type { LocalReader } from '../request.ts'
import { runWhenChanged } from '../run-when-changed.ts'

/** The rules of all roles that `role` selects, by name, each rule once. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const byName = [...all].sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1))
  const rules: PolicyRule[] = []
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    const matches = labelMatcher(selector)
    for (const other of byName) {
      if (other.metadata.name === role.metadata.name || !matches(other.metadata.labels)) continue
      for (const rule of other.rules ?? []) if (!rules.some((known) => isDeepStrictEqual(known, rule))) rules.push(rule)
    }
  }
  return rules
}

/** Runs until the signal aborts. */
export async function runRoleAggregation({
  reader,
  client,
  clock,
  onError,
  signal,
}: {
  reader: LocalReader
  client: Client
  clock: Clock
  onError: (error: unknown) => void
  signal: AbortSignal
}): Promise<void> {
  await runWhenChanged({
    clock,
    subscribe: (changed) => [reader.onChange(ClusterRole, changed)],
    async round() {
      await aggregateOnce(reader, client)
      return undefined
    },
    onError,
    signal,
  })
}

/** One round; a role that sums up sums (admin: edit: view) is right after as many rounds as there are steps. */
export async function aggregateOnce(reader: LocalReader, client: Client): Promise<void> {
  const all = reader.list(ClusterRole)
  for (const role of all) {
    if (role.aggregationRule === undefined || role.metadata.deletionTimestamp !== undefined) continue
    const rules = aggregatedRules(role, all)
    if (!isDeepStrictEqual(rules, role.rules ?? [])) await client.update(ClusterRole, { ...role, rules } as never)
  }
}
