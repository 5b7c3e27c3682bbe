// What the flow schemas and priority levels say that no cluster can do without (KEP-1040): requests of administrators never
// wait, and every request belongs somewhere. They may not say anything else.
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'

const everything = (...groups: string[]): flowcontrolV1.PolicyRulesWithSubjects[] => [
  {
    subjects: groups.map((name) => ({ kind: 'Group', group: { name } })),
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  },
]

export const mandatorySchemas = {
  exempt: {
    priorityLevelConfiguration: { name: 'exempt' },
    matchingPrecedence: 1,
    rules: everything('system:masters'),
  },
  'catch-all': {
    priorityLevelConfiguration: { name: 'catch-all' },
    matchingPrecedence: 10_000,
    distinguisherMethod: { type: 'ByUser' },
    rules: everything('system:unauthenticated', 'system:authenticated'),
  },
} satisfies Record<string, flowcontrolV1.FlowSchemaSpec>

export const mandatoryLevels = {
  exempt: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  'catch-all': {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
  },
} satisfies Record<string, flowcontrolV1.PriorityLevelConfigurationSpec>

/** The entry of one of the tables above. */
export function mandatory<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
