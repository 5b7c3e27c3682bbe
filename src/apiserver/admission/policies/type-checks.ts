// Looks at a policy's expressions once more, with the types of the objects that it is about: what does not fit is no error (the
// policy may be about objects that are yet to come) but something that its author should know.
import type { ExpressionWarning, ValidatingAdmissionPolicy as Policy, RuleWithOperations } from '#api/generated/admissionregistration-v1'
import type { Kind } from '#api/kind'
import { type Cel, loadCel } from '../../cel/load.ts'
import { dyn, type Type } from '../../cel/types.ts'
import type { KindCatalog } from '../../request.ts'
import { admissionEnvironment } from '../matching/environment.ts'
import { objectType } from './object-types.ts'

// Kinds that are looked at for one rule.
const kindsMax = 10

/** What is wrong with the policy's validations and their messages, in the form of its status. */
export async function checkTypes(policy: Policy, catalog: KindCatalog): Promise<ExpressionWarning[]> {
  const kinds = kindsToCheck(policy, catalog)
  if (kinds.length === 0) return []
  const cel = await loadCel()
  const { paramKind, variables = [], validations = [] } = policy.spec
  const paramsKind = paramKind === undefined ? undefined : catalog.findByKind(paramKind.apiVersion ?? '', paramKind.kind ?? '')
  const checking: readonly Checking[] = await Promise.all(
    kinds.map((kind) => checkingOf(cel, kind, paramsKind && objectType(paramsKind.schema()), variables)),
  )
  const warnings: ExpressionWarning[] = []
  const look = async (fieldRef: string, expression: string | undefined): Promise<void> => {
    if (!expression) return
    const found: string[] = []
    for (const { kind, environment } of checking) {
      const problem = await problemOf(cel, expression, environment)
      if (problem !== undefined) found.push(`${nameOf(kind)}: ${problem}\n`)
    }
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join('\n') })
  }
  for (const [i, { expression, messageExpression }] of validations.entries()) {
    await look(`spec.validations[${i}].expression`, expression)
    await look(`spec.validations[${i}].messageExpression`, messageExpression)
  }
  return warnings
}

interface Checking {
  readonly kind: Kind
  readonly environment: ReturnType<typeof admissionEnvironment>
}

async function checkingOf(cel: Cel, kind: Kind, params: Type | undefined, variables: Policy['spec']['variables']): Promise<Checking> {
  const options = {
    objectType: objectType(kind.schema(), kind.kind),
    ...(params === undefined ? {} : { params }),
    authorizer: true,
    namespaceObject: true,
  }
  const types: Record<string, Type> = {}
  for (const { name, expression } of variables ?? []) {
    const environment = admissionEnvironment({ ...options, variables: { ...types } })
    types[name] = await cel.compile(expression, environment).then(
      ({ type }) => type,
      () => dyn,
    )
  }
  return { kind, environment: admissionEnvironment({ ...options, variables: types }) }
}

async function problemOf(cel: Cel, expression: string, environment: Checking['environment']): Promise<string | undefined> {
  try {
    await cel.compile(expression, environment)
    return undefined
  } catch (error) {
    if (error instanceof cel.CelCompileError) return error.message
    throw error
  }
}

function nameOf({ group, version, kind }: Kind): string {
  return `${group === '' ? '' : `${group}/`}${version}, Kind=${kind}`
}

/** The kinds that the policy's rules name outright, in order; those behind wildcards and subresources are left alone. */
export function kindsToCheck({ spec }: Policy, catalog: KindCatalog): Kind[] {
  const kinds = new Set<Kind>()
  for (const rule of spec.matchConstraints?.resourceRules ?? []) {
    let count = 0
    for (const [group, version, resource] of named(rule)) {
      const kind = catalog.find(group, version, resource)
      if (kind === undefined) continue
      kinds.add(kind)
      if (++count === kindsMax) return inOrder(kinds)
    }
  }
  return inOrder(kinds)
}

function* named({ apiGroups = [], apiVersions = [], resources = [] }: RuleWithOperations): Generator<[string, string, string]> {
  if ([...apiGroups, ...apiVersions].some((text) => text.includes('*'))) return
  const plain = resources.filter((resource) => !/[*/]/.test(resource)).sort()
  for (const group of [...apiGroups].sort()) {
    for (const version of [...apiVersions].sort()) for (const resource of plain) yield [group, version, resource]
  }
}

function inOrder(kinds: Iterable<Kind>): Kind[] {
  const key = ({ group, version, kind }: Kind): string => `${group}\n${version}\n${kind}`
  return [...kinds].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}
