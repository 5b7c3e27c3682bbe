// Expressions are compiled when what carries them is written, so that nobody learns from a refused pod that a policy has a typo:
// policies, match conditions of webhooks, rules of custom resource definitions.
import { type FieldError, invalid as invalidObject } from '#api/errors'
import type {
  MatchCondition,
  MutatingAdmissionPolicy as MutatingPolicy,
  ValidatingAdmissionPolicy as Policy,
  ValidatingWebhookConfiguration as WebhookConfiguration,
} from '#api/generated/admissionregistration-v1'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { MutatingAdmissionPolicy } from '#api/kinds/admissionregistration/mutating-admission-policy'
import { MutatingWebhookConfiguration } from '#api/kinds/admissionregistration/mutating-webhook-configuration'
import { ValidatingAdmissionPolicy } from '#api/kinds/admissionregistration/validating-admission-policy'
import { ValidatingWebhookConfiguration } from '#api/kinds/admissionregistration/validating-webhook-configuration'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { DeviceClass } from '#api/kinds/resource/device-class'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { ResourceClaimTemplate } from '#api/kinds/resource/resource-claim-template'
import { invalid } from '#api/validation/field-errors'
import type { Environment } from '../../cel/check.ts'
import { type Cel, loadCel } from '../../cel/load.ts'
import { assignable, bool, dyn, formatType, listOf, nullType, string, type Type } from '../../cel/types.ts'
import { caBundleProblem } from '../../custom/ca-bundle.ts'
import { checkDefaults } from '../../custom/default-checks.ts'
import { isEstablished } from '../../custom/names.ts'
import { checkPatterns } from '../../custom/patterns.ts'
import { checkRules } from '../../custom/rule-checks.ts'
import { sameJson } from '../../registry/written.ts'
import { admissionEnvironment } from '../matching/environment.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../plugin.ts'
import { checkClaim, checkSelectors } from './device-selectors.ts'
import { makesObject } from './structs.ts'

const objectType: Type = { kind: 'opaque', name: 'Object' }
const patchType: Type = { kind: 'opaque', name: 'JSONPatch' }

const checks: Readonly<Record<string, (object: never) => Promise<FieldError[]>>> = {
  [DeviceClass.id]: ({ spec }: DeviceClass) => checkSelectors(spec.selectors, 'spec.selectors'),
  [ResourceClaim.id]: ({ spec }: ResourceClaim) => checkClaim(spec, 'spec'),
  [ResourceClaimTemplate.id]: ({ spec }: ResourceClaimTemplate) => checkClaim(spec.spec, 'spec.spec'),
  [ValidatingAdmissionPolicy.id]: checkPolicy,
  [MutatingAdmissionPolicy.id]: checkMutatingPolicy,
  [ValidatingWebhookConfiguration.id]: checkWebhooks,
  [MutatingWebhookConfiguration.id]: checkWebhooks,
}

export const expressionChecks: AdmissionPlugin = {
  name: 'ExpressionChecks',
  handles: (operation, kind, subresource) =>
    (operation === 'CREATE' || operation === 'UPDATE') &&
    subresource === '' &&
    (kind.id === CustomResourceDefinition.id || Object.hasOwn(checks, kind.id)),
  async validate(request) {
    const { kind, object, old } = request
    if (object === undefined || sameExpressions(request)) return
    if (kind.id === CustomResourceDefinition.id) {
      const wrong = await checkDefinition(object as CustomResourceDefinition, old as CustomResourceDefinition | undefined)
      if (wrong.length > 0) throw invalidObject(kind, object.metadata.name, wrong)
      return
    }
    const errors = await checks[kind.id]!(object as never)
    if (errors.length === 0) return
    // What was stored once stays writable, whatever has become of the rules about it.
    const before = old === undefined ? [] : await checks[kind.id]!(old as never)
    const fresh = errors.filter(({ detail }) => !before.some((known) => known.detail === detail))
    if (fresh.length > 0) throw invalidObject(kind, object.metadata.name, fresh)
  },
}

function sameExpressions({ object, old }: AdmissionRequest): boolean {
  if (old === undefined) return false
  const { metadata: _, ...now } = object as unknown as Record<string, unknown>
  const { metadata: __, ...before } = old as unknown as Record<string, unknown>
  return sameJson({ ...now, status: null }, { ...before, status: null })
}

/** Compiles, and says in Kubernetes' words what is wrong. */
async function problem(
  cel: Cel,
  source: string,
  environment: Environment,
  results?: readonly Type[],
): Promise<{ type: Type } | { error: string }> {
  try {
    const { type } = await cel.compile(source, environment)
    if (results === undefined || results.some((wanted) => isOf(type, wanted))) return { type }
    const names = results.map(typeName)
    const wanted = names.length === 1 ? names[0] : `one of [${names.join(' ')}]`
    return { error: `must evaluate to ${wanted} but got ${typeName(type)}` }
  } catch (error) {
    if (error instanceof cel.CelCompileError) {
      return { error: `${error.step === 'instantiation' ? 'program ' : ''}${error.step} failed: ${error.message}` }
    }
    throw error
  }
}

// What is of any type is of none in particular: only when it is run is it too late to say so.
function isOf(type: Type, wanted: Type): boolean {
  return type.kind === wanted.kind && assignable(type, wanted, new Map())
}

function typeName(type: Type): string {
  return type.kind === 'null' ? 'null_type' : formatType(type)
}

class Checking {
  readonly errors: FieldError[] = []
  private readonly cel: Cel

  constructor(cel: Cel) {
    this.cel = cel
  }

  async expression(path: string, source: string | undefined, environment: Environment, results?: readonly Type[]): Promise<Type> {
    if (source === undefined || source.trim() === '') return dyn
    const outcome = await problem(this.cel, source, environment, results)
    if ('type' in outcome) return outcome.type
    this.errors.push(invalid(path, source, outcome.error))
    return dyn
  }

  async conditions(path: string, conditions: readonly MatchCondition[] | undefined, environment: Environment): Promise<void> {
    for (const [i, { expression }] of (conditions ?? []).entries()) {
      await this.expression(`${path}.matchConditions[${i}].expression`, expression?.trim(), environment, [bool])
    }
  }

  /** The types of a policy's variables; those that do not compile are of any type. */
  async variables(variables: Policy['spec']['variables'], params: boolean): Promise<Record<string, Type>> {
    const types: Record<string, Type> = {}
    for (const [i, { name, expression }] of (variables ?? []).entries()) {
      const environment = admissionEnvironment({ params, authorizer: true, namespaceObject: true, variables: { ...types } })
      types[name] = await this.expression(`spec.variables[${i}].expression`, expression, environment)
    }
    return types
  }
}

async function checkPolicy({ spec }: Policy): Promise<FieldError[]> {
  const checking = new Checking(await loadCel())
  const params = spec.paramKind !== undefined
  const variables = await checking.variables(spec.variables, params)
  await checking.conditions('spec', spec.matchConditions, admissionEnvironment({ params, authorizer: true }))
  const environment = admissionEnvironment({ params, authorizer: true, namespaceObject: true, variables })
  const messages = admissionEnvironment({ params, namespaceObject: true, variables })
  for (const [i, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    await checking.expression(`spec.validations[${i}].expression`, expression, environment, [bool])
    await checking.expression(`spec.validations[${i}].messageExpression`, messageExpression, messages, [string])
  }
  for (const [i, { valueExpression }] of (spec.auditAnnotations ?? []).entries()) {
    await checking.expression(`spec.auditAnnotations[${i}].valueExpression`, valueExpression, environment, [string, nullType])
  }
  return checking.errors
}

async function checkMutatingPolicy({ spec }: MutatingPolicy): Promise<FieldError[]> {
  const checking = new Checking(await loadCel())
  const params = spec.paramKind !== undefined
  const variables = await checking.variables(spec.variables, params)
  await checking.conditions('spec', spec.matchConditions, admissionEnvironment({ params, authorizer: true }))
  const environment = admissionEnvironment({ params, authorizer: true, namespaceObject: true, variables, makesStruct: makesObject })
  for (const [i, { applyConfiguration, jsonPatch }] of (spec.mutations ?? []).entries()) {
    const at = `spec.mutations[${i}]`
    await checking.expression(`${at}.applyConfiguration.expression`, applyConfiguration?.expression?.trim(), environment, [objectType])
    await checking.expression(`${at}.jsonPatch.expression`, jsonPatch?.expression?.trim(), environment, [listOf(patchType)])
  }
  return checking.errors
}

async function checkWebhooks({ webhooks = [] }: WebhookConfiguration): Promise<FieldError[]> {
  if (webhooks.every(({ matchConditions = [] }) => matchConditions.length === 0)) return []
  const checking = new Checking(await loadCel())
  const environment = admissionEnvironment({ authorizer: true })
  for (const [i, { matchConditions }] of webhooks.entries()) await checking.conditions(`webhooks[${i}]`, matchConditions, environment)
  return checking.errors
}

// Schemas that an update leaves as they were are not looked at again.
async function checkDefinition({ spec }: CustomResourceDefinition, old: CustomResourceDefinition | undefined): Promise<FieldError[]> {
  const errors = checkBundle(spec.conversion, old)
  const schemas = spec.versions.map(({ schema }) => schema?.openAPIV3Schema)
  const [first] = schemas
  const isNew = (i: number): boolean => {
    const before = old?.spec.versions.find(({ name }) => name === spec.versions[i]!.name)
    return schemas[i] !== undefined && !sameJson(before?.schema?.openAPIV3Schema, schemas[i])
  }
  // A schema that all versions share is named once.
  if (schemas.every((schema) => sameJson(schema, first))) {
    const wanted = first !== undefined && schemas.some((_, i) => isNew(i))
    return wanted ? [...errors, ...(await checkSchema(first, 'spec.validation.openAPIV3Schema'))] : errors
  }
  for (const [i, schema] of schemas.entries()) {
    if (schema !== undefined && isNew(i)) errors.push(...(await checkSchema(schema, `spec.versions[${i}].schema.openAPIV3Schema`)))
  }
  return errors
}

// A definition that is served keeps certificates that can be used, if it had such.
function checkBundle(conversion: CustomResourceDefinition['spec']['conversion'], old: CustomResourceDefinition | undefined): FieldError[] {
  const bundle = conversion?.webhook?.clientConfig?.caBundle
  const problem = caBundleProblem(bundle)
  if (problem === undefined || old === undefined || !isEstablished(old)) return []
  if (caBundleProblem(old.spec.conversion?.webhook?.clientConfig?.caBundle) !== undefined) return []
  return [invalid('spec.conversion.webhookClientConfig.caBundle', bundle, problem)]
}

async function checkSchema(schema: JSONSchemaProps, path: string): Promise<FieldError[]> {
  const patterns = await checkPatterns(schema, path)
  if (patterns.length > 0) return patterns
  // Rules are told about only when all that they build upon is well.
  const defaults = await checkDefaults(schema, path)
  return defaults.length > 0 ? defaults : checkRules(schema, path)
}
