// The Common Expression Language as a tree, and errors that point into its text. Macros stay what they are, instead of being
// spelled out as folds: the evaluator knows them.

/** Where something stands: an offset into the expression, in UTF-16 units. */
export type Position = number

interface At {
  readonly at: Position
}

export type Literal = At & {
  readonly kind: 'literal'
  readonly value: null | boolean | bigint | number | string | Uint8Array
  readonly unsigned?: true
}
export type Ident = At & { readonly kind: 'ident'; readonly name: string }
/** `a.b`, `a.?b`, and `has(a.b)` when `test` is set. */
export type Select = At & {
  readonly kind: 'select'
  readonly operand: Expr
  readonly field: string
  readonly test?: true
  readonly optional?: true
}
/** Operators are calls too, by the names that the language's definition gives them: `_+_`, `_[_]`, `@in`, `_?_:_`. */
export type Call = At & { readonly kind: 'call'; readonly name: string; readonly target: Expr | undefined; readonly args: readonly Expr[] }
export type ListExpr = At & { readonly kind: 'list'; readonly items: readonly { readonly value: Expr; readonly optional: boolean }[] }
export interface MapEntry {
  readonly key: Expr
  readonly value: Expr
  readonly optional: boolean
}
export type MapExpr = At & { readonly kind: 'map'; readonly entries: readonly MapEntry[] }
/** `Object.spec{replicas: 1}`. */
export type StructExpr = At & {
  readonly kind: 'struct'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly value: Expr; readonly optional: boolean; readonly at: Position }[]
}
export type MacroName =
  | 'all'
  | 'exists'
  | 'exists_one'
  | 'filter'
  | 'sortBy'
  | 'map'
  | 'transformList'
  | 'transformMap'
  | 'transformMapEntry'
  | 'optMap'
  | 'optFlatMap'
  | 'bind'
/** `cel.bind(v, range, body)` is one too; `range.all(v, body)`: one or two variables; `filter` only where the form with three arguments is used. */
export type Macro = At & {
  readonly kind: 'macro'
  readonly name: MacroName
  readonly range: Expr
  readonly variables: readonly string[]
  readonly filter: Expr | undefined
  readonly body: Expr
}

export type Expr = Literal | Ident | Select | Call | ListExpr | MapExpr | StructExpr | Macro

/** Something wrong with the text of an expression. The message is what the language's reference implementation says. */
export interface Issue {
  readonly at: Position
  readonly message: string
}

/** An expression that does not parse or does not fit its environment. */
export class CelCompileError extends Error {
  override readonly name = 'CelCompileError'
  readonly issues: readonly Issue[]
  /** Which step it did not get past, in the words that come before the message. */
  readonly step: string = 'compilation'

  constructor(source: string, issues: readonly Issue[]) {
    super(issues.map((issue) => describeIssue(source, issue)).join('\n'))
    this.issues = issues
  }
}

/** An expression that fits, but has a constant that can never be what it is used as. */
export class CelProgramError extends CelCompileError {
  override readonly step = 'instantiation'

  constructor(failure: string) {
    super('', [])
    this.message = failure
  }
}

// `ERROR: <input>:1:5: message`, the line, and a mark under the place.
function describeIssue(source: string, { at, message }: Issue): string {
  const before = source.slice(0, at)
  const line = before.split('\n').length
  const column = at - (before.lastIndexOf('\n') + 1)
  const text = source.split('\n')[line - 1] ?? ''
  return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${text}\n | ${'.'.repeat(column)}^`
}

/** The expressions right within one. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'ident':
      return []
    case 'select':
      return [expr.operand]
    case 'call':
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args]
    case 'list':
      return expr.items.map(({ value }) => value)
    case 'map':
      return expr.entries.flatMap(({ key, value }) => [key, value])
    case 'struct':
      return expr.fields.map(({ value }) => value)
    case 'macro':
      return expr.filter === undefined ? [expr.range, expr.body] : [expr.range, expr.filter, expr.body]
  }
}
