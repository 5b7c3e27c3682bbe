// Label and field selectors as they stand in URLs (`app=web,tier in (a,b),!old`; `spec.nodeName=n1`): parsing, text, matching,
// with Kubernetes' error texts. LabelSelector objects are in label-selectors.ts.

import { checkLabelKey, checkLabelValue } from './validation/names.ts'
import { goQuote } from './validation/text.ts'

export type SelectorOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'

export interface LabelRequirement {
  readonly key: string
  readonly operator: SelectorOperator
  /** Sorted, without doubles. */
  readonly values: readonly string[]
}

/** Requirements by key, all of which must hold. None: everything matches. */
export type LabelSelectorText = readonly LabelRequirement[]

/** A selector that cannot be understood. The message is Kubernetes'. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError'
}

type Token = {
  readonly kind: 'end' | 'identifier' | 'error' | '(' | ')' | ',' | Exclude<SelectorOperator, 'exists' | 'gt' | 'lt'> | '>' | '<'
  readonly text: string
}

const specials = '=!(),><'
const spaces = ' \t\r\n'

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    if (spaces.includes(char)) {
      at++
    } else if (specials.includes(char)) {
      const two = text.slice(at, at + 2)
      const symbol = two === '==' || two === '!=' ? two : char
      tokens.push({ kind: symbol as Token['kind'], text: symbol })
      at += symbol.length
    } else {
      const start = at
      while (at < text.length && !specials.includes(text[at]!) && !spaces.includes(text[at]!)) at++
      const word = text.slice(start, at)
      tokens.push({ kind: word === 'in' || word === 'notin' ? word : 'identifier', text: word })
    }
  }
  return tokens
}

const end: Token = { kind: 'end', text: '' }

/** Reads tokens left to right. Where a value may stand, `in` and `notin` are values too. */
class TokenReader {
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens
  }

  peek(): Token {
    return asValue(this.tokens[this.at] ?? end)
  }

  next(): Token {
    return asValue(this.nextOperator())
  }

  nextOperator(): Token {
    return this.tokens[this.at++] ?? end
  }
}

function asValue(token: Token): Token {
  return token.kind === 'in' || token.kind === 'notin' ? { kind: 'identifier', text: token.text } : token
}

/** Parses the `labelSelector` parameter. Throws `SelectorError`. */
export function parseLabelSelector(text: string): LabelSelectorText {
  const reader = new TokenReader(tokensOf(text))
  const requirements: LabelRequirement[] = []
  for (;;) {
    const first = reader.peek()
    if (first.kind === 'end') return byKey(requirements)
    if (first.kind !== 'identifier' && first.kind !== '!') {
      throw new SelectorError(`found '${first.text}', expected: !, identifier, or 'end of string'`)
    }
    requirements.push(readRequirement(reader))
    const after = reader.next()
    if (after.kind === 'end') return byKey(requirements)
    if (after.kind !== ',') throw new SelectorError(`found '${after.text}', expected: ',' or 'end of string'`)
    const following = reader.peek()
    if (following.kind !== 'identifier' && following.kind !== '!') {
      throw new SelectorError(`found '${following.text}', expected: identifier after ','`)
    }
  }
}

function byKey(requirements: LabelRequirement[]): LabelRequirement[] {
  return requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

function readRequirement(reader: TokenReader): LabelRequirement {
  try {
    const negated = reader.peek().kind === '!'
    if (negated) reader.next()
    const key = reader.next()
    if (key.kind !== 'identifier') throw new SelectorError(`found '${key.text}', expected: identifier`)
    const keyProblem = invalidText('<nil>', key.text, checkLabelKey(key.text))
    if (keyProblem !== undefined) throw new SelectorError(keyProblem)
    const after = reader.peek().kind
    if (negated) return newLabelRequirement(key.text, '!', [])
    if (after === 'end' || after === ',') return newLabelRequirement(key.text, 'exists', [])
    const operator = readOperator(reader)
    const values = operator === 'in' || operator === 'notin' ? readValues(reader) : [readExactValue(reader)]
    return newLabelRequirement(key.text, operator, values)
  } catch (error) {
    if (error instanceof SelectorError) throw new SelectorError(`unable to parse requirement: ${error.message}`)
    throw error
  }
}

function readOperator(reader: TokenReader): SelectorOperator {
  const token = reader.nextOperator()
  if (token.kind === '>') return 'gt'
  if (token.kind === '<') return 'lt'
  if (token.kind === '=' || token.kind === '==' || token.kind === '!=' || token.kind === 'in' || token.kind === 'notin') return token.kind
  throw new SelectorError(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`)
}

function readExactValue(reader: TokenReader): string {
  const kind = reader.peek().kind
  if (kind === 'end' || kind === ',') return ''
  const token = reader.next()
  if (token.kind === 'identifier') return token.text
  throw new SelectorError(`found '${token.text}', expected: identifier`)
}

function readValues(reader: TokenReader): string[] {
  const open = reader.next()
  if (open.kind !== '(') throw new SelectorError(`found '${open.text}' expected: '('`)
  const first = reader.peek()
  if (first.kind === ')') {
    reader.next()
    return ['']
  }
  if (first.kind !== 'identifier' && first.kind !== ',') {
    throw new SelectorError(`found '${first.text}', expected: ',', ')' or identifier`)
  }
  const values: string[] = []
  // A missing value before, between or after commas is the empty one.
  let expectsValue = true
  for (;;) {
    const token = reader.next()
    if (token.kind === 'identifier') {
      if (!expectsValue) throw new SelectorError(`found '${token.text}', expected: ',' or ')'`)
      values.push(token.text)
      expectsValue = false
    } else if (token.kind === ',' || token.kind === ')') {
      if (expectsValue) values.push('')
      if (token.kind === ')') return values
      expectsValue = true
    } else {
      throw new SelectorError(`found '${token.text}', expected: ${expectsValue ? "',', or identifier" : "',' or ')'"}`)
    }
  }
}

const integer = /^[+-]?[0-9]+$/

function asInt64(text: string): bigint | undefined {
  if (!integer.test(text) || text.length > 20) return undefined
  const value = BigInt(text.replace('+', ''))
  return value === BigInt.asIntN(64, value) ? value : undefined
}

/** A checked requirement; values are sorted and freed of doubles. Throws `SelectorError`. */
export function newLabelRequirement(key: string, operator: SelectorOperator, values: readonly string[]): LabelRequirement {
  const sorted = [...new Set(values)].sort()
  const problems = [invalidText('key', key, checkLabelKey(key))]
  if ((operator === 'in' || operator === 'notin') && sorted.length === 0) {
    problems.push(invalidText('values', [], ["for 'in', 'notin' operators, values set can't be empty"]))
  }
  if (operator === 'gt' || operator === 'lt') {
    for (const [i, value] of sorted.entries()) {
      if (asInt64(value) === undefined) {
        problems.push(invalidText(`values[${i}]`, value, ["for 'Gt', 'Lt' operators, the value must be an integer"]))
      }
    }
  }
  for (const [i, value] of sorted.entries()) problems.push(invalidText(`values[${i}][${key}]`, value, checkLabelValue(value)))
  const found = [...new Set(problems.filter((problem) => problem !== undefined))]
  if (found.length > 0) throw new SelectorError(found.length === 1 ? found[0]! : `[${found.join(', ')}]`)
  return { key, operator, values: sorted }
}

function invalidText(path: string, value: string | readonly string[], details: readonly string[]): string | undefined {
  if (details.length === 0) return undefined
  const shown = typeof value === 'string' ? goQuote(value) : JSON.stringify(value)
  return `${path}: Invalid value: ${shown}: ${details.join('; ')}`
}

/** The selector as text, as Kubernetes writes it. */
export function formatLabelSelectorText(selector: LabelSelectorText): string {
  return selector.map(formatRequirement).join(',')
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  if (operator === 'exists') return key
  if (operator === '!') return `!${key}`
  if (operator === 'in' || operator === 'notin') return `${key} ${operator} (${values.join(',')})`
  const symbol = operator === 'gt' ? '>' : operator === 'lt' ? '<' : operator
  return `${key}${symbol}${values.join(',')}`
}

/** Whether labels meet every requirement. */
export function labelsMatch(selector: LabelSelectorText, labels: Readonly<Record<string, string>> | undefined): boolean {
  return selector.every((requirement) => requirementMatches(requirement, labels))
}

function requirementMatches({ key, operator, values }: LabelRequirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value)
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value)
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    case 'gt':
    case 'lt': {
      const own = value === undefined ? undefined : asInt64(value)
      const bound = asInt64(values[0] ?? '')
      if (own === undefined || bound === undefined) return false
      return operator === 'gt' ? own > bound : own < bound
    }
  }
}

/** The one value that the selector demands of a label, if it demands exactly one: for looking up in an index. */
export function exactLabel(selector: LabelSelectorText, key: string): string | undefined {
  const found = selector.find((requirement) => requirement.key === key)
  if (found === undefined || found.values.length !== 1) return undefined
  return found.operator === '=' || found.operator === '==' || found.operator === 'in' ? found.values[0] : undefined
}

export interface FieldRequirement {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

/** Requirements sorted by their text, all of which must hold. */
export type FieldSelector = readonly FieldRequirement[]

/** Parses the `fieldSelector` parameter. Which fields a kind knows is not checked here. Throws `SelectorError`. */
export function parseFieldSelector(text: string): FieldSelector {
  const terms = splitTerms(text).filter((term) => term !== '')
  return terms.sort().map((term) => {
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term)
    if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`)
    const [, field, operator, value] = match as unknown as [string, string, string, string]
    return { field, operator: operator === '!=' ? '!=' : '=', value: unescapeFieldValue(value) }
  })
}

function splitTerms(text: string): string[] {
  const terms: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') {
      at++
    } else if (text[at] === ',') {
      terms.push(text.slice(start, at))
      start = at + 1
    }
  }
  terms.push(text.slice(start))
  return terms
}

/** A value for a field selector: backslash, comma and equals sign escaped. */
export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, '\\$&')
}

function unescapeFieldValue(value: string): string {
  if (!/[\\,=]/.test(value)) return value
  return value.replace(/\\([\s\S]?)|[,=]/g, (found, escaped: string | undefined) => {
    if (escaped === undefined) throw new SelectorError(`invalid field selector: unescaped character in value: ${found.codePointAt(0)}`)
    if (escaped === '\\' || escaped === ',' || escaped === '=') return escaped
    throw new SelectorError(`invalid field selector: invalid escape sequence: \\${escaped}`)
  })
}

/** The selector as text. */
export function formatFieldSelector(selector: FieldSelector): string {
  return selector.map(({ field, operator, value }) => `${field}${operator}${escapeFieldValue(value)}`).join(',')
}

/** Whether the fields, as `read` gives them (absent ones as the empty string), meet every requirement. */
export function fieldsMatch(selector: FieldSelector, read: (field: string) => string): boolean {
  return selector.every(({ field, operator, value }) => (read(field) === value) === (operator === '='))
}
