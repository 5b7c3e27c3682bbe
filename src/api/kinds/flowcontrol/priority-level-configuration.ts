// PriorityLevelConfiguration of flowcontrol.apiserver.k8s.io/v1: how much of the server a kind of requests may use.
import type { FieldError } from '../../errors.ts'
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { checkInRange } from '../../validation/names.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'
import { validateConditionTypes } from './conditions.ts'
import { mandatory, mandatoryLevels } from './mandatory.ts'

export type PriorityLevelConfiguration = flowcontrolV1.PriorityLevelConfiguration

// Of a version before shares could be zero.
const zeroSharesAnnotation = 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares'
const exemptName = 'exempt'
const queuesMax = 10_000_000
// Of the random number that deals a request its hand of queues.
const handBitsMax = 60

function setDefaults({ spec }: PriorityLevelConfiguration): void {
  if (spec.exempt !== undefined) {
    spec.exempt.nominalConcurrencyShares ??= 0
    spec.exempt.lendablePercent ??= 0
  }
  if (spec.limited === undefined) return
  spec.limited.nominalConcurrencyShares ??= 30
  spec.limited.lendablePercent ??= 0
  const { queuing } = spec.limited.limitResponse
  if (queuing === undefined) return
  queuing.queues ||= 64
  queuing.handSize ||= 8
  queuing.queueLengthLimit ||= 50
}

function validate({ metadata, spec }: PriorityLevelConfiguration): FieldError[] {
  const { type, limited, exempt } = spec
  const errors: FieldError[] = []
  if (metadata.annotations?.[zeroSharesAnnotation] !== undefined) {
    errors.push(forbidden('metadata.annotations', `annotation '${zeroSharesAnnotation}' is forbidden`))
  }
  if ((metadata.name === exemptName) !== (type === 'Exempt')) {
    errors.push(invalid('spec.type', type, "must be 'Exempt' if and only if `name` is 'exempt'"))
  }
  if (type === 'Exempt') {
    if (limited !== undefined) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'))
    errors.push(...validateShares(exempt?.nominalConcurrencyShares, 'spec.exempt'))
    errors.push(...validateLendable(exempt?.lendablePercent, 'spec.exempt'))
  } else if (type === 'Limited') {
    if (exempt !== undefined) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'))
    if (limited === undefined) errors.push(required('spec.limited', 'must not be empty when type is Limited'))
    else errors.push(...validateLimited(limited, 'spec.limited'))
  } else errors.push(notSupported('spec.type', type, ['Exempt', 'Limited']))
  return [...errors, ...validateFixed(metadata.name, spec)]
}

function validateFixed(name: string, spec: flowcontrolV1.PriorityLevelConfigurationSpec): FieldError[] {
  const fixed: flowcontrolV1.PriorityLevelConfigurationSpec | undefined = mandatory(mandatoryLevels, name)
  if (fixed === undefined) return []
  const isExempt = name === exemptName
  if (semanticEqual(isExempt ? { ...spec, exempt: fixed.exempt } : spec, fixed)) return []
  return [invalid('spec', spec, `spec of '${name}'${isExempt ? " except the 'spec.exempt' field" : ''} must equal the fixed value`)]
}

function validateShares(shares: number | undefined, path: string): FieldError[] {
  if (shares === undefined || shares >= 0) return []
  return [invalid(`${path}.nominalConcurrencyShares`, shares, 'must be a non-negative integer')]
}

function validateLendable(percent: number | undefined, path: string): FieldError[] {
  return percent === undefined ? [] : invalidEach(`${path}.lendablePercent`, percent, checkInRange(percent, 0, 100))
}

function validateLimited(limited: flowcontrolV1.LimitedPriorityLevelConfiguration, path: string): FieldError[] {
  const { limitResponse, borrowingLimitPercent } = limited
  const errors = validateShares(limited.nominalConcurrencyShares, path)
  const at = `${path}.limitResponse`
  const { type, queuing } = limitResponse
  if (type === 'Reject') {
    if (queuing !== undefined) errors.push(forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'))
  } else if (type === 'Queue') {
    if (queuing === undefined) {
      errors.push(required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'))
    } else errors.push(...validateQueuing(queuing, `${at}.queuing`))
  } else errors.push(notSupported(`${at}.type`, type, ['Queue', 'Reject']))
  errors.push(...validateLendable(limited.lendablePercent, path))
  if (borrowingLimitPercent !== undefined && borrowingLimitPercent < 0) {
    const detail = 'if specified, must be a non-negative integer'
    errors.push(invalid(`${path}.borrowingLimitPercent`, borrowingLimitPercent, detail))
  }
  return errors
}

function validateQueuing(queuing: flowcontrolV1.QueuingConfiguration, path: string): FieldError[] {
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing
  const errors: FieldError[] = []
  if (queueLengthLimit <= 0) errors.push(invalid(`${path}.queueLengthLimit`, queueLengthLimit, 'must be positive'))
  if (queues <= 0) errors.push(invalid(`${path}.queues`, queues, 'must be positive'))
  else if (queues > queuesMax) errors.push(invalid(`${path}.queues`, queues, `must not be greater than ${queuesMax}`))
  if (handSize <= 0) errors.push(invalid(`${path}.handSize`, handSize, 'must be positive'))
  else if (handSize > queues) errors.push(invalid(`${path}.handSize`, handSize, `should not be greater than queues (${queues})`))
  else if (Math.ceil(Math.log2(queues) * handSize) > handBitsMax) {
    const detail = `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${handBitsMax}`
    errors.push(invalid(`${path}.handSize`, handSize, detail))
  }
  return errors
}

function queuingColumn(name: string, field: keyof flowcontrolV1.QueuingConfiguration): Column<PriorityLevelConfiguration> {
  return column<PriorityLevelConfiguration>(name, ({ spec }) => spec.limited?.limitResponse.queuing?.[field] ?? none)
}

export const PriorityLevelConfiguration = defineKind<PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations',
  {
    setDefaults,
    validate,
    validateStatusUpdate: ({ status }) => validateConditionTypes(status.conditions),
    columns: [
      nameColumn,
      column<PriorityLevelConfiguration>('Type', ({ spec }) => spec.type),
      column<PriorityLevelConfiguration>('NominalConcurrencyShares', ({ spec }) => spec.limited?.nominalConcurrencyShares ?? none),
      queuingColumn('Queues', 'queues'),
      queuingColumn('HandSize', 'handSize'),
      queuingColumn('QueueLengthLimit', 'queueLengthLimit'),
      ageColumn,
    ],
  },
)
