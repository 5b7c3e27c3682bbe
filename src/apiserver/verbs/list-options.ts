// The query of lists and watches: parsed, checked in Kubernetes' words, and turned into what the watch cache selects by.

import type { FieldError } from '#api/errors'
import { badRequest, invalid } from '#api/errors'
import type { Kind } from '#api/kind'
import {
  type FieldRequirement,
  type FieldSelector,
  fieldsMatch,
  labelsMatch,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from '#api/selectors'
import { forbidden, notSupported } from '#api/validation/field-errors'
import type { CacheSelector } from '../watch-cache/watch-cache.ts'
import { booleanParam, integerParam } from './query.ts'

export interface ListOptions {
  readonly labelSelector: string
  readonly fieldSelector: string
  /** Empty: not said. */
  readonly resourceVersion: string
  readonly resourceVersionMatch: string
  readonly continue: string
  /** 0: no limit. */
  readonly limit: number
  readonly timeoutSeconds: number | undefined
  readonly allowWatchBookmarks: boolean
  readonly sendInitialEvents: boolean | undefined
}

const nothing: ListOptions = {
  labelSelector: '',
  fieldSelector: '',
  resourceVersion: '',
  resourceVersionMatch: '',
  continue: '',
  limit: 0,
  timeoutSeconds: undefined,
  allowWatchBookmarks: false,
  sendInitialEvents: undefined,
}

/** Throws BadRequest for what cannot be parsed, Invalid for what does not go together. */
export function parseListOptions(query: URLSearchParams, watching: boolean): ListOptions {
  if (query.size === 0 && !watching) return nothing
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    continue: query.get('continue') ?? '',
    limit: integerParam(query, 'limit') ?? 0,
    timeoutSeconds: integerParam(query, 'timeoutSeconds'),
    allowWatchBookmarks: booleanParam(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents: booleanParam(query, 'sendInitialEvents'),
  }
  const errors = watching ? checkWatch(options) : checkList(options)
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors)
  return options
}

const match = 'resourceVersionMatch'

function checkList(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  const { resourceVersionMatch: wanted, resourceVersion } = options
  if (wanted !== '') {
    if (resourceVersion === '') errors.push(forbidden(match, 'resourceVersionMatch is forbidden unless resourceVersion is provided'))
    if (options.continue !== '') errors.push(forbidden(match, 'resourceVersionMatch is forbidden when continue is provided'))
    if (wanted !== 'Exact' && wanted !== 'NotOlderThan') errors.push(notSupported(match, wanted, ['Exact', 'NotOlderThan', '']))
    if (wanted === 'Exact' && resourceVersion === '0') {
      errors.push(forbidden(match, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    }
  }
  if (options.sendInitialEvents !== undefined) errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  return errors
}

function checkWatch(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  const { resourceVersionMatch: wanted, sendInitialEvents } = options
  if (sendInitialEvents !== undefined && wanted !== 'NotOlderThan') {
    errors.push(forbidden(match, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'))
  }
  if (wanted !== '') {
    if (sendInitialEvents === undefined) {
      errors.push(forbidden(match, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'))
    }
    if (wanted !== 'NotOlderThan') errors.push(notSupported(match, wanted, ['NotOlderThan']))
    if (options.continue !== '') errors.push(forbidden(match, 'resourceVersionMatch is forbidden when continue is provided'))
  }
  return errors
}

/** A resource version as a number; 0 when it is empty or `0`. Throws Invalid. */
export function parseRevision(text: string): number {
  if (text === '' || text === '0') return 0
  const revision = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(revision)) return revision
  const why = /^[0-9]+$/.test(text) ? 'value out of range' : 'invalid syntax'
  const detail = `Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`
  throw badRequest(`resourceVersion: ${detail}`)
}

/** What a list or watch selects. `plain`: everything in the namespace. */
export interface Selection {
  readonly selector: CacheSelector
  readonly plain: boolean
}

/**
 * The selection of a request on a kind. `name`: from the path of a watch of one object.
 * Throws BadRequest for selectors that cannot be parsed and for fields that the kind does not select by.
 */
export function selectionOf(
  kind: Kind,
  namespace: string,
  name: string,
  options: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
  indexedField: string | undefined,
): Selection {
  const selector: { -readonly [P in keyof CacheSelector]: CacheSelector[P] } = {}
  if (namespace !== '' && kind.namespaced) selector.namespace = namespace
  if (options.labelSelector !== '') {
    const labels = parsed(() => parseLabelSelector(options.labelSelector))
    if (labels.length > 0) selector.labels = (own) => labelsMatch(labels, own)
  }
  if (options.fieldSelector !== '') useFields(kind, selector, options.fieldSelector, indexedField)
  if (name !== '') {
    if (selector.name !== undefined ? selector.name !== name : selector.fields !== undefined) {
      throw badRequest("fieldSelector metadata.name doesn't match requested name")
    }
    selector.name = name
  }
  const plain =
    selector.name === undefined && selector.indexed === undefined && selector.labels === undefined && selector.fields === undefined
  return { selector, plain }
}

function useFields(
  kind: Kind,
  selector: { -readonly [P in keyof CacheSelector]: CacheSelector[P] },
  text: string,
  indexedField: string | undefined,
): void {
  const rest: FieldRequirement[] = []
  for (const requirement of parsed(() => parseFieldSelector(text)) as FieldSelector) {
    const { field, operator, value } = requirement
    checkField(kind, field)
    if (operator === '=' && field === 'metadata.name' && (selector.name ?? value) === value) selector.name = value
    else if (operator === '=' && field === 'metadata.namespace' && kind.namespaced && (selector.namespace ?? value) === value) {
      selector.namespace = value
    } else if (operator === '=' && field === indexedField && selector.indexed === undefined) selector.indexed = value
    else rest.push(requirement)
  }
  if (rest.length > 0) selector.fields = (object) => fieldsMatch(rest, (field) => object.field(field))
}

function checkField(kind: Kind, field: string): void {
  const own = kind.strategy.selectableFields
  if (field === 'metadata.name' || (field === 'metadata.namespace' && (kind.namespaced || own === undefined))) return
  if (own === undefined || Object.keys(own).length === 0) {
    throw badRequest(`"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`)
  }
  if (Object.hasOwn(own, field)) return
  throw badRequest(kind.strategy.unsupportedField?.(field) ?? `field label not supported: ${field}`)
}

function parsed<R>(parse: () => R): R {
  try {
    return parse()
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message)
    throw error
  }
}
