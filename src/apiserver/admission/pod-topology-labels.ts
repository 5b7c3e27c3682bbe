// PodTopologyLabels: a pod bears the zone and region of its node, so that it may ask for them through the downward API (KEP-4742).
import type { Binding } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { labelRegion, labelZone } from '#api/nodes'
import type { LocalReader } from '../request.ts'
import type { AdmissionPlugin } from './plugin.ts'

export function podTopologyLabels({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'PodTopologyLabels',
    handles: (operation, kind, subresource) =>
      operation === 'CREATE' && kind.id === Pod.id && (subresource === '' || subresource === 'binding'),
    admit({ object, subresource }) {
      const { spec } = object as Pod
      const { target } = object as unknown as Binding
      const node = subresource === '' ? spec.nodeName : target?.kind === 'Node' ? target.name : undefined
      if (!node) return
      const labels = reader.get(Node, '', node)?.metadata.labels
      for (const name of [labelZone, labelRegion]) {
        const value = labels?.[name]
        if (value !== undefined) object!.metadata.labels = { ...object!.metadata.labels, [name]: value }
      }
    },
  }
}
