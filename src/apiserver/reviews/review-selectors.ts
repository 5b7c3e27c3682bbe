// The selectors of an access review: which objects of a list the question is about. What cannot be read narrows nothing down, and the
// answer says so (KEP-4601).
import type { FieldError } from '#api/errors'
import type { ResourceAttributes } from '#api/generated/authorization-v1'
import { escapeFieldValue, parseFieldSelector, parseLabelSelector } from '#api/selectors'
import { forbidden, invalid, invalidEach, required } from '#api/validation/field-errors'
import { checkLabelKey, checkLabelValue } from '#api/validation/names'

type Selector = NonNullable<ResourceAttributes['fieldSelector']> | NonNullable<ResourceAttributes['labelSelector']>

const names = ['fieldSelector', 'labelSelector'] as const

/** Problems that make the review invalid. Operators that are unknown here are none: newer clients may know them. */
export function checkSelectors(attributes: ResourceAttributes | undefined): FieldError[] {
  return names.flatMap((name) => {
    const selector = attributes?.[name]
    return selector === undefined ? [] : checkSelector(selector, `spec.resourceAttributes.${name}`, name === 'labelSelector')
  })
}

function checkSelector({ rawSelector = '', requirements = [] }: Selector, path: string, ofLabels: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (rawSelector !== '' && requirements.length > 0) {
    errors.push(invalid(`${path}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'))
  }
  if (rawSelector === '' && requirements.length === 0) {
    errors.push(required(`${path}.requirements`, `when ${path} is specified, requirements or rawSelector is required`))
  }
  for (const [i, { key = '', operator, values = [] }] of requirements.entries()) {
    const at = `${path}.requirements[${i}]`
    if (key === '' && !ofLabels) errors.push(required(`${at}.key`, 'must be specified'))
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
      errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    }
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
      errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    }
    if (!ofLabels) continue
    errors.push(...invalidEach(`${at}.key`, key, checkLabelKey(key)))
    for (const [j, value] of values.entries()) errors.push(...invalidEach(`${at}.values[${j}]`, value, checkLabelValue(value)))
  }
  return errors
}

export interface ReviewedSelectors {
  /** As selectors would stand in a query; undefined when none was read. */
  readonly fieldSelector: string | undefined
  readonly labelSelector: string | undefined
  /** What could not be read. */
  readonly errors: readonly string[]
}

export function readSelectors({ fieldSelector, labelSelector }: ResourceAttributes): ReviewedSelectors {
  const errors: string[] = []
  const read = (name: string, selector: Selector | undefined, term: TermOf, parse: (text: string) => unknown): string | undefined => {
    if (selector === undefined) return undefined
    const { text, whole } = readTerms(selector, term, parse)
    if (!whole) errors.push(`spec.resourceAttributes.${name} ${text === undefined ? 'ignored' : 'partially ignored'} due to parse error`)
    return text
  }
  return {
    fieldSelector: read('fieldSelector', fieldSelector, fieldTerm, parseFieldSelector),
    labelSelector: read('labelSelector', labelSelector, labelTerm, parseLabelSelector),
    errors,
  }
}

type Requirement = NonNullable<Selector['requirements']>[number]
/** A requirement as a selector's text has it; undefined for what cannot be said there. */
type TermOf = (requirement: Requirement) => string | undefined

function readTerms(
  { rawSelector = '', requirements = [] }: Selector,
  term: TermOf,
  parse: (text: string) => unknown,
): { readonly text: string | undefined; readonly whole: boolean } {
  if (rawSelector !== '') {
    const whole = succeeds(() => parse(rawSelector))
    return { text: whole ? rawSelector : undefined, whole }
  }
  const terms = requirements.map(term).filter((text) => text !== undefined && succeeds(() => parse(text)))
  return { text: terms.length === 0 ? undefined : terms.join(','), whole: terms.length === requirements.length }
}

function fieldTerm({ key, operator, values = [] }: Requirement): string | undefined {
  if ((operator !== 'In' && operator !== 'NotIn') || values.length !== 1) return undefined
  return `${key}${operator === 'In' ? '=' : '!='}${escapeFieldValue(values[0]!)}`
}

function labelTerm({ key, operator, values = [] }: Requirement): string | undefined {
  if (operator === 'In' || operator === 'NotIn') return `${key} ${operator.toLowerCase()} (${values.join(',')})`
  if (operator === 'Exists') return key
  return operator === 'DoesNotExist' ? `!${key}` : undefined
}

function succeeds(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}
