// ComponentStatuses: an old way to ask whether the control plane is well. What answers at all, answers Healthy.
import type { ComponentStatus } from '#api/generated/core-v1'
import type { Store } from '#storage/store'
import type { ComputedHandler } from './subresource.ts'

export function componentStatuses(store: Store): ComputedHandler {
  return {
    type: 'computed',
    group: '',
    resource: 'componentstatuses',
    subresource: '',
    async list() {
      const problem = await problemOf(store)
      return [component('controller-manager', undefined), component('etcd-0', problem), component('scheduler', undefined)]
    },
  }
}

async function problemOf(store: Store): Promise<string | undefined> {
  try {
    await store.currentRevision()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function component(name: string, problem: string | undefined): ComponentStatus {
  const condition = { type: 'Healthy', status: problem === undefined ? 'True' : 'False', message: problem ?? 'ok' } as const
  // Never stored: it has no more than a name.
  const metadata = { name } as ComponentStatus['metadata']
  return { apiVersion: 'v1', kind: 'ComponentStatus', metadata, conditions: [condition] }
}
