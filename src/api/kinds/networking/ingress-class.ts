// IngressClass of networking.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { validateDomainPrefixedPath } from '../../validation/domain-paths.ts'
import { forbidden, immutable, invalidEach, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, checkPathSegment, nameIsDnsLabel } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, none } from '../columns.ts'

export type IngressClass = networkingV1.IngressClass

const controllerBytesMax = 250

function validate({ spec }: IngressClass): FieldError[] {
  const errors: FieldError[] = []
  const controller = spec.controller ?? ''
  if (byteLength(controller) > controllerBytesMax) errors.push(tooLong('spec.controller', controllerBytesMax))
  errors.push(...validateDomainPrefixedPath(controller, 'spec.controller'))
  if (spec.parameters !== undefined) errors.push(...validateParameters(spec.parameters, 'spec.parameters'))
  return errors
}

function validateParameters(parameters: networkingV1.IngressClassParametersReference, path: string): FieldError[] {
  const { apiGroup, kind, name, scope, namespace } = parameters
  const errors: FieldError[] = []
  if (apiGroup !== undefined) errors.push(...invalidEach(`${path}.apiGroup`, apiGroup, checkDns1123Subdomain(apiGroup)))
  if (!kind) errors.push(required(`${path}.kind`))
  else errors.push(...invalidEach(`${path}.kind`, kind, checkPathSegment(kind)))
  if (!name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, name, checkPathSegment(name)))
  if (scope !== 'Cluster' && scope !== 'Namespace') {
    return [...errors, scope === undefined ? required(`${path}.scope`) : notSupported(`${path}.scope`, scope, ['Cluster', 'Namespace'])]
  }
  if (scope === 'Cluster') {
    if (namespace !== undefined) errors.push(forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"))
  } else if (namespace === undefined) errors.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"))
  else errors.push(...invalidEach(`${path}.namespace`, namespace, nameIsDnsLabel(namespace, false)))
  return errors
}

const defaultAnnotation = 'ingressclass.kubernetes.io/is-default-class'

function nameCell({ metadata }: IngressClass): string {
  return metadata.annotations?.[defaultAnnotation] === 'true' ? `${metadata.name} (default)` : metadata.name
}

function parametersCell({ spec }: IngressClass): string {
  const { parameters } = spec
  if (parameters === undefined) return none
  return `${parameters.kind}${parameters.apiGroup === undefined ? '' : `.${parameters.apiGroup}`}/${parameters.name}`
}

export const IngressClass = defineKind<IngressClass>('networking.k8s.io/v1/ingressclasses', {
  setDefaults({ spec }) {
    if (spec.parameters !== undefined) spec.parameters.scope ??= 'Cluster'
  },
  validate,
  validateUpdate: ({ spec }, old) => immutable('spec.controller', spec.controller ?? '', old.spec.controller ?? ''),
  columns: [
    column<IngressClass>('Name', nameCell, { format: 'name' }),
    column<IngressClass>('Controller', ({ spec }) => spec.controller ?? ''),
    column<IngressClass>('Parameters', parametersCell),
    ageColumn,
  ],
})
