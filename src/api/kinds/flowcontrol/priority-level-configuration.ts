// PriorityLevelConfiguration of flowcontrol.apiserver.k8s.io/v1: how much of the server a kind of requests may use.
import type { FieldError } from '../../errors.ts'
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { forbidden, invalid, notSupported, required } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'

export type PriorityLevelConfiguration = flowcontrolV1.PriorityLevelConfiguration

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
  if ((metadata.name === exemptName) !== (type === 'Exempt')) {
    errors.push(invalid('spec.type', type, "type must be 'Exempt' if and only if `name` is 'exempt'"))
  }
  if (type === 'Exempt') {
    if (limited !== undefined) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'))
    if (exempt !== undefined) errors.push(...validateShares(exempt, 'spec.exempt'))
  } else if (type === 'Limited') {
    if (exempt !== undefined) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'))
    if (limited === undefined) errors.push(required('spec.limited', 'must not be empty when type is Limited'))
    else errors.push(...validateLimited(limited, 'spec.limited'))
  } else errors.push(notSupported('spec.type', type, ['Exempt', 'Limited']))
  return errors
}

function validateShares(level: flowcontrolV1.ExemptPriorityLevelConfiguration, path: string): FieldError[] {
  const { nominalConcurrencyShares: shares = 0, lendablePercent = 0 } = level
  const errors: FieldError[] = []
  if (shares < 0) errors.push(invalid(`${path}.nominalConcurrencyShares`, shares, 'must be a non-negative integer'))
  if (lendablePercent < 0 || lendablePercent > 100) {
    errors.push(invalid(`${path}.lendablePercent`, lendablePercent, 'must be between 0 and 100, inclusive'))
  }
  return errors
}

function validateLimited(limited: flowcontrolV1.LimitedPriorityLevelConfiguration, path: string): FieldError[] {
  const { limitResponse, borrowingLimitPercent } = limited
  const errors = validateShares(limited, path)
  const at = `${path}.limitResponse`
  const { type, queuing } = limitResponse
  if (type === 'Reject') {
    if (queuing !== undefined) errors.push(forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'))
  } else if (type === 'Queue') {
    if (queuing === undefined) {
      errors.push(required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'))
    } else errors.push(...validateQueuing(queuing, `${at}.queuing`))
  } else errors.push(notSupported(`${at}.type`, type, ['Queue', 'Reject']))
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
    columns: [
      nameColumn,
      column<PriorityLevelConfiguration>('Type', ({ spec }) => spec.type),
      column<PriorityLevelConfiguration>(
        'NominalConcurrencyShares',
        ({ spec }) => spec.limited?.nominalConcurrencyShares ?? spec.exempt?.nominalConcurrencyShares ?? none,
      ),
      queuingColumn('Queues', 'queues'),
      queuingColumn('HandSize', 'handSize'),
      queuingColumn('QueueLengthLimit', 'queueLengthLimit'),
      ageColumn,
    ],
  },
)
