// TaintNodesByCondition: a new node takes no pods until it is known to be ready.
import { Node } from '#api/kinds/core/node'
import { hasTaint, taintNotReady } from '#api/taints'
import type { AdmissionPlugin } from './plugin.ts'

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === Node.id && subresource === '',
  admit({ object }) {
    const { spec } = object as Node
    const taint = { key: taintNotReady, effect: 'NoSchedule' as const }
    if (!hasTaint(spec.taints, taint)) spec.taints = [...(spec.taints ?? []), taint]
  },
}
