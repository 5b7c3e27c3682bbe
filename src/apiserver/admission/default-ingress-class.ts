// DefaultIngressClass: an ingress that names no class gets the default one, the newest if there are several.
import { Ingress } from '#api/kinds/networking/ingress'
import { IngressClass } from '#api/kinds/networking/ingress-class'
import type { LocalReader } from '../request.ts'
import type { AdmissionPlugin } from './plugin.ts'

const defaultAnnotation = 'ingressclass.kubernetes.io/is-default-class'
const legacyAnnotation = 'kubernetes.io/ingress.class'

export function defaultIngressClass({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === Ingress.id && subresource === '',
    admit({ object }) {
      const ingress = object as Ingress
      if (ingress.spec.ingressClassName !== undefined || ingress.metadata.annotations?.[legacyAnnotation] !== undefined) return
      const defaults = reader.list(IngressClass).filter((c) => c.metadata.annotations?.[defaultAnnotation] === 'true')
      const [newest] = [...defaults].sort(({ metadata: a }, { metadata: b }) =>
        a.creationTimestamp === b.creationTimestamp ? (a.name < b.name ? -1 : 1) : a.creationTimestamp < b.creationTimestamp ? 1 : -1,
      )
      if (newest !== undefined) ingress.spec.ingressClassName = newest.metadata.name
    },
  }
}
