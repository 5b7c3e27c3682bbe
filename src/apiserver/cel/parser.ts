// From an expression's text to its tree, by the grammar of the language's definition (cel.dev, "Syntax"), within bounds on length
// and depth.
import { syntaxError, type Token, tokenize } from './lexer.ts'
import { CelCompileError, type Expr, type MacroName, type Position, type Select } from './syntax.ts'

/** Longest expression, in characters. */
export const sourceLengthMax = 100_000
const depthMax = 250

const reserved = new Set(['as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package'])
for (const word of ['namespace', 'return', 'var', 'void', 'while', 'in', 'true', 'false', 'null']) reserved.add(word)

const macros: Readonly<Record<string, { readonly name: MacroName; readonly args: readonly number[] }>> = {
  all: { name: 'all', args: [2, 3] },
  exists: { name: 'exists', args: [2, 3] },
  exists_one: { name: 'exists_one', args: [2, 3] },
  existsOne: { name: 'exists_one', args: [2, 3] },
  filter: { name: 'filter', args: [2] },
  sortBy: { name: 'sortBy', args: [2] },
  map: { name: 'map', args: [2, 3] },
  transformList: { name: 'transformList', args: [3, 4] },
  transformMap: { name: 'transformMap', args: [3, 4] },
  transformMapEntry: { name: 'transformMapEntry', args: [3, 4] },
  optMap: { name: 'optMap', args: [2] },
  optFlatMap: { name: 'optFlatMap', args: [2] },
}

const relations = new Set(['<', '<=', '>', '>=', '==', '!='])

/** Throws CelCompileError. */
export function parse(source: string): Expr {
  if (source.length > sourceLengthMax) {
    const message = `expression code point size exceeds limit: size: ${source.length}, limit ${sourceLengthMax}`
    throw new CelCompileError(source.slice(0, 100), [{ at: 0, message }])
  }
  const parser = new Parser(source)
  return parser.whole()
}

class Parser {
  private readonly source: string
  private readonly tokens: readonly Token[]
  private next = 0
  private depth = 0

  constructor(source: string) {
    this.source = source
    this.tokens = tokenize(source)
  }

  whole(): Expr {
    const expr = this.expression()
    const { type, text, at } = this.peek()
    if (type !== 'end') throw this.error(at, `mismatched input '${text}' expecting <EOF>`)
    return expr
  }

  private peek(): Token {
    return this.tokens[this.next]!
  }

  private error(at: Position, message: string): CelCompileError {
    return syntaxError(this.source, at, message)
  }

  private is(symbol: string): boolean {
    const { type, text } = this.peek()
    return type === 'symbol' && text === symbol
  }

  private accept(symbol: string): Token | undefined {
    if (!this.is(symbol)) return undefined
    return this.tokens[this.next++]
  }

  private expect(symbol: string): Token {
    const token = this.accept(symbol)
    if (token !== undefined) return token
    const { at, text, type } = this.peek()
    throw this.error(
      at,
      type === 'end' ? `mismatched input '<EOF>' expecting '${symbol}'` : `mismatched input '${text}' expecting '${symbol}'`,
    )
  }

  private expression(): Expr {
    if (++this.depth > depthMax) throw this.error(this.peek().at, `expression recursion limit exceeded: ${depthMax}`)
    const condition = this.or()
    let result = condition
    const question = this.accept('?')
    if (question !== undefined) {
      const then = this.or()
      this.expect(':')
      result = { kind: 'call', name: '_?_:_', target: undefined, args: [condition, then, this.expression()], at: question.at }
    }
    this.depth--
    return result
  }

  private or(): Expr {
    return this.chain('||', '_||_', () => this.chain('&&', '_&&_', () => this.relation()))
  }

  private chain(symbol: string, name: string, operand: () => Expr): Expr {
    let left = operand()
    for (let token = this.accept(symbol); token !== undefined; token = this.accept(symbol)) {
      left = { kind: 'call', name, target: undefined, args: [left, operand()], at: token.at }
    }
    return left
  }

  private relation(): Expr {
    let left = this.sum()
    for (;;) {
      const { type, text, at } = this.peek()
      const isIn = type === 'ident' && text === 'in'
      if (!isIn && !(type === 'symbol' && relations.has(text))) return left
      this.next++
      left = { kind: 'call', name: isIn ? '@in' : `_${text}_`, target: undefined, args: [left, this.sum()], at }
    }
  }

  private sum(): Expr {
    return this.binary(['+', '-'], () => this.binary(['*', '/', '%'], () => this.unary()))
  }

  private binary(symbols: readonly string[], operand: () => Expr): Expr {
    let left = operand()
    for (;;) {
      const symbol = symbols.find((one) => this.is(one))
      if (symbol === undefined) return left
      const { at } = this.expect(symbol)
      left = { kind: 'call', name: `_${symbol}_`, target: undefined, args: [left, operand()], at }
    }
  }

  private unary(): Expr {
    const { at } = this.peek()
    const symbol = this.is('!') ? '!' : this.is('-') ? '-' : undefined
    if (symbol === undefined) return this.member()
    this.next++
    const { type, text } = this.peek()
    // A sign belongs to the literal, or the smallest integer could not be said.
    if (symbol === '-' && (type === 'int' || type === 'double')) {
      this.next++
      return this.suffixes(type === 'int' ? this.integer(`-${text}`, at) : { kind: 'literal', value: -Number(text), at })
    }
    if (++this.depth > depthMax) throw this.error(at, `expression recursion limit exceeded: ${depthMax}`)
    const operand = this.unary()
    this.depth--
    return { kind: 'call', name: symbol === '!' ? '!_' : '-_', target: undefined, args: [operand], at }
  }

  private member(): Expr {
    return this.suffixes(this.primary())
  }

  private suffixes(start: Expr): Expr {
    let expr = start
    for (let steps = 0; ; steps++) {
      if (steps > depthMax) throw this.error(this.peek().at, `expression recursion limit exceeded: ${depthMax}`)
      const dot = this.accept('.')
      if (dot !== undefined) {
        expr = this.selection(expr, dot.at)
        continue
      }
      const bracket = this.accept('[')
      if (bracket !== undefined) {
        const optional = this.accept('?') !== undefined
        const index = this.expression()
        this.expect(']')
        expr = { kind: 'call', name: optional ? '_[?_]' : '_[_]', target: undefined, args: [expr, index], at: bracket.at }
        continue
      }
      if (this.is('{')) {
        const name = dottedName(expr)
        if (name !== undefined) {
          expr = this.struct(name, expr.at)
          continue
        }
      }
      return expr
    }
  }

  private selection(operand: Expr, at: Position): Expr {
    const optional = this.accept('?') !== undefined
    const { type, text, at: nameAt } = this.peek()
    if (type !== 'ident' && type !== 'quoted') throw this.error(nameAt, `mismatched input '${text}' expecting IDENTIFIER`)
    this.next++
    if (type === 'ident' && !optional && this.is('(')) {
      this.next++
      const args = this.list(')')
      return this.macro(operand, text, args, at) ?? { kind: 'call', name: text, target: operand, args, at }
    }
    if (type === 'ident' && (text === 'in' || text === 'true' || text === 'false' || text === 'null')) {
      throw this.error(nameAt, `mismatched input '${text}' expecting IDENTIFIER`)
    }
    return { kind: 'select', operand, field: text, ...(optional ? { optional: true } : {}), at }
  }

  private macro(range: Expr, name: string, args: readonly Expr[], at: Position): Expr | undefined {
    const [variable, value, result] = args
    if (range.kind === 'ident' && range.name === 'cel' && name === 'bind' && args.length === 3 && variable?.kind === 'ident') {
      return { kind: 'macro', name: 'bind', range: value!, variables: [variable.name], filter: undefined, body: result!, at }
    }
    const macro = Object.hasOwn(macros, name) ? macros[name] : undefined
    if (macro === undefined || !macro.args.includes(args.length)) return undefined
    const two = macro.name.startsWith('transform') || (args.length === 3 && macro.name !== 'map')
    const variables = args.slice(0, two ? 2 : 1).map((arg) => {
      if (arg.kind === 'ident' && !reserved.has(arg.name)) return arg.name
      throw new CelCompileError(this.source, [{ at: arg.at, message: 'argument must be a simple name' }])
    })
    if (two && variables[0] === variables[1]) {
      throw new CelCompileError(this.source, [{ at: args[1]!.at, message: `duplicate variable name: ${variables[0]}` }])
    }
    const rest = args.slice(variables.length)
    return { kind: 'macro', name: macro.name, range, variables, filter: rest.length > 1 ? rest[0] : undefined, body: rest.at(-1)!, at }
  }

  private list(closing: string): Expr[] {
    const items: Expr[] = []
    if (this.accept(closing) !== undefined) return items
    do items.push(this.expression())
    while (this.accept(',') !== undefined)
    this.expect(closing)
    return items
  }

  private primary(): Expr {
    const token = this.peek()
    const { type, text, at } = token
    this.next++
    switch (type) {
      case 'int':
        return this.integer(text, at)
      case 'uint':
        return this.unsigned(text, at)
      case 'double':
        return { kind: 'literal', value: Number(text), at }
      case 'string':
      case 'bytes':
        return { kind: 'literal', value: token.value!, at }
      case 'ident':
        return this.name(text, at)
      case 'symbol':
        if (text === '(') {
          const inner = this.expression()
          this.expect(')')
          return inner
        }
        if (text === '[') return this.listLiteral(at)
        if (text === '{') return this.mapLiteral(at)
        // A leading dot: the name from the root, where all our names are.
        if (text === '.' && this.peek().type === 'ident') {
          this.next++
          return this.name(this.tokens[this.next - 1]!.text, at)
        }
    }
    const found = type === 'end' ? '<EOF>' : text
    throw this.error(
      at,
      `mismatched input '${found}' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`,
    )
  }

  private integer(text: string, at: Position): Expr {
    const negative = text.startsWith('-')
    const size = BigInt(negative ? text.slice(1) : text)
    const value = negative ? -size : size
    if (value !== BigInt.asIntN(64, value)) throw this.error(at, 'invalid int literal')
    return { kind: 'literal', value, at }
  }

  private unsigned(text: string, at: Position): Expr {
    const value = BigInt(text)
    if (value !== BigInt.asUintN(64, value)) throw this.error(at, 'invalid uint literal')
    return { kind: 'literal', value, unsigned: true, at }
  }

  private name(text: string, at: Position): Expr {
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true', at }
    if (text === 'null') return { kind: 'literal', value: null, at }
    if (reserved.has(text)) throw this.error(at, `reserved identifier: ${text}`)
    if (this.accept('(') === undefined) return { kind: 'ident', name: text, at }
    const args = this.list(')')
    if (text !== 'has') return { kind: 'call', name: text, target: undefined, args, at }
    const [field] = args
    if (args.length === 1 && field?.kind === 'select') return { ...field, test: true } satisfies Select
    throw new CelCompileError(this.source, [{ at, message: 'invalid argument to has() macro' }])
  }

  private listLiteral(at: Position): Expr {
    const items: { value: Expr; optional: boolean }[] = []
    while (this.accept(']') === undefined) {
      const optional = this.accept('?') !== undefined
      items.push({ value: this.expression(), optional })
      if (this.accept(',') === undefined) {
        this.expect(']')
        break
      }
    }
    return { kind: 'list', items, at }
  }

  private mapLiteral(at: Position): Expr {
    const entries: { key: Expr; value: Expr; optional: boolean }[] = []
    while (this.accept('}') === undefined) {
      const optional = this.accept('?') !== undefined
      const key = this.expression()
      this.expect(':')
      entries.push({ key, value: this.expression(), optional })
      if (this.accept(',') === undefined) {
        this.expect('}')
        break
      }
    }
    return { kind: 'map', entries, at }
  }

  private struct(name: string, at: Position): Expr {
    this.expect('{')
    const fields: { name: string; value: Expr; optional: boolean; at: Position }[] = []
    while (this.accept('}') === undefined) {
      const optional = this.accept('?') !== undefined
      const { type, text, at: fieldAt } = this.peek()
      if (type !== 'ident' && type !== 'quoted') throw this.error(fieldAt, `mismatched input '${text}' expecting IDENTIFIER`)
      this.next++
      this.expect(':')
      fields.push({ name: text, value: this.expression(), optional, at: fieldAt })
      if (this.accept(',') === undefined) {
        this.expect('}')
        break
      }
    }
    return { kind: 'struct', name, fields, at }
  }
}

/** `a.b.c` as text, when the expression is nothing but names and dots. */
export function dottedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name
  if (expr.kind !== 'select' || expr.test === true || expr.optional === true) return undefined
  const before = dottedName(expr.operand)
  return before === undefined ? undefined : `${before}.${expr.field}`
}
