// AuthorizationConfiguration (apiserver.config.k8s.io/v1): which authorizers are asked, in which order (KEP-3221). Read, checked and
// compiled here; messages are Kubernetes'.
import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { FieldError } from '#api/errors'
import { duplicate, invalid, notSupported, required, tooMany } from '#api/validation/field-errors'
import { nameIsDnsSubdomain } from '#api/validation/names'
import type { Program } from '../cel/cel.ts'
import { loadCel } from '../cel/load.ts'
import { formatType } from '../cel/types.ts'
import { type ConfigurationKind, describeErrors, readConfiguration } from '../configuration/read-configuration.ts'
import { reviewSpecType } from './subject-review.ts'

/** In the order in which Kubernetes lists them. */
export const authorizerTypes = ['ABAC', 'AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'] as const
export type AuthorizerType = (typeof authorizerTypes)[number]

/** Durations are milliseconds. */
export interface WebhookConfiguration {
  readonly authorizedTTL?: number
  readonly cacheAuthorizedRequests?: boolean
  readonly unauthorizedTTL?: number
  readonly cacheUnauthorizedRequests?: boolean
  readonly timeout?: number
  readonly subjectAccessReviewVersion?: string
  readonly matchConditionSubjectAccessReviewVersion?: string
  readonly failurePolicy?: string
  readonly connectionInfo?: { readonly type?: string; readonly kubeConfigFile?: string }
  readonly matchConditions?: readonly { readonly expression?: string }[]
}

export interface AuthorizerConfiguration {
  readonly type: AuthorizerType
  readonly name: string
  readonly webhook?: WebhookConfiguration
}

/** One authorizer that was checked. */
export type CheckedAuthorizer =
  | { readonly type: Exclude<AuthorizerType, 'Webhook'>; readonly name: string }
  | ({ readonly type: 'Webhook'; readonly name: string } & WebhookAuthorizerSettings)

export interface WebhookAuthorizerSettings {
  readonly kubeconfigFile: string
  readonly version: 'v1' | 'v1beta1'
  readonly timeoutMs: number
  /** 0: answers are not remembered. */
  readonly authorizedMs: number
  readonly unauthorizedMs: number
  readonly failurePolicy: 'Deny' | 'NoOpinion'
  readonly conditions: readonly Program[]
}

const configurationKind: ConfigurationKind = {
  group: 'apiserver.config.k8s.io',
  versions: ['v1', 'v1beta1', 'v1alpha1'],
  kind: 'AuthorizationConfiguration',
  shape: {
    fields: {
      authorizers: {
        list: {
          fields: {
            type: 'text',
            name: 'text',
            webhook: {
              fields: {
                authorizedTTL: 'duration',
                cacheAuthorizedRequests: 'boolean',
                unauthorizedTTL: 'duration',
                cacheUnauthorizedRequests: 'boolean',
                timeout: 'duration',
                subjectAccessReviewVersion: 'text',
                matchConditionSubjectAccessReviewVersion: 'text',
                failurePolicy: 'text',
                connectionInfo: { fields: { type: 'text', kubeConfigFile: 'text' } },
                matchConditions: { list: { fields: { expression: 'text' } } },
              },
            },
          },
        },
      },
    },
  },
}

/** Reads and checks a file. Throws an Error that says what is wrong with it. */
export async function readAuthorization(text: string): Promise<readonly CheckedAuthorizer[]> {
  if (text.trim() === '') return checkAuthorization([])
  let said: { authorizers?: readonly AuthorizerConfiguration[] }
  try {
    said = readConfiguration(text, configurationKind)
  } catch (error) {
    throw new Error(`failed to load AuthorizationConfiguration from file: ${(error as Error).message}`)
  }
  const checked = await checkAuthorization(said.authorizers ?? [])
  const misnamed = checked.filter(({ type, name }) => type !== 'Webhook' && name !== type.toLowerCase())
  const texts = misnamed.map(({ type, name }) => `expected name ${type.toLowerCase()} for authorizer ${type} instead of ${name}`)
  if (texts.length > 0) throw new Error(texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`)
  return checked
}

/** The authorizers of Kubernetes' --authorization-mode, each named after its mode. */
export function authorizersOfModes(modes: readonly string[], webhook: WebhookAuthorizerSettings | undefined): readonly CheckedAuthorizer[] {
  return modes.map((mode) => {
    const type = mode as AuthorizerType
    if (type !== 'Webhook') return { type, name: type.toLowerCase() }
    if (webhook === undefined) throw new Error('assertion failed: the mode Webhook comes with its settings')
    return { type, name: 'default', ...webhook }
  })
}

/** Throws an Error that lists all problems. */
export async function checkAuthorization(authorizers: readonly AuthorizerConfiguration[]): Promise<readonly CheckedAuthorizer[]> {
  const errors: FieldError[] = []
  const checked: CheckedAuthorizer[] = []
  if (authorizers.length === 0) errors.push(required('authorizers', 'at least one authorization mode must be defined'))
  const types = new Set<string>()
  const names = new Set<string>()
  for (const [i, { type = '' as AuthorizerType, name = '', webhook }] of authorizers.entries()) {
    const path = `authorizers[${i}]`
    if (!authorizerTypes.includes(type)) {
      errors.push((type as string) === '' ? required(`${path}.type`) : notSupported(`${path}.type`, type, authorizerTypes))
      continue
    }
    if (types.has(type) && type !== 'Webhook') {
      errors.push(duplicate(`${path}.type`, type))
      continue
    }
    types.add(type)
    errors.push(...checkName(name, `${path}.name`, names))
    names.add(name)
    if (type !== 'Webhook') {
      if (webhook !== undefined) errors.push(invalid(`${path}.webhook`, 'non-null', 'may only be specified when type=Webhook'))
      checked.push({ type, name })
    } else if (webhook === undefined) errors.push(required(`${path}.webhook`, 'required when type=Webhook'))
    else checked.push({ type, name, ...(await checkWebhook(webhook, path, errors)) })
  }
  const problem = describeErrors(errors)
  if (problem !== undefined) throw new Error(problem)
  return checked
}

function checkName(name: string, path: string, taken: ReadonlySet<string>): FieldError[] {
  if (name === '') return [required(path)]
  if (taken.has(name)) return [duplicate(path, name)]
  const wrong = nameIsDnsSubdomain(name, false)
  return wrong.length === 0 ? [] : [invalid(path, name, `authorizer name is invalid: ${wrong.join(', ')}`)]
}

const timeoutMsMax = 30_000

async function checkWebhook(said: WebhookConfiguration, path: string, errors: FieldError[]): Promise<WebhookAuthorizerSettings> {
  const { timeout = 0, subjectAccessReviewVersion: version = '', failurePolicy = '' } = said
  const { matchConditions = [], matchConditionSubjectAccessReviewVersion: conditionVersion = '' } = said
  const authorizedMs = said.authorizedTTL || 300_000
  const unauthorizedMs = said.unauthorizedTTL || 30_000
  if (timeout === 0) errors.push(required(`${path}.timeout`))
  else if (timeout < 0 || timeout > timeoutMsMax) errors.push(invalid(`${path}.timeout`, goDuration(timeout), 'must be > 0s and <= 30s'))
  if (authorizedMs < 0) errors.push(invalid(`${path}.authorizedTTL`, goDuration(authorizedMs), 'must be > 0s'))
  if (unauthorizedMs < 0) errors.push(invalid(`${path}.unauthorizedTTL`, goDuration(unauthorizedMs), 'must be > 0s'))
  const chooses = (field: string, value: string, choices: readonly string[]): void => {
    if (value === '') errors.push(required(`${path}.${field}`))
    else if (!choices.includes(value)) errors.push(notSupported(`${path}.${field}`, value, choices))
  }
  chooses('subjectAccessReviewVersion', version, ['v1', 'v1beta1'])
  if (conditionVersion !== '') chooses('matchConditionSubjectAccessReviewVersion', conditionVersion, ['v1'])
  else if (matchConditions.length > 0) {
    errors.push(required(`${path}.matchConditionSubjectAccessReviewVersion`, 'required if match conditions are specified'))
  }
  chooses('failurePolicy', failurePolicy, ['NoOpinion', 'Deny'])
  errors.push(...checkConnection(said.connectionInfo ?? {}, `${path}.connectionInfo`))
  return {
    kubeconfigFile: said.connectionInfo?.kubeConfigFile ?? '',
    version: version as 'v1',
    timeoutMs: timeout,
    authorizedMs: said.cacheAuthorizedRequests === false ? 0 : authorizedMs,
    unauthorizedMs: said.cacheUnauthorizedRequests === false ? 0 : unauthorizedMs,
    failurePolicy: failurePolicy as 'Deny',
    conditions: await compileConditions(matchConditions, `${path}.matchConditions`, errors),
  }
}

function checkConnection({ type = '', kubeConfigFile }: { type?: string; kubeConfigFile?: string }, path: string): FieldError[] {
  const at = `${path}.kubeConfigFile`
  if (type === '') return [required(`${path}.type`)]
  if (type === 'InClusterConfig') {
    return kubeConfigFile === undefined ? [] : [invalid(at, kubeConfigFile, 'can only be set when type=KubeConfigFile')]
  }
  if (type !== 'KubeConfigFile') {
    const shown = { Type: type, KubeConfigFile: kubeConfigFile ?? null }
    return [notSupported(`${path}.type`, shown, ['InClusterConfig', 'KubeConfigFile'])]
  }
  if (!kubeConfigFile) return [required(at)]
  if (!isAbsolute(kubeConfigFile)) return [invalid(at, kubeConfigFile, 'must be an absolute path')]
  try {
    return statSync(kubeConfigFile).isFile() ? [] : [invalid(at, kubeConfigFile, 'must be a regular file')]
  } catch {
    return [invalid(at, kubeConfigFile, `error loading file: stat ${kubeConfigFile}: no such file or directory`)]
  }
}

const conditionsMax = 64

async function compileConditions(
  conditions: readonly { readonly expression?: string }[],
  path: string,
  errors: FieldError[],
): Promise<Program[]> {
  if (conditions.length > conditionsMax) {
    errors.push(tooMany(path, conditions.length, conditionsMax))
    return []
  }
  if (conditions.length === 0) return []
  const cel = await loadCel()
  const programs: Program[] = []
  const seen = new Set<string>()
  for (const [i, { expression = '' }] of conditions.entries()) {
    const at = `${path}[${i}].expression`
    if (expression.trim() === '') errors.push(required(at))
    else if (seen.has(expression)) errors.push(duplicate(at, expression))
    else {
      try {
        const program = await cel.compile(expression, { variables: { request: reviewSpecType } })
        if (program.type.kind === 'bool') programs.push(program)
        else errors.push(invalid(at, expression, `must evaluate to bool but got ${formatType(program.type)}`))
      } catch (error) {
        if (!(error instanceof cel.CelCompileError)) throw error
        errors.push(invalid(at, expression, `compilation failed: ${error.message}`))
      }
    }
    seen.add(expression)
  }
  return programs
}

// As Go prints a duration.
function goDuration(ms: number): string {
  const seconds = Math.abs(ms) / 1_000
  const sign = ms < 0 ? '-' : ''
  if (seconds < 1) return `${sign}${ms === 0 ? '0s' : `${Math.abs(ms)}ms`}`
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)]
  const rest = `${Number((seconds % 60).toFixed(9))}s`
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${sign}${minutes}m${rest}` : `${sign}${rest}`
}
