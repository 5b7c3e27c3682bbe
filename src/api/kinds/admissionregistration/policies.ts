// What admission policies and their bindings share. Expressions are compiled where they are run, not here.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { type Column, column } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import type { KubeObject } from '../../object.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1035Label, checkDns1123Subdomain, checkPathSegment, nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, nameColumn, unset } from '../columns.ts'
import { validateFailurePolicy, validateMatchConditions, validateMatchResources } from './rules.ts'

type PolicySpec = Pick<
  admissionV1.ValidatingAdmissionPolicySpec,
  'paramKind' | 'matchConstraints' | 'failurePolicy' | 'matchConditions' | 'variables'
>
type BindingSpec = Pick<admissionV1.ValidatingAdmissionPolicyBindingSpec, 'paramRef' | 'matchResources'> & { policyName?: string }

interface PolicyBinding extends KubeObject {
  spec: BindingSpec
}

const reserved = new Set(['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if'])
for (const word of ['import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while']) reserved.add(word)

export function validatePolicySpec(spec: PolicySpec, path: string): FieldError[] {
  const errors = validateFailurePolicy(spec.failurePolicy, `${path}.failurePolicy`)
  if (spec.paramKind !== undefined) errors.push(...validateParamKind(spec.paramKind, `${path}.paramKind`))
  if (spec.matchConstraints === undefined) errors.push(required(`${path}.matchConstraints`))
  else {
    errors.push(...validateMatchResources(spec.matchConstraints, `${path}.matchConstraints`))
    if ((spec.matchConstraints.resourceRules ?? []).length === 0) errors.push(required(`${path}.matchConstraints.resourceRules`))
  }
  errors.push(...validateMatchConditions(spec.matchConditions, `${path}.matchConditions`))
  for (const [i, { name, expression }] of (spec.variables ?? []).entries()) {
    const at = `${path}.variables[${i}]`
    if (name.trim() === '') errors.push(required(`${at}.name`, 'name is not specified'))
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || reserved.has(name)) {
      errors.push(invalid(`${at}.name`, name, 'must be a valid CEL identifier'))
    }
    if (expression.trim() === '') errors.push(required(`${at}.expression`, 'expression is not specified'))
  }
  return errors
}

function validateParamKind({ apiVersion = '', kind = '' }: admissionV1.ParamKind, path: string): FieldError[] {
  const errors = apiVersion === '' ? [required(`${path}.apiVersion`)] : validateApiVersion(apiVersion, `${path}.apiVersion`)
  if (kind === '') return [...errors, required(`${path}.kind`)]
  const problems = checkDns1035Label(kind.toLowerCase())
  if (problems.length === 0) return errors
  return [...errors, invalid(`${path}.kind`, kind, `may have mixed case, but should otherwise match: ${problems.join(',')}`)]
}

function validateApiVersion(apiVersion: string, path: string): FieldError[] {
  const parts = apiVersion.split('/')
  if (parts.length > 2) return [invalid(path, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)]
  const [group, version] = parts.length === 2 ? [parts[0]!, parts[1]!] : ['', parts[0]!]
  const errors: FieldError[] = []
  const groupProblems = group === '' ? [] : checkDns1123Subdomain(group)
  if (groupProblems.length > 0) errors.push(invalid(path, group, groupProblems.join(',')))
  if (version === '') return [...errors, invalid(path, apiVersion, 'version must be specified')]
  const versionProblems = checkDns1035Label(version)
  return versionProblems.length > 0 ? [...errors, invalid(path, version, versionProblems.join(','))] : errors
}

export function validateBindingSpec({ policyName = '', paramRef, matchResources }: BindingSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (policyName === '') errors.push(required(`${path}.policyName`))
  else errors.push(...invalidEach(`${path}.policyName`, policyName, nameIsDnsSubdomain(policyName, false)))
  if (paramRef !== undefined) errors.push(...validateParamRef(paramRef, `${path}.paramRef`))
  if (matchResources !== undefined) errors.push(...validateMatchResources(matchResources, `${path}.matchResources`))
  return errors
}

function validateParamRef({ name, selector, parameterNotFoundAction }: admissionV1.ParamRef, path: string): FieldError[] {
  const errors: FieldError[] = []
  const both = 'name and selector are mutually exclusive'
  if (name) {
    errors.push(...invalidEach(`${path}.name`, name, checkPathSegment(name)))
    if (selector !== undefined) errors.push(forbidden(`${path}.name`, both))
  }
  if (selector !== undefined) {
    errors.push(...validateLabelSelector(selector, `${path}.selector`))
    if (name) errors.push(forbidden(`${path}.selector`, both))
  }
  if (!name && selector === undefined) errors.push(required(path, 'one of name or selector must be specified'))
  const actions = ['Deny', 'Allow']
  if (!parameterNotFoundAction) errors.push(required(`${path}.parameterNotFoundAction`))
  else if (!actions.includes(parameterNotFoundAction)) {
    errors.push(notSupported(`${path}.parameterNotFoundAction`, parameterNotFoundAction, actions))
  }
  return errors
}

function paramRefCell({ spec }: PolicyBinding): string {
  const { paramRef } = spec
  if (paramRef === undefined) return unset
  return `${paramRef.namespace || '*'}/${paramRef.name ?? ''}`
}

export const bindingColumns: readonly Column<PolicyBinding>[] = [
  nameColumn,
  column<PolicyBinding>('PolicyName', ({ spec }) => spec.policyName ?? ''),
  column<PolicyBinding>('ParamRef', paramRefCell),
  ageColumn,
]

/** The cell for the kind that a policy takes parameters from. */
export function paramKindColumn<T extends { spec: PolicySpec }>(): Column<T> {
  return column<T>('ParamKind', ({ spec }) => {
    const { paramKind } = spec
    return paramKind === undefined ? unset : `${paramKind.apiVersion ?? ''}/${paramKind.kind ?? ''}`
  })
}
