// Keeps the default flow schemas and priority levels in being, and tells of schemas whose level does not exist. The mandatory ones
// are always brought back into line; the suggested ones as long as nobody took them over (annotation
// `apf.kubernetes.io/autoupdate-spec`); what an older version suggested goes.
import { isDeepStrictEqual } from 'node:util'
import type { Kind } from '#api/kind'
import { FlowSchema } from '#api/kinds/flowcontrol/flow-schema'
import { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import type { KubeObject } from '#api/object'
import { type Clock, timestamp } from '#base/clock'
import type { Client } from '#client/client'
import type { LocalReader } from '../request.ts'
import { isRace, runWhenChanged } from '../run-when-changed.ts'
import { autoUpdateAnnotation, type DefaultObject, defaultLevels, defaultSchemas, levelObject, schemaObject } from './default-objects.ts'

export interface MaintainDeps {
  readonly reader: LocalReader
  readonly client: Client
  /** Brings what is missing into being, past all that a request goes through. */
  readonly create: <T extends KubeObject>(kind: Kind<T>, object: T) => Promise<unknown>
  readonly clock: Clock
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}

/** Runs until the signal aborts; `first` is called when all is in order for the first time. */
export async function maintainFlowControl(deps: MaintainDeps, first: () => void): Promise<void> {
  const { reader, clock, signal } = deps
  await runWhenChanged({
    clock,
    subscribe: (changed) => [FlowSchema, PriorityLevelConfiguration].map((kind) => reader.onChange(kind, changed)),
    async round() {
      if (!(await maintainOnce(deps))) first()
      return undefined
    },
    onError: deps.onError,
    signal,
  })
}

/** One round of all that is to be done; whether there was something. */
export async function maintainOnce(deps: Omit<MaintainDeps, 'onError' | 'signal'>): Promise<boolean> {
  const { reader, client, clock } = deps
  const work = [
    ...planDefaults(deps, PriorityLevelConfiguration, defaultLevels, (wanted) => levelObject(wanted) as never),
    ...planDefaults(deps, FlowSchema, defaultSchemas, (wanted) => schemaObject(wanted) as never),
  ]
  const first = await Promise.allSettled(work.map((run) => run()))
  const statuses = reader.list(FlowSchema).flatMap((schema) => {
    const condition = danglingCondition(reader, schema, clock.now())
    if (condition === undefined) return []
    const conditions = [...(schema.status?.conditions ?? []).filter(({ type }) => type !== condition.type), condition]
    return [() => client.updateStatus(FlowSchema, { ...schema, status: { ...schema.status, conditions } } as never, { fieldManager })]
  })
  const second = await Promise.allSettled(statuses.map((run) => run()))
  for (const result of [...first, ...second]) if (result.status === 'rejected' && !isRace(result.reason)) throw result.reason
  return work.length + statuses.length > 0
}

const fieldManager = 'api-priority-and-fairness-config-consumer-v1'

function planDefaults<T extends KubeObject & { spec: unknown }>(
  { reader, client, create }: Pick<MaintainDeps, 'reader' | 'client' | 'create'>,
  kind: Kind<T>,
  defaults: readonly DefaultObject<unknown>[],
  objectOf: (wanted: never) => T,
): (() => Promise<unknown>)[] {
  const work: (() => Promise<unknown>)[] = []
  for (const wanted of defaults) {
    const object = objectOf(wanted as never)
    const old = reader.get(kind, '', wanted.name)
    if (old === undefined) {
      work.push(() => create(kind, object))
      continue
    }
    const next = inLine(old, object, wanted.mandatory)
    if (next !== undefined) work.push(() => client.update(kind, next as never))
  }
  for (const { metadata } of reader.list(kind)) {
    const name = metadata.name!
    if (metadata.annotations?.[autoUpdateAnnotation] !== 'true' || defaults.some((wanted) => wanted.name === name)) continue
    if (metadata.deletionTimestamp !== undefined) continue
    work.push(() => client.delete(kind, { namespace: '', name }, { preconditions: { uid: metadata.uid } }))
  }
  return work
}

/** What `old` should be written as; undefined when it is as it should be. */
export function inLine<T extends KubeObject & { spec: unknown }>(old: T, wanted: T, mandatory: boolean): T | undefined {
  const said = old.metadata.annotations?.[autoUpdateAnnotation]
  // Without a word: as it was made, it is the server's; once changed, it is somebody's.
  const keep = mandatory || (said === 'true' || said === 'false' ? said === 'true' : old.metadata.generation === 1)
  const annotation = String(keep)
  const sameSpec = !keep || specsAgree(old.spec, wanted.spec)
  if (said === annotation && sameSpec) return undefined
  return {
    ...old,
    metadata: { ...old.metadata, annotations: { ...old.metadata.annotations, [autoUpdateAnnotation]: annotation } },
    ...(sameSpec ? {} : { spec: wanted.spec }),
  }
}

// False and absent are the same here (clusterScope).
function specsAgree(a: unknown, b: unknown): boolean {
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_key, inner: unknown) => (inner === false ? undefined : inner)))
  return isDeepStrictEqual(plain(a), plain(b))
}

function danglingCondition(reader: LocalReader, { spec, status }: FlowSchema, nowMs: number) {
  const name = spec.priorityLevelConfiguration.name
  const dangling = reader.get(PriorityLevelConfiguration, '', name) === undefined
  const subject = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(name)}`
  const condition = {
    type: 'Dangling',
    status: dangling ? 'True' : 'False',
    reason: dangling ? 'NotFound' : 'Found',
    message: dangling ? `${subject} but there is no such object` : `${subject} and it exists`,
  }
  const old = status?.conditions?.find(({ type }) => type === condition.type)
  if (old?.status === condition.status && old.reason === condition.reason && old.message === condition.message) return undefined
  return { ...condition, lastTransitionTime: timestamp(nowMs) }
}
