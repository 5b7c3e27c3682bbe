// Which services a pod's change concerns: those whose selector matches it now or matched it before.
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { hasLabels } from '#api/label-selectors'
import { type KubeObject, keyOf } from '#api/object'
import { isPodReady } from '#api/pods'
import type { Cache, Watch } from '#client/controller'

/** A watch of pods that queues the services they stand behind. */
export const watchPodsOfServices: Watch = {
  kind: Pod,
  when: (pod, old) => old === undefined || matters(pod as PodObject, old as PodObject),
  keysOf(pod, old, cache) {
    const keys: string[] = []
    for (const service of cache.list(Service, pod.metadata.namespace)) {
      const { selector } = service.spec
      if (selector === undefined || Object.keys(selector).length === 0) continue
      if (hasLabels(pod.metadata.labels, selector) || (old !== undefined && hasLabels(old.metadata.labels, selector)))
        keys.push(keyOf(service))
    }
    return keys
  },
}

// A pod's status changes often; only these parts concern its services.
function matters(pod: PodObject, old: PodObject): boolean {
  return (
    isPodReady(pod) !== isPodReady(old) ||
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    pod.status.phase !== old.status.phase ||
    pod.spec.nodeName !== old.spec.nodeName ||
    JSON.stringify(pod.status.podIPs) !== JSON.stringify(old.status.podIPs) ||
    JSON.stringify(pod.metadata.labels) !== JSON.stringify(old.metadata.labels)
  )
}

export function podsOf(
  service: { metadata: KubeObject['metadata']; spec: { selector?: Record<string, string> } },
  cache: Cache,
): readonly PodObject[] {
  return cache.list(Pod, service.metadata.namespace).filter((pod) => hasLabels(pod.metadata.labels, service.spec.selector))
}
