// Kubernetes' authorizer library: expressions may ask what somebody is allowed to do.
import type { Eventual } from '#base/eventual'
import type { Attributes, Authorizer, Decision } from '../../authz/authorizer.ts'
import type { User } from '../../request.ts'
import type { Opaque } from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'

// One question of the authorizer is as dear as this many steps.
const checkCost = 350_000
// A selector may hold a requirement for each two characters; each makes a list and a struct.
const selecting = (_: number, selector: number): number => 10 + perChar(selector) + Math.ceil(Math.ceil(selector * 0.5) * 50)

/** The variable `authorizer`, about one user. */
export class AuthorizerValue implements Opaque {
  readonly opaque = 'kubernetes.authorization.Authorizer'
  readonly authorizer: Authorizer
  readonly user: User
  /** What was waited for already. */
  readonly known: Map<string, Decision>
  constructor(authorizer: Authorizer, user: User, known: Map<string, Decision> = new Map()) {
    this.authorizer = authorizer
    this.user = user
    this.known = known
  }

  decide(attributes: Attributes): DecisionValue {
    const key = this.known.size === 0 ? '' : JSON.stringify(attributes)
    const before = this.known.get(key)
    if (before !== undefined) return new DecisionValue(before)
    const decision = this.authorizer.authorize(attributes)
    if (!(decision instanceof Promise)) return new DecisionValue(decision)
    throw new DecisionAwaited(decision.then((found) => void this.known.set(JSON.stringify(attributes), found)))
  }
}

/** Expressions are evaluated in one go: one that has to wait for a decision is broken off, and begins anew when it is known. */
class DecisionAwaited extends Error {
  override readonly name = 'DecisionAwaited'
  readonly known: Promise<void>
  constructor(known: Promise<void>) {
    super('a decision has to be waited for')
    this.known = known
  }
}

// More than an expression's budget allows for.
const waitsMax = 100

/** Runs what evaluates expressions, once more after each decision that has to be waited for. */
export function whenDecided<T>(evaluate: () => T, waits = waitsMax): Eventual<T> {
  try {
    return evaluate()
  } catch (error) {
    if (!(error instanceof DecisionAwaited) || waits === 0) throw error
    return error.known.then(() => whenDecided(evaluate, waits - 1))
  }
}

interface Question {
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly fieldSelector: string
  readonly labelSelector: string
}

class PathCheck implements Opaque {
  readonly opaque = 'kubernetes.authorization.PathCheck'
  readonly of: AuthorizerValue
  readonly path: string
  constructor(of: AuthorizerValue, path: string) {
    this.of = of
    this.path = path
  }
}

class GroupCheck implements Opaque {
  readonly opaque = 'kubernetes.authorization.GroupCheck'
  readonly of: AuthorizerValue
  readonly group: string
  constructor(of: AuthorizerValue, group: string) {
    this.of = of
    this.group = group
  }
}

/** A question about a resource, still without its verb; also the variable `authorizer.requestResource`. */
export class ResourceCheck implements Opaque {
  readonly opaque = 'kubernetes.authorization.ResourceCheck'
  readonly of: AuthorizerValue
  readonly question: Question
  constructor(of: AuthorizerValue, question: Partial<Question>) {
    this.of = of
    this.question = { group: '', resource: '', subresource: '', namespace: '', name: '', fieldSelector: '', labelSelector: '', ...question }
  }

  with(more: Partial<Question>): ResourceCheck {
    return new ResourceCheck(this.of, { ...this.question, ...more })
  }
}

class DecisionValue implements Opaque {
  readonly opaque = 'kubernetes.authorization.Decision'
  readonly decision: Decision
  constructor(decision: Decision) {
    this.decision = decision
  }
}

function ask({ of, question }: ResourceCheck, verb: string): DecisionValue {
  const { fieldSelector, labelSelector, ...rest } = question
  return of.decide({
    user: of.user,
    isResource: true,
    verb,
    version: '*',
    path: '',
    ...rest,
    ...(fieldSelector === '' ? {} : { fieldSelector }),
    ...(labelSelector === '' ? {} : { labelSelector }),
  })
}

function askPath({ of, path }: PathCheck, verb: string): DecisionValue {
  const nothing = { group: '', version: '', resource: '', subresource: '', namespace: '', name: '' }
  return of.decide({ user: of.user, isResource: false, verb, path, ...nothing })
}

function asServiceAccount({ authorizer, known }: AuthorizerValue, namespace: string, name: string): AuthorizerValue {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
  return new AuthorizerValue(authorizer, { name: `system:serviceaccount:${namespace}:${name}`, groups }, known)
}

const A = 'kubernetes.authorization.Authorizer'
const R = 'kubernetes.authorization.ResourceCheck'
const D = 'kubernetes.authorization.Decision'
const dear = (): number => checkCost

export const authorizerFunctions: readonly Overload[] = [
  fn(`${A}->path(string): kubernetes.authorization.PathCheck`, (of: AuthorizerValue, path: string) => new PathCheck(of, path)),
  fn(`${A}->group(string): kubernetes.authorization.GroupCheck`, (of: AuthorizerValue, group: string) => new GroupCheck(of, group)),
  fn(`${A}->serviceAccount(string, string): ${A}`, asServiceAccount),
  fn(
    `kubernetes.authorization.GroupCheck->resource(string): ${R}`,
    ({ of, group }: GroupCheck, resource: string) => new ResourceCheck(of, { group, resource }),
  ),
  fn(`${R}->subresource(string): ${R}`, (check: ResourceCheck, subresource: string) => check.with({ subresource })),
  fn(`${R}->namespace(string): ${R}`, (check: ResourceCheck, namespace: string) => check.with({ namespace })),
  fn(`${R}->name(string): ${R}`, (check: ResourceCheck, name: string) => check.with({ name })),
  fn(`${R}->fieldSelector(string): ${R}`, (check: ResourceCheck, fieldSelector: string) => check.with({ fieldSelector }), selecting),
  fn(`${R}->labelSelector(string): ${R}`, (check: ResourceCheck, labelSelector: string) => check.with({ labelSelector }), selecting),
  fn(`${R}->check(string): ${D}`, ask, dear),
  fn(`kubernetes.authorization.PathCheck->check(string): ${D}`, askPath, dear),
  fn(`${D}->allowed(): bool`, ({ decision }: DecisionValue) => decision.verdict === 'allow'),
  fn(`${D}->reason(): string`, ({ decision }: DecisionValue) => decision.reason),
  fn(`${D}->errored(): bool`, ({ decision }: DecisionValue) => decision.error !== undefined),
  fn(`${D}->error(): string`, ({ decision }: DecisionValue) => decision.error ?? ''),
]
