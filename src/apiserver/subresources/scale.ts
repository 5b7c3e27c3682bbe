// scale: the number of replicas of anything that has one, as an autoscaling/v1 Scale. Where it reads and writes, the kind says.

import { internalError, invalid } from '#api/errors'
import type { Scale } from '#api/generated/autoscaling-v1'
import type { Column, Kind } from '#api/kind'
import { ageColumn, countColumn, nameColumn } from '#api/kinds/columns'
import type { KubeObject } from '#api/object'
import { invalid as invalidField } from '#api/validation/field-errors'
import type { ViewHandler } from './subresource.ts'

const viewKind = { apiVersion: 'autoscaling/v1', kind: 'Scale' }
const columns: readonly Column[] = [
  nameColumn,
  countColumn<Scale>('Desired', ({ spec }) => spec?.replicas),
  countColumn<Scale>('Available', ({ status }) => status?.replicas),
  ageColumn,
]
const handlers = new WeakMap<Kind, ViewHandler>()

/** The scale view of a kind; undefined when it has none. */
export function scaleHandler(kind: Kind): ViewHandler | undefined {
  const { scale } = kind.strategy
  if (scale === undefined) return undefined
  let handler = handlers.get(kind)
  if (handler === undefined) {
    handler = makeHandler(kind, scale)
    handlers.set(kind, handler)
  }
  return handler
}

function makeHandler(kind: Kind, { specReplicas, statusReplicas, selector }: NonNullable<Kind['strategy']['scale']>): ViewHandler {
  return {
    type: 'view',
    group: kind.group,
    resource: kind.resource,
    subresource: 'scale',
    viewKind,
    columns,
    read(parent) {
      const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata
      const text = selector(parent)
      const scale: Scale = {
        ...viewKind,
        metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
        spec: { replicas: numberAt(parent, specReplicas) },
        status: { replicas: numberAt(parent, statusReplicas), ...(text === '' ? {} : { selector: text }) },
      }
      return scale
    },
    checkRead(parent) {
      if (!kind.custom || valueAt(parent, specReplicas) !== undefined) return
      throw internalError(`the spec replicas field ".${specReplicas}" does not exist`)
    },
    asParent({ metadata, ...view }, parent) {
      const configuration = { apiVersion: parent.apiVersion, kind: parent.kind, metadata: { ...metadata } }
      const replicas = (view as Partial<Scale>).spec?.replicas
      if (replicas !== undefined) setAt(configuration as unknown as KubeObject, specReplicas, replicas)
      return configuration
    },
    write(parent, view) {
      const replicas = (view as Scale).spec?.replicas ?? 0
      if (replicas < 0) {
        const errors = [invalidField('spec.replicas', replicas, 'must be greater than or equal to 0')]
        throw invalid({ group: 'autoscaling', kind: 'Scale' }, parent.metadata.name, errors)
      }
      setAt(parent, specReplicas, replicas)
    },
  }
}

function valueAt(object: KubeObject, path: string): unknown {
  let value: unknown = object
  for (const name of path.split('.').filter((part) => part !== '')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function numberAt(object: KubeObject, path: string): number {
  const value = valueAt(object, path)
  return typeof value === 'number' ? value : 0
}

function setAt(object: KubeObject, path: string, value: number): void {
  const names = path.split('.').filter((part) => part !== '')
  const last = names.pop()!
  let at = object as unknown as Record<string, unknown>
  for (const name of names) {
    if (typeof at[name] !== 'object' || at[name] === null) at[name] = {}
    at = at[name] as Record<string, unknown>
  }
  at[last] = value
}
