// The selectors of an access review: which objects of a list the question is about. What cannot be read narrows nothing down, and the
// answer says so (KEP-4601).
import type { FieldError } from '#api/errors'
import type { ResourceAttributes } from '#api/generated/authorization-v1'
import { parseFieldSelector, parseLabelSelector } from '#api/selectors'
import { forbidden, invalid, required } from '#api/validation/field-errors'

type Selector = NonNullable<ResourceAttributes['fieldSelector']> | NonNullable<ResourceAttributes['labelSelector']>

const names = ['fieldSelector', 'labelSelector'] as const

/** Problems that make the review invalid. Operators that are unknown here are none: newer clients may know them. */
export function checkSelectors(attributes: ResourceAttributes | undefined): FieldError[] {
  return names.flatMap((name) => {
    const selector = attributes?.[name]
    return selector === undefined ? [] : checkSelector(selector, `spec.resourceAttributes.${name}`)
  })
}

function checkSelector({ rawSelector = '', requirements = [] }: Selector, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (rawSelector !== '' && requirements.length > 0) {
    errors.push(invalid(`${path}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'))
  }
  if (rawSelector === '' && requirements.length === 0) {
    errors.push(required(`${path}.requirements`, `when ${path} is specified, requirements or rawSelector is required`))
  }
  for (const [i, { key, operator, values = [] }] of requirements.entries()) {
    const at = `${path}.requirements[${i}]`
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
      errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    }
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
      errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    }
    if (key === '') errors.push(required(`${at}.key`, 'must be specified'))
  }
  return errors
}

export interface ReviewedSelectors {
  /** As a field selector would stand in a query; undefined when none was read. */
  readonly fieldSelector: string | undefined
  /** What could not be read. */
  readonly errors: readonly string[]
}

export function readSelectors({ fieldSelector, labelSelector }: ResourceAttributes): ReviewedSelectors {
  const errors: string[] = []
  const ignored = (name: string, some: boolean): void => {
    errors.push(`spec.resourceAttributes.${name} ${some ? 'partially ignored' : 'ignored'} due to parse error`)
  }
  const fields = fieldSelector === undefined ? { text: undefined, whole: true } : readFields(fieldSelector)
  if (!fields.whole) ignored('fieldSelector', fields.text !== undefined)
  if (labelSelector !== undefined) {
    const read = readableLabels(labelSelector)
    if (read.readable < read.all) ignored('labelSelector', read.readable > 0)
  }
  return { fieldSelector: fields.text, errors }
}

function readFields({ rawSelector = '', requirements = [] }: Selector): { text: string | undefined; whole: boolean } {
  if (rawSelector !== '') {
    const whole = succeeds(() => parseFieldSelector(rawSelector))
    return { text: whole ? rawSelector : undefined, whole }
  }
  const terms = requirements.flatMap(({ key, operator, values = [] }) =>
    (operator === 'In' || operator === 'NotIn') && values.length === 1
      ? [`${key}${operator === 'In' ? '=' : '!='}${values[0]!.replace(/[\\,=]/g, '\\$&')}`]
      : [],
  )
  return { text: terms.length === 0 ? undefined : terms.join(','), whole: terms.length === requirements.length }
}

function readableLabels({ rawSelector = '', requirements = [] }: Selector): { readable: number; all: number } {
  if (rawSelector !== '') return { readable: succeeds(() => parseLabelSelector(rawSelector)) ? 1 : 0, all: 1 }
  const readable = requirements.filter(({ key, operator, values = [] }) => {
    if (operator === 'In' || operator === 'NotIn') return succeeds(() => parseLabelSelector(`${key} in (${values.join(',')})`))
    return (operator === 'Exists' || operator === 'DoesNotExist') && succeeds(() => parseLabelSelector(key))
  })
  return { readable: readable.length, all: requirements.length }
}

function succeeds(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}
