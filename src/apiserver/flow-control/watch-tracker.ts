// Which watches are open, so that a write can be charged for those that it concerns. Watches are alike when they are of one
// resource, namespace and name; selectors have to be looked at for each event anyway.
import type { ApiRequest, RequestInfo } from '../request.ts'

export interface WatchTracker {
  /** Counts a watch; returns what ends that. */
  register(request: ApiRequest): () => void
  /** How many watches are told of what a write to this changes. */
  interested(info: RequestInfo): number
}

const forgotten = (): void => undefined

export function createWatchTracker(): WatchTracker {
  const counts = new Map<string, number>()
  const keyOf = (group: string, resource: string, namespace: string, name: string): string =>
    namespace === '' && name === '' ? `${group}/${resource}` : `${group}/${resource}/${namespace}/${name}`
  return {
    register({ info, query }) {
      // Pods are told to the watches of their node by an index: those of other nodes cost nothing.
      if (info.resource === 'pods' && namesNode(query.get('fieldSelector'))) return forgotten
      const key = keyOf(info.group, info.resource, info.namespace, info.name)
      counts.set(key, (counts.get(key) ?? 0) + 1)
      return () => {
        const left = counts.get(key)! - 1
        if (left === 0) counts.delete(key)
        else counts.set(key, left)
      }
    },
    interested({ group, resource, namespace, name }) {
      let sum = counts.get(keyOf(group, resource, '', '')) ?? 0
      if (namespace !== '') sum += counts.get(keyOf(group, resource, namespace, '')) ?? 0
      if (name !== '') sum += counts.get(keyOf(group, resource, namespace, name)) ?? 0
      return sum
    },
  }
}

function namesNode(selector: string | null): boolean {
  return selector !== null && /(?:^|,)spec\.nodeName==?[^,=]/.test(selector)
}
