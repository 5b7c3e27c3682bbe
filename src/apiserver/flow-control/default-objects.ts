// The flow schemas and priority levels that every cluster has (KEP-1040): the mandatory ones always say what stands here, the
// suggested ones until somebody takes them over.
import type * as flowcontrolV1 from '#api/generated/flowcontrol-v1'
import { FlowSchema } from '#api/kinds/flowcontrol/flow-schema'
import { mandatoryLevels, mandatorySchemas } from '#api/kinds/flowcontrol/mandatory'
import { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'

export type LevelSpec = flowcontrolV1.PriorityLevelConfigurationSpec
export type SchemaSpec = flowcontrolV1.FlowSchemaSpec

/** "true": the server keeps the spec as it is here; "false": people do as they like. */
export const autoUpdateAnnotation = 'apf.kubernetes.io/autoupdate-spec'

export interface DefaultObject<Spec> {
  readonly name: string
  readonly mandatory: boolean
  readonly spec: Spec
}

function queued(shares: number, lendablePercent: number, queues: number, handSize: number): LevelSpec {
  return {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      lendablePercent,
      limitResponse: { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } },
    },
  }
}

const level = (name: string, spec: LevelSpec, mandatory = false): DefaultObject<LevelSpec> => ({ name, mandatory, spec })

export const exemptLevel = level('exempt', mandatoryLevels.exempt, true)
export const catchAllLevel = level('catch-all', mandatoryLevels['catch-all'], true)

export const defaultLevels: readonly DefaultObject<LevelSpec>[] = [
  catchAllLevel,
  exemptLevel,
  level('system', queued(30, 33, 64, 6)),
  level('node-high', queued(40, 25, 64, 6)),
  level('leader-election', queued(10, 0, 16, 4)),
  level('workload-high', queued(40, 50, 128, 6)),
  level('workload-low', queued(100, 90, 128, 6)),
  level('global-default', queued(20, 50, 128, 6)),
]

type Subject = flowcontrolV1.Subject
type Rule = flowcontrolV1.PolicyRulesWithSubjects

const groups = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'Group', group: { name } }))
const users = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'User', user: { name } }))
const systemAccounts: Subject[] = [{ kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: 'kube-system' } }]

const everyResource = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }
const everyPath = { verbs: ['*'], nonResourceURLs: ['*'] }
const everything = (subjects: Subject[]): Rule[] => [{ subjects, resourceRules: [everyResource], nonResourceRules: [everyPath] }]
const leases = (verbs: string[]) => ({ verbs, apiGroups: ['coordination.k8s.io'], resources: ['leases'], namespaces: ['*'] })
const anybody = groups('system:unauthenticated', 'system:authenticated')

function schema(
  name: string,
  levelName: string,
  matchingPrecedence: number,
  distinguisher: 'ByUser' | 'ByNamespace' | undefined,
  rules: Rule[],
): DefaultObject<SchemaSpec> {
  const spec: SchemaSpec = {
    priorityLevelConfiguration: { name: levelName },
    matchingPrecedence,
    ...(distinguisher === undefined ? {} : { distinguisherMethod: { type: distinguisher } }),
    rules,
  }
  return { name, mandatory: false, spec }
}

export const exemptSchema: DefaultObject<SchemaSpec> = { name: 'exempt', mandatory: true, spec: mandatorySchemas.exempt }
export const catchAllSchema: DefaultObject<SchemaSpec> = { name: 'catch-all', mandatory: true, spec: mandatorySchemas['catch-all'] }

export const defaultSchemas: readonly DefaultObject<SchemaSpec>[] = [
  exemptSchema,
  catchAllSchema,
  schema('system-nodes', 'system', 500, 'ByUser', everything(groups('system:nodes'))),
  schema('system-node-high', 'node-high', 400, 'ByUser', [
    {
      subjects: groups('system:nodes'),
      resourceRules: [{ ...everyResource, apiGroups: [''], resources: ['nodes', 'nodes/status'] }, leases(['*'])],
    },
  ]),
  schema('probes', 'exempt', 2, undefined, [
    { subjects: anybody, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }] },
  ]),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', [
    {
      subjects: [...users('system:kube-controller-manager', 'system:kube-scheduler'), ...systemAccounts],
      resourceRules: [leases(['get', 'create', 'update'])],
    },
  ]),
  schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', everything(users('system:kube-controller-manager'))),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', everything(users('system:kube-scheduler'))),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everything(systemAccounts)),
  schema('service-accounts', 'workload-low', 9_000, 'ByUser', everything(groups('system:serviceaccounts'))),
  schema('global-default', 'global-default', 9_900, 'ByUser', everything(anybody)),
]

/** A default as the object to be created. */
export function levelObject({ name, spec }: DefaultObject<LevelSpec>) {
  return { apiVersion: PriorityLevelConfiguration.apiVersion, kind: PriorityLevelConfiguration.kind, metadata: metadataOf(name), spec }
}

export function schemaObject({ name, spec }: DefaultObject<SchemaSpec>) {
  return { apiVersion: FlowSchema.apiVersion, kind: FlowSchema.kind, metadata: metadataOf(name), spec }
}

function metadataOf(name: string) {
  return { name, annotations: { [autoUpdateAnnotation]: 'true' } }
}
