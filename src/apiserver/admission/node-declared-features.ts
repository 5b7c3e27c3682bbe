// NodeDeclaredFeatureValidator: an update of a pod asks nothing of its node that the node has not declared to be capable of.
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { isSidecar } from '#api/resources'
import { semanticEqual } from '#api/validation/field-errors'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, admissionForbidden } from './plugin.ts'

// Features, and which updates need them; in the order in which they are told of.
const features: readonly (readonly [name: string, needed: (pod: Pod, old: Pod) => boolean])[] = [
  ['InPlacePodLevelResourcesVerticalScaling', (pod, old) => !semanticEqual(pod.spec.resources, old.spec.resources)],
  ['InPlacePodVerticalScalingInitContainers', initContainersChange],
]

export function nodeDeclaredFeatures({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'NodeDeclaredFeatureValidator',
    handles: (operation, kind, subresource) =>
      operation === 'UPDATE' && kind.id === Pod.id && (subresource === '' || subresource === 'resize'),
    validate(request) {
      const [pod, old] = [request.object as Pod, request.old as Pod]
      const { nodeName } = pod.spec
      // The generation grows with each change of the spec.
      if (!nodeName || pod.metadata.generation === old.metadata.generation) return
      const needed = features.filter(([, of]) => of(pod, old)).map(([name]) => name)
      if (needed.length === 0) return
      const node = reader.get(Node, '', nodeName)
      if (node === undefined) throw admissionForbidden(request, `node "${nodeName}" not found`)
      const lacking = needed.filter((name) => node.status?.declaredFeatures?.includes(name) !== true)
      if (lacking.length === 0) return
      const why = `pod update requires features ${lacking.join(', ')} which are not available on node "${nodeName}"`
      throw admissionForbidden(request, why)
    },
  }
}

// Only what runs to its end: sidecars are resized as containers are.
function initContainersChange({ spec }: Pod, old: Pod): boolean {
  return (old.spec.initContainers ?? []).some(
    (container, i) => !isSidecar(container) && !semanticEqual(container.resources, spec.initContainers?.[i]?.resources),
  )
}
