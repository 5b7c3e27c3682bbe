// Which services a pod's change concerns: those whose selector matches it now or matched it before.
import type { Pod as PodObject, Service as ServiceObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { hasLabels } from '#api/label-selectors'
import { type KubeObject, keyOf } from '#api/object'
import { isPodReady } from '#api/pods'
import type { Cache, Watch } from '#client/controller'

/** The index of services by one pair of their selector, which the cache must have: whoever has all pairs has that one. */
export const servicesByLabel = 'selectorPair'

export function selectorPair(service: object): readonly string[] {
  const { metadata, spec } = service as ServiceObject
  const [pair] = Object.entries(spec.selector ?? {})
  return pair === undefined ? [] : [`${metadata.namespace}/${pair[0]}=${pair[1]}`]
}

/** A watch of pods that queues the services they stand behind. */
export const watchPodsOfServices: Watch = {
  kind: Pod,
  when: (pod, old) => old === undefined || matters(pod as PodObject, old as PodObject),
  keysOf(pod, old, cache) {
    const keys = new Set<string>()
    const services = cache.informer(Service)
    for (const { metadata } of old === undefined ? [pod] : [pod, old]) {
      for (const [name, value] of Object.entries(metadata.labels ?? {})) {
        for (const service of services.byIndex(servicesByLabel, `${metadata.namespace}/${name}=${value}`))
          if (hasLabels(metadata.labels, service.spec.selector)) keys.add(keyOf(service))
      }
    }
    return [...keys]
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
