// DefaultTolerationSeconds: pods stay for five minutes on a node that is not ready or unreachable, unless they say otherwise.
import { Pod } from '#api/kinds/core/pod'
import { taintNotReady, taintUnreachable } from '#api/taints'
import type { AdmissionPlugin } from './plugin.ts'

const tolerationSeconds = 300

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: (operation, kind, subresource) => (operation === 'CREATE' || operation === 'UPDATE') && kind.id === Pod.id && subresource === '',
  admit({ object }) {
    const pod = object as Pod
    for (const key of [taintNotReady, taintUnreachable]) {
      const { tolerations } = pod.spec
      const tolerated = tolerations?.some((t) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect))
      if (!tolerated) {
        const added = { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds } as const
        pod.spec = { ...pod.spec, tolerations: [...(tolerations ?? []), added] }
      }
    }
  },
}
