// APIService of apiregistration.k8s.io/v1: who serves a version of a group.
import { timestamp } from '#base/clock'
import type { FieldError } from '../../errors.ts'
import type * as apiregistrationV1 from '../../generated/apiregistration-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1035Label, checkDns1123Subdomain, checkPathSegment, checkPortNumber, nameIsPathSegment } from '../../validation/names.ts'
import { goQuote } from '../../validation/text.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { base64Bytes } from '../core/base64.ts'

export type APIService = apiregistrationV1.APIService

const groupPriorityMax = 20000
const versionPriorityMax = 1000

function validate({ metadata, spec }: APIService): FieldError[] {
  const { group = '', version = '' } = spec
  const errors: FieldError[] = []
  const name = `${version}.${group}`
  if (metadata.name !== name && checkPathSegment(metadata.name).length === 0) {
    errors.push(invalid('metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: ${goQuote(name)}`))
  }
  if (group === '' && version !== 'v1') {
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'))
  }
  if (group !== '') errors.push(...invalidEach('spec.group', group, checkDns1123Subdomain(group)))
  errors.push(...invalidEach('spec.version', version, checkDns1035Label(version)))
  const { groupPriorityMinimum, versionPriority } = spec
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > groupPriorityMax) {
    errors.push(invalid('spec.groupPriorityMinimum', groupPriorityMinimum, `must be positive and less than ${groupPriorityMax}`))
  }
  if (versionPriority <= 0 || versionPriority > versionPriorityMax) {
    errors.push(invalid('spec.versionPriority', versionPriority, `must be positive and less than ${versionPriorityMax}`))
  }
  return [...errors, ...validateServer(spec)]
}

function validateServer({ service, caBundle = '', insecureSkipTLSVerify = false }: apiregistrationV1.APIServiceSpec): FieldError[] {
  const errors: FieldError[] = []
  if (service === undefined) {
    if (caBundle !== '') {
      errors.push(invalid('spec.caBundle', `${base64Bytes(caBundle)} bytes`, 'local APIServices may not have a caBundle'))
    }
    if (insecureSkipTLSVerify) {
      errors.push(invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'))
    }
    return errors
  }
  for (const field of ['namespace', 'name'] as const) if (!service[field]) errors.push(required(`spec.service.${field}`))
  const portProblems = checkPortNumber(service.port ?? 0)
  if (portProblems.length > 0) {
    errors.push(invalid('spec.service.port', service.port ?? 0, `port is not valid: ${portProblems.join(', ')}`))
  }
  if (insecureSkipTLSVerify && caBundle !== '') {
    errors.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'))
  }
  return errors
}

function validateStatus({ status }: APIService): FieldError[] {
  const statuses = ['True', 'False', 'Unknown']
  return (status.conditions ?? [])
    .map((condition, i) => ({ condition, path: `status.conditions[${i}].status` }))
    .filter(({ condition }) => !statuses.includes(condition.status))
    .map(({ condition, path }) => notSupported(path, condition.status, statuses))
}

function availableCell({ status }: APIService): string {
  const available = status.conditions?.find(({ type }) => type === 'Available')
  if (available === undefined) return 'Unknown'
  return available.status === 'True' ? 'True' : `${available.status} (${available.reason ?? ''})`
}

export const APIService = defineKind<APIService>('apiregistration.k8s.io/v1/apiservices', {
  setDefaults({ spec }) {
    if (spec.service !== undefined) spec.service.port ??= 443
  },
  prepareForCreate(apiService, { nowMs }) {
    // What this server serves itself is there from the first moment.
    if (apiService.spec.service !== undefined) apiService.status = {}
    else {
      const why = { reason: 'Local', message: 'Local APIServices are always available' }
      apiService.status = { conditions: [{ type: 'Available', status: 'True', lastTransitionTime: timestamp(nowMs), ...why }] }
    }
  },
  allowUnconditionalUpdate: false,
  validate,
  validateStatusUpdate: validateStatus,
  validateName: nameIsPathSegment,
  hasGeneration: false,
  columns: [
    nameColumn,
    column<APIService>('Service', ({ spec }) =>
      spec.service === undefined ? 'Local' : `${spec.service.namespace ?? ''}/${spec.service.name ?? ''}`,
    ),
    column<APIService>('Available', availableCell),
    ageColumn,
  ],
})
