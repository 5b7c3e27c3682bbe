// The spec of a CustomResourceDefinition, but for the schemas themselves.
import type { FieldError } from '../../errors.ts'
import type * as apiextensionsV1 from '../../generated/apiextensions-v1.ts'
import { duplicate, forbidden, invalid, notSupported, required, semanticEqual, tooMany } from '../../validation/field-errors.ts'
import { checkDns1035Label, checkDns1123Subdomain } from '../../validation/names.ts'
import { byteLength, isPrintable } from '../../validation/text.ts'
import { validateClientConfig, validateReviewVersions } from '../../validation/webhooks.ts'
import { validateCrdSchema } from './crd-schema.ts'
import { findField } from './field-path.ts'

type Version = apiextensionsV1.CustomResourceDefinitionVersion

const scopes = ['Cluster', 'Namespaced']
const columnTypes = ['boolean', 'date', 'integer', 'number', 'string']
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password']
const deprecationBytesMax = 256
const selectableFieldsMax = 8

// Where a complaint about a part of the versions is placed: what all versions share counts as the definition's own, under an old name.
const sharedParts = {
  schema: 'validation',
  subresources: 'subresources',
  additionalPrinterColumns: 'additionalPrinterColumns',
  selectableFields: 'selectableFields',
} as const

export function validateCrdSpec(spec: apiextensionsV1.CustomResourceDefinitionSpec, path: string): FieldError[] {
  const { group, scope, versions, names } = spec
  const errors = validateGroup(group, `${path}.group`)
  if (scope === '') errors.push(required(`${path}.scope`))
  else if (!scopes.includes(scope)) errors.push(notSupported(`${path}.scope`, scope, scopes))
  const withoutSchema = versions.every(({ schema }) => schema?.openAPIV3Schema === undefined)
  if (withoutSchema || !isShared(versions, 'schema')) {
    for (const [i, { schema }] of versions.entries()) {
      if (schema?.openAPIV3Schema === undefined) errors.push(required(`${path}.versions[${i}].schema.openAPIV3Schema`))
    }
  }
  errors.push(...validateVersions(versions, path))
  for (const field of ['plural', 'singular', 'kind', 'listKind'] as const) {
    if (!names[field]) errors.push(required(`${path}.names.${field}`))
  }
  errors.push(...validateCrdNames(names, `${path}.names`))
  errors.push(...validateSharedParts(versions, path))
  if (spec.conversion !== undefined) errors.push(...validateConversion(spec.conversion, `${path}.conversion`))
  return errors
}

function validateGroup(group: string, path: string): FieldError[] {
  if (group === '') return [required(path)]
  const problems = checkDns1123Subdomain(group)
  if (problems.length > 0) return [invalid(path, group, problems.join(','))]
  return group.includes('.') ? [] : [invalid(path, group, 'should be a domain with at least one dot')]
}

function isShared(versions: readonly Version[], part: keyof typeof sharedParts): boolean {
  return versions.length > 0 && versions.every((version) => semanticEqual(version[part], versions[0]![part]))
}

function validateVersions(versions: readonly Version[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, version] of versions.entries()) {
    const at = `${path}.versions[${i}]`
    const problems = checkDns1035Label(version.name)
    if (problems.length > 0) errors.push(invalid(`${at}.name`, version.name, problems.join(',')))
    errors.push(...validateDeprecation(version, `${at}.deprecationWarning`))
    for (const part of Object.keys(sharedParts) as (keyof typeof sharedParts)[]) {
      if (!isShared(versions, part)) errors.push(...validatePart(version, part, hasStatus(version), `${at}.${part}`))
    }
  }
  if (new Set(versions.map(({ name }) => name)).size < versions.length) {
    errors.push(invalid(`${path}.versions`, versions, 'must contain unique version names'))
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalid(`${path}.versions`, versions, 'must have exactly one version marked as storage version'))
  }
  return errors
}

function validateSharedParts(versions: readonly Version[], path: string): FieldError[] {
  const first = versions[0]
  if (first === undefined) return []
  return (Object.keys(sharedParts) as (keyof typeof sharedParts)[])
    .filter((part) => isShared(versions, part))
    .flatMap((part) => validatePart(first, part, versions.some(hasStatus), `${path}.${sharedParts[part]}`))
}

function hasStatus({ subresources }: Version): boolean {
  return subresources?.status !== undefined
}

function validatePart(version: Version, part: keyof typeof sharedParts, withStatus: boolean, path: string): FieldError[] {
  const { schema, subresources, additionalPrinterColumns, selectableFields } = version
  switch (part) {
    case 'schema':
      return schema === undefined ? [] : validateCrdSchema(schema, withStatus, path)
    case 'subresources':
      return subresources?.scale === undefined ? [] : validateScale(subresources.scale, `${path}.scale`)
    case 'additionalPrinterColumns':
      return (additionalPrinterColumns ?? []).flatMap((column, i) => validateColumn(column, `${path}[${i}]`))
    case 'selectableFields':
      return validateSelectableFields(selectableFields ?? [], schema?.openAPIV3Schema, path)
  }
}

function validateDeprecation({ deprecated, deprecationWarning: warning }: Version, path: string): FieldError[] {
  if (warning === undefined) return []
  if (deprecated !== true) return [invalid(path, warning, 'can only be set for deprecated versions')]
  const errors: FieldError[] = []
  if (byteLength(warning) > deprecationBytesMax) errors.push(invalid(path, warning, 'must be <= 256 characters long'))
  if (warning === '') errors.push(invalid(path, warning, 'must not be an empty string'))
  let index = 0
  for (const char of warning) {
    if (!isPrintable(char)) {
      const detail = `must only contain printable UTF-8 characters; non-printable character found at index ${index}`
      return [...errors, invalid(path, warning, detail)]
    }
    index += byteLength(char)
  }
  return errors
}

export function validateCrdNames(names: apiextensionsV1.CustomResourceDefinitionNames, path: string): FieldError[] {
  const errors: FieldError[] = []
  const label = (value: string, at: string, mixedCase = false): void => {
    if (value === '') return
    const problems = checkDns1035Label(mixedCase ? value.toLowerCase() : value)
    const head = mixedCase ? 'may have mixed case, but should otherwise match: ' : ''
    if (problems.length > 0) errors.push(invalid(at, value, head + problems.join(',')))
  }
  label(names.plural, `${path}.plural`)
  label(names.singular ?? '', `${path}.singular`)
  label(names.kind, `${path}.kind`, true)
  label(names.listKind ?? '', `${path}.listKind`, true)
  for (const [i, name] of (names.shortNames ?? []).entries()) errors.push(...listedLabel(name, `${path}.shortNames[${i}]`))
  if (names.kind !== '' && names.kind === names.listKind) {
    errors.push(invalid(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'))
  }
  for (const [i, name] of (names.categories ?? []).entries()) errors.push(...listedLabel(name, `${path}.categories[${i}]`))
  return errors
}

function listedLabel(name: string, path: string): FieldError[] {
  const problems = checkDns1035Label(name)
  return problems.length === 0 ? [] : [invalid(path, name, problems.join(','))]
}

function validateColumn(column: apiextensionsV1.CustomResourceColumnDefinition, path: string): FieldError[] {
  const errors: FieldError[] = []
  const oneOf = (list: readonly string[]): string => `must be one of ${list.join(',')}`
  if (column.name === '') errors.push(required(`${path}.name`))
  if (column.type === '') errors.push(required(`${path}.type`, oneOf(columnTypes)))
  else if (!columnTypes.includes(column.type)) errors.push(invalid(`${path}.type`, column.type, oneOf(columnTypes)))
  if (column.format && !columnFormats.includes(column.format)) {
    errors.push(invalid(`${path}.format`, column.format, oneOf(columnFormats)))
  }
  if (column.jsonPath === '') errors.push(required(`${path}.JSONPath`))
  else errors.push(...validateSimplePath(column.jsonPath, `${path}.JSONPath`))
  return errors
}

function validateSimplePath(jsonPath: string, path: string): FieldError[] {
  return jsonPath.startsWith('.') ? [] : [invalid(path, jsonPath, 'must be a simple json path starting with .')]
}

function validateScale(scale: apiextensionsV1.CustomResourceSubresourceScale, path: string): FieldError[] {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = scale
  const errors = validateScalePath(specReplicasPath, `${path}.specReplicasPath`, ['.spec.'], 'should be a json path under .spec')
  errors.push(...validateScalePath(statusReplicasPath, `${path}.statusReplicasPath`, ['.status.'], 'should be a json path under .status'))
  if (!labelSelectorPath) return errors
  const under = 'should be a json path under either .spec or .status'
  return [...errors, ...validateScalePath(labelSelectorPath, `${path}.labelSelectorPath`, ['.spec.', '.status.'], under)]
}

function validateScalePath(jsonPath: string, path: string, under: readonly string[], detail: string): FieldError[] {
  if (jsonPath === '') return [required(path)]
  const errors = validateSimplePath(jsonPath, path)
  if (errors.length > 0 || under.some((prefix) => jsonPath.startsWith(prefix))) return errors
  return [invalid(path, jsonPath, detail)]
}

function validateSelectableFields(
  fields: readonly apiextensionsV1.SelectableField[],
  schema: apiextensionsV1.JSONSchemaProps | undefined,
  path: string,
): FieldError[] {
  if (fields.length === 0) return []
  if (schema === undefined) return [invalid(path, '', 'may only be set when `version.schema.openAPIV3Schema` is not included')]
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { jsonPath }] of fields.entries()) {
    const at = `${path}[${i}].jsonPath`
    if (jsonPath === '') {
      errors.push(required(at))
      continue
    }
    const found = findField(jsonPath, schema, false)
    if ('error' in found) {
      errors.push(invalid(at, jsonPath, `is an invalid path: ${found.error}`))
      continue
    }
    if (found.names[0] === 'metadata') errors.push(invalid(at, jsonPath, 'must not point to fields in metadata'))
    if (!['string', 'boolean', 'integer'].includes(found.schema.type ?? '')) {
      const detail = 'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.'
      errors.push(invalid(at, jsonPath, detail))
    }
    if (seen.has(found.path)) errors.push(duplicate(at, jsonPath))
    seen.add(found.path)
  }
  if (seen.size > selectableFieldsMax) errors.push(tooMany(path, seen.size, selectableFieldsMax))
  return errors
}

function validateConversion(conversion: apiextensionsV1.CustomResourceConversion, path: string): FieldError[] {
  const { strategy, webhook } = conversion
  const strategies = ['None', 'Webhook']
  const errors: FieldError[] = []
  if (strategy === '') errors.push(required(`${path}.strategy`))
  else if (!strategies.includes(strategy)) errors.push(notSupported(`${path}.strategy`, strategy, strategies))
  const [config, versions] = [`${path}.webhookClientConfig`, `${path}.conversionReviewVersions`]
  if (strategy !== 'Webhook') {
    const detail = 'should not be set when strategy is not set to Webhook'
    if (webhook?.clientConfig !== undefined) errors.push(forbidden(config, detail))
    if ((webhook?.conversionReviewVersions ?? []).length > 0) errors.push(forbidden(versions, detail))
    return errors
  }
  if (webhook?.clientConfig === undefined) errors.push(required(config, 'required when strategy is set to Webhook'))
  else errors.push(...validateClientConfig(webhook.clientConfig, config))
  const duplicated = (at: string, version: string): FieldError => invalid(at, version, 'duplicate version')
  const words = { missing: '', duplicate: duplicated }
  return [...errors, ...validateReviewVersions(webhook?.conversionReviewVersions ?? [], ['v1', 'v1beta1'], versions, words)]
}
