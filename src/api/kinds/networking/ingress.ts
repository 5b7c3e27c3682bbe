// Ingress of networking.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { parseIp } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { validateLegacyIp, warningsForIp } from '../../validation/ip.ts'
import {
  checkDns1123Subdomain,
  checkPathSegment,
  checkPortName,
  checkPortNumber,
  checkWildcardDns1123Subdomain,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
} from '../../validation/names.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'

export type Ingress = networkingV1.Ingress

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix']
const badSequences = ['//', '/./', '/../', '%2f', '%2F']
const badEndings = ['/..', '/.']

function checkHost(host: string): string[] {
  return host.includes('*') ? checkWildcardDns1123Subdomain(host) : checkDns1123Subdomain(host)
}

function validate({ spec }: Ingress): FieldError[] {
  const errors: FieldError[] = []
  const rules = spec.rules ?? []
  if (rules.length === 0 && spec.defaultBackend === undefined) {
    errors.push(invalid('spec', spec.rules, 'either `defaultBackend` or `rules` must be specified'))
  }
  if (spec.defaultBackend !== undefined) errors.push(...validateBackend(spec.defaultBackend, 'spec.defaultBackend'))
  for (const [i, rule] of rules.entries()) errors.push(...validateRule(rule, `spec.rules[${i}]`))
  for (const [i, { hosts, secretName }] of (spec.tls ?? []).entries()) {
    for (const [j, host] of (hosts ?? []).entries()) errors.push(...invalidEach(`spec.tls[${i}].hosts[${j}]`, host, checkHost(host)))
    if (secretName) errors.push(...invalidEach(`spec.tls[${i}].secretName`, secretName, nameIsDnsSubdomain(secretName, false)))
  }
  if (spec.ingressClassName !== undefined) {
    errors.push(...invalidEach('spec.ingressClassName', spec.ingressClassName, nameIsDnsSubdomain(spec.ingressClassName, false)))
  }
  return errors
}

function validateRule({ host, http }: networkingV1.IngressRule, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (host) {
    if (parseIp(host) !== undefined) errors.push(invalid(`${path}.host`, host, 'must be a DNS name, not an IP address'))
    errors.push(...invalidEach(`${path}.host`, host, checkHost(host)))
  }
  if (http === undefined) return errors
  if (http.paths.length === 0) errors.push(required(`${path}.http.paths`))
  for (const [i, item] of http.paths.entries()) errors.push(...validatePath(item, `${path}.http.paths[${i}]`))
  return errors
}

function validatePath({ path: value = '', pathType, backend }: networkingV1.HTTPIngressPath, path: string): FieldError[] {
  if (!pathType) return [required(`${path}.pathType`, 'pathType must be specified')]
  const errors: FieldError[] = []
  const absolute = value.startsWith('/')
  if (pathType === 'Exact' || pathType === 'Prefix') {
    if (!absolute) errors.push(invalid(`${path}.path`, value, 'must be an absolute path'))
    for (const bad of badSequences) if (value.includes(bad)) errors.push(invalid(`${path}.path`, value, `must not contain '${bad}'`))
    for (const bad of badEndings) if (value.endsWith(bad)) errors.push(invalid(`${path}.path`, value, `cannot end with '${bad}'`))
  } else if (pathType === 'ImplementationSpecific') {
    if (value !== '' && !absolute) errors.push(invalid(`${path}.path`, value, 'must be an absolute path'))
  } else errors.push(notSupported(`${path}.pathType`, pathType, pathTypes))
  return [...errors, ...validateBackend(backend, `${path}.backend`)]
}

function validateBackend({ service, resource }: networkingV1.IngressBackend, path: string): FieldError[] {
  if (resource !== undefined && service !== undefined) return [invalid(path, '', 'cannot set both resource and service backends')]
  if (resource !== undefined) return validateResource(resource, `${path}.resource`)
  if (service === undefined) return [invalid(path, '', 'resource or service backend is required')]
  const errors: FieldError[] = []
  if (!service.name) errors.push(required(`${path}.service.name`))
  else errors.push(...invalidEach(`${path}.service.name`, service.name, nameIsDnsLabel(service.name, false)))
  const { name, number } = service.port
  if (name && number) errors.push(invalid(path, '', 'cannot set both port name & port number'))
  else if (name) errors.push(...invalidEach(`${path}.service.port.name`, name, checkPortName(name)))
  else if (number) errors.push(...invalidEach(`${path}.service.port.number`, number, checkPortNumber(number)))
  else errors.push(required(path, 'port name or number is required'))
  return errors
}

function validateResource({ apiGroup, kind, name }: coreV1.TypedLocalObjectReference, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (apiGroup !== undefined) errors.push(...invalidEach(`${path}.apiGroup`, apiGroup, checkDns1123Subdomain(apiGroup)))
  if (!kind) errors.push(required(`${path}.kind`))
  else errors.push(...invalidEach(`${path}.kind`, kind, checkPathSegment(kind)))
  if (!name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, name, checkPathSegment(name)))
  return errors
}

function validateStatus({ status }: Ingress, old: Ingress): FieldError[] {
  const errors: FieldError[] = []
  const before = (old.status.loadBalancer.ingress ?? []).flatMap(({ ip }) => ip || [])
  for (const [i, { ip, hostname }] of (status.loadBalancer.ingress ?? []).entries()) {
    const path = `status.loadBalancer.ingress[${i}]`
    if (ip) errors.push(...validateLegacyIp(`${path}.ip`, ip, before))
    if (!hostname) continue
    errors.push(...invalidEach(`${path}.hostname`, hostname, checkDns1123Subdomain(hostname)))
    if (parseIp(hostname) !== undefined) errors.push(invalid(`${path}.hostname`, hostname, 'must be a DNS name, not an IP address'))
  }
  return errors
}

const hostsMax = 3

function hostsCell({ spec }: Ingress): string {
  const rules = spec.rules ?? []
  const hosts: string[] = []
  for (const { host } of rules) {
    if (hosts.length === hostsMax) return `${hosts.join(',')} + ${rules.length - hostsMax} more...`
    if (host) hosts.push(host)
  }
  return hosts.join(',') || '*'
}

function addressCell({ status }: Ingress): string {
  const addresses = (status.loadBalancer.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').filter(Boolean)
  return [...new Set(addresses)].sort().join(',')
}

const classAnnotation = 'kubernetes.io/ingress.class'

function validateClassAnnotation({ metadata, spec }: Ingress): FieldError[] {
  const value = metadata.annotations?.[classAnnotation]
  if (value === undefined || spec.ingressClassName === undefined || value === spec.ingressClassName) return []
  return [invalid(`annotations.${classAnnotation}`, value, 'must match `ingressClassName` when both are specified')]
}

export const Ingress = defineKind<Ingress>('networking.k8s.io/v1/ingresses', {
  validate,
  validateCreate: validateClassAnnotation,
  warnings({ metadata, spec }, old) {
    if (old !== undefined || spec.ingressClassName !== undefined || metadata.annotations?.[classAnnotation] === undefined) return []
    return [`annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`]
  },
  prepareForStatusUpdate({ status }, _old, { warn }) {
    for (const [i, { ip }] of (status.loadBalancer.ingress ?? []).entries()) {
      if (ip) for (const text of warningsForIp(`status.loadBalancer.ingress[${i}]`, ip)) warn?.(text)
    }
  },
  validateStatusUpdate: validateStatus,
  columns: [
    nameColumn,
    column<Ingress>('Class', ({ spec }) => spec.ingressClassName ?? none),
    column<Ingress>('Hosts', hostsCell),
    column<Ingress>('Address', addressCell),
    column<Ingress>('Ports', ({ spec }) => ((spec.tls ?? []).length > 0 ? '80, 443' : '80')),
    ageColumn,
  ],
})
