// Whole objects for tests from the few fields that matter to them: metadata, spec and status as an API server would have filled them.
import type { Kind } from '#api/kind'
import type { KubeObject, Manifest } from '#api/object'
import { deepFreeze } from './reflector.ts'

let made = 0

/** A frozen object of the kind, defaulted. Without a name it gets one of its own; its uid is `uid-<name>`. */
export function makeObject<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): T {
  const given = structuredClone(manifest) as Partial<KubeObject> & Record<string, unknown>
  const name = given.metadata?.name ?? `${kind.singular}-${++made}`
  const object = {
    ...given,
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: {
      name,
      ...(kind.namespaced ? { namespace: 'default' } : {}),
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...given.metadata,
    },
  } as unknown as T & { spec?: object; status?: object }
  if (kind.strategy.hasGeneration !== false && 'spec' in given) object.status ??= {}
  kind.strategy.setDefaults?.(object)
  return deepFreeze(object) as T
}
