// Finds what does not fit before anything is run: names that nobody declared, fields that a type does not have, functions that do
// not take what they are given. Where a type is unknown (dyn), everything fits.
import { functions } from './functions/all.ts'
import type { Overload } from './functions/overload.ts'
import { dottedName } from './parser.ts'
import type { Call, Expr, Issue, Macro, Select, StructExpr } from './syntax.ts'
import {
  assignable,
  type Bindings,
  bool,
  bytes,
  double,
  dyn,
  formatType,
  int,
  joined,
  listOf,
  mapOf,
  nullType,
  optionalOf,
  string,
  substitute,
  type Type,
  typeType,
  uint,
} from './types.ts'

/** What an expression may refer to. */
export interface Environment {
  readonly variables: Readonly<Record<string, Type>>
  /** Whether expressions may make objects of this name, as `Object.spec{…}`. */
  readonly makesStruct?: (name: string) => boolean
  /** Whether there is `cel.bind`. */
  readonly binds?: boolean
}

export interface Checked {
  readonly issues: readonly Issue[]
  readonly type: Type
  readonly types: ReadonlyMap<Expr, Type>
  /** Calls like `sets.contains(…)`, whose receiver is no value but the beginning of the function's name. */
  readonly qualified: ReadonlyMap<Call, string>
  /** Selections that are names: `google.protobuf.Timestamp`. */
  readonly typeNames: ReadonlyMap<Expr, string>
  /** Selections that are variables whose names have dots: `authorizer.requestResource`. */
  readonly dotted: ReadonlyMap<Expr, string>
}

// The names of types are values themselves.
const typeNames = new Set(['bool', 'bytes', 'double', 'duration', 'int', 'list', 'map', 'null_type', 'string', 'timestamp', 'type', 'uint'])
for (const name of ['google.protobuf.Timestamp', 'google.protobuf.Duration', 'optional_type', 'net.IP', 'net.CIDR']) typeNames.add(name)
for (const name of ['URL', 'Quantity', 'Semver', 'NamedFormat']) typeNames.add(`kubernetes.${name}`)

const operators = new Set(['_&&_', '_||_', '_?_:_', '_[?_]'])

interface Scope {
  readonly name: string
  readonly type: Type
  readonly outer: Scope | undefined
}

export function check(expr: Expr, environment: Environment): Checked {
  const checker = new Checker(environment)
  const type = checker.typeOf(expr, undefined)
  return {
    issues: checker.issues,
    type,
    types: checker.types,
    qualified: checker.qualified,
    typeNames: checker.typeNames,
    dotted: checker.dotted,
  }
}

class Checker {
  readonly issues: Issue[] = []
  readonly types = new Map<Expr, Type>()
  readonly qualified = new Map<Call, string>()
  readonly typeNames = new Map<Expr, string>()
  readonly dotted = new Map<Expr, string>()
  private readonly environment: Environment

  constructor(environment: Environment) {
    this.environment = environment
  }

  typeOf(expr: Expr, scope: Scope | undefined): Type {
    const type = this.find(expr, scope)
    this.types.set(expr, type)
    return type
  }

  private complain(at: number, message: string): Type {
    this.issues.push({ at, message })
    return dyn
  }

  private find(expr: Expr, scope: Scope | undefined): Type {
    switch (expr.kind) {
      case 'literal':
        return literalType(expr.value, expr.unsigned)
      case 'ident': {
        const found = this.variable(expr.name, scope)
        if (found !== undefined) return found
        if (typeNames.has(expr.name)) {
          this.typeNames.set(expr, expr.name)
          return typeType
        }
        return this.complain(expr.at, `undeclared reference to '${expr.name}' (in container '')`)
      }
      case 'select':
        return this.selection(expr, scope)
      case 'call':
        return this.call(expr, scope)
      case 'list':
        return listOf(joined(expr.items.map(({ value, optional }) => unwrapped(this.typeOf(value, scope), optional))))
      case 'map': {
        const keys = expr.entries.map(({ key }) => this.typeOf(key, scope))
        const values = expr.entries.map(({ value, optional }) => unwrapped(this.typeOf(value, scope), optional))
        return mapOf(joined(keys), joined(values))
      }
      case 'struct':
        return this.struct(expr, scope)
      case 'macro':
        return this.macro(expr, scope)
    }
  }

  // A macro's variable of the name's first part.
  private local(name: string, scope: Scope | undefined): Type | undefined {
    const dot = name.indexOf('.')
    const first = dot < 0 ? name : name.slice(0, dot)
    for (let at = scope; at !== undefined; at = at.outer) if (at.name === first) return at.type
    return undefined
  }

  private variable(name: string, scope: Scope | undefined): Type | undefined {
    const local = name.includes('.') ? undefined : this.local(name, scope)
    if (local !== undefined) return local
    return Object.hasOwn(this.environment.variables, name) ? this.environment.variables[name] : undefined
  }

  private selection(expr: Select, scope: Scope | undefined): Type {
    const name = dottedName(expr)
    if (name !== undefined && typeNames.has(name) && this.variable(name.slice(0, name.indexOf('.')), scope) === undefined) {
      this.typeNames.set(expr, name)
      return typeType
    }
    const declared = name === undefined || expr.test === true ? undefined : this.variable(name, undefined)
    if (declared !== undefined && this.local(name!, scope) === undefined) {
      this.dotted.set(expr, name!)
      return declared
    }
    const operand = this.typeOf(expr.operand, scope)
    if (operand.kind === 'optional') {
      const inner = this.field(expr, operand.value)
      return expr.test === true ? bool : optionalOf(inner)
    }
    const type = this.field(expr, operand)
    if (expr.test === true) return bool
    return expr.optional === true ? optionalOf(type) : type
  }

  private field({ field, at }: Select, operand: Type): Type {
    if (operand.kind === 'dyn') return dyn
    if (operand.kind === 'map') return operand.value
    if (operand.kind === 'object') {
      return operand.fields.get(field)?.type ?? this.complain(at, `undefined field '${field}'`)
    }
    return this.complain(at, `type '${formatType(operand)}' does not support field selection`)
  }

  private struct({ name, fields, at }: StructExpr, scope: Scope | undefined): Type {
    for (const { value } of fields) this.typeOf(value, scope)
    if (this.environment.makesStruct?.(name) !== true) return this.complain(at, `undeclared reference to '${name}' (in container '')`)
    return { kind: 'opaque', name }
  }

  private call(expr: Call, scope: Scope | undefined): Type {
    const { name, target, args, at } = expr
    const prefix = target === undefined ? undefined : dottedName(target)
    if (prefix !== undefined && functions.has(`${prefix}.${name}`) && this.variable(prefix, scope) === undefined) {
      this.qualified.set(expr, `${prefix}.${name}`)
      return this.overloaded(
        `${prefix}.${name}`,
        undefined,
        args.map((arg) => this.typeOf(arg, scope)),
        at,
      )
    }
    const receiver = target === undefined ? undefined : this.typeOf(target, scope)
    const types = args.map((arg) => this.typeOf(arg, scope))
    return operator(name, types) ?? this.overloaded(name, receiver, types, at)
  }

  private overloaded(name: string, receiver: Type | undefined, args: readonly Type[], at: number): Type {
    const all = functions.get(name)?.filter(({ method }) => method === (receiver !== undefined)) ?? []
    const given = receiver === undefined ? args : [receiver, ...args]
    const results = all.flatMap((overload) => resultOf(overload, given) ?? [])
    if (results.length > 0) return joined(results)
    if (!functions.has(name) && !operators.has(name)) return this.complain(at, `undeclared reference to '${name}' (in container '')`)
    const list = args.map(formatType).join(', ')
    const shown = receiver === undefined ? `(${list})` : `${formatType(receiver)}.(${list})`
    return this.complain(at, `found no matching overload for '${name}' applied to '${shown}'`)
  }

  private macro(expr: Macro, scope: Scope | undefined): Type {
    const { name, range, variables, filter, body } = expr
    const rangeType = this.typeOf(range, scope)
    if (name === 'bind') {
      if (this.environment.binds !== true) return this.complain(expr.at, "undeclared reference to 'cel' (in container '')")
      return this.typeOf(body, { name: variables[0]!, type: rangeType, outer: scope })
    }
    const types = name === 'optMap' || name === 'optFlatMap' ? [optionalInner(rangeType)] : iterated(rangeType, variables.length)
    if (types === undefined) {
      const shown = formatType(rangeType)
      return this.complain(range.at, `expression of type '${shown}' cannot be range of a comprehension (must be list, map, or dynamic)`)
    }
    let inner = scope
    for (const [i, variable] of variables.entries()) inner = { name: variable, type: types[i] ?? dyn, outer: inner }
    if (filter !== undefined) this.condition(filter, inner)
    switch (name) {
      case 'all':
      case 'exists':
      case 'exists_one':
        this.condition(body, inner)
        return bool
      case 'filter':
        this.condition(body, inner)
        return listOf(types[0] ?? dyn)
      case 'sortBy':
        this.typeOf(body, inner)
        return listOf(types[0] ?? dyn)
      case 'map':
      case 'transformList':
        return listOf(this.typeOf(body, inner))
      case 'transformMap':
        return mapOf(types[0] ?? dyn, this.typeOf(body, inner))
      case 'transformMapEntry': {
        const type = this.typeOf(body, inner)
        return type.kind === 'map' ? type : mapOf(dyn, dyn)
      }
      case 'optMap':
        return optionalOf(this.typeOf(body, inner))
      case 'optFlatMap':
        return this.typeOf(body, inner)
    }
  }

  private condition(expr: Expr, scope: Scope | undefined): void {
    const type = this.typeOf(expr, scope)
    if (!assignable(type, bool, new Map())) this.complain(expr.at, `expected type 'bool' but found '${formatType(type)}'`)
  }
}

function literalType(value: unknown, unsigned: true | undefined): Type {
  if (value === null) return nullType
  if (typeof value === 'boolean') return bool
  if (typeof value === 'bigint') return unsigned === true ? uint : int
  if (typeof value === 'number') return double
  return typeof value === 'string' ? { ...string, max: value.length } : bytes
}

function unwrapped(type: Type, optional: boolean): Type {
  return optional && type.kind === 'optional' ? type.value : type
}

function optionalInner(type: Type): Type | undefined {
  return type.kind === 'optional' ? type.value : type.kind === 'dyn' ? dyn : undefined
}

// The types of a comprehension's variables.
function iterated(range: Type, variables: number): (Type | undefined)[] | undefined {
  if (range.kind === 'dyn') return [dyn, dyn]
  if (range.kind === 'list') return variables === 1 ? [range.element] : [int, range.element]
  if (range.kind === 'map') return [range.key, range.value]
  return range.kind === 'object' ? [string, dyn] : undefined
}

// Operators that are no plain functions. Undefined: not one of them, or not so applied.
function operator(name: string, types: readonly Type[]): Type | undefined {
  const [a = dyn, b = dyn, c = dyn] = types
  const isBool = (type: Type): boolean => assignable(type, bool, new Map())
  switch (name) {
    case '_&&_':
    case '_||_':
      return isBool(a) && isBool(b) ? bool : undefined
    case '_?_:_':
      if (!isBool(a)) return undefined
      return assignable(b, c, new Map()) || assignable(c, b, new Map()) ? joined([b, c]) : undefined
    case '_[_]':
      if (a.kind === 'optional') return optionalOf(indexed(a.value, b) ?? dyn)
      return undefined
    case '_[?_]': {
      const element = indexed(a.kind === 'optional' ? a.value : a, b)
      return element === undefined ? undefined : optionalOf(element)
    }
    default:
      return undefined
  }
}

function indexed(container: Type, key: Type): Type | undefined {
  if (container.kind === 'dyn') return dyn
  if (container.kind === 'list') return assignable(key, int, new Map()) ? container.element : undefined
  if (container.kind === 'map') return assignable(key, container.key, new Map()) ? container.value : undefined
  return undefined
}

function resultOf({ args, result }: Overload, given: readonly Type[]): Type | undefined {
  if (args.length !== given.length) return undefined
  const bindings: Bindings = new Map()
  for (const [i, type] of given.entries()) if (!assignable(type, args[i]!, bindings)) return undefined
  return substitute(result, bindings)
}
