// Options of authentication and authorization beyond single files: configuration files that are followed while the server runs, modes,
// webhooks. Refusals are Kubernetes' where it has them.

import { dirname } from 'node:path'
import { type AdmissionSettings, readAdmissionConfiguration } from '#apiserver/admission/admission-configuration'
import { authorizersOfModes, authorizerTypes, type CheckedAuthorizer } from '#apiserver/authz/authorization-configuration'
import type { ConfigFile } from '#apiserver/configuration/config-file'
import type { TokenWebhookOptions } from '#apiserver/create-security'
import { systemClock } from '#base/clock'
import { watchFileText } from '#platform/watched-file'
import { usageFailure } from './failure.ts'
import type { OptionReader } from './option-reader.ts'

export interface SecuritySettings {
  readonly authenticationConfig?: ConfigFile
  readonly authorizationConfig?: ConfigFile
  readonly authorizers?: readonly CheckedAuthorizer[]
  readonly abacPolicy?: string
  readonly tokenWebhook?: TokenWebhookOptions
  readonly admissionSettings?: AdmissionSettings
}

/** Throws a Failure of one line. */
export function securityOf(read: OptionReader, oidcNames: readonly string[]): SecuritySettings {
  const authenticationConfig = configFile(read, 'authentication-config')
  const clash = oidcNames.find((name) => read.said(name))
  if (authenticationConfig !== undefined && clash !== undefined) {
    throw usageFailure('authentication-config file and oidc-* flags are mutually exclusive')
  }
  const tokenWebhook = tokenWebhookOf(read)
  return {
    ...(authenticationConfig === undefined ? {} : { authenticationConfig }),
    ...authorizationOf(read),
    ...(tokenWebhook === undefined ? {} : { tokenWebhook }),
    ...admissionOf(read),
  }
}

function admissionOf(read: OptionReader): Pick<SecuritySettings, 'admissionSettings'> {
  const name = 'admission-control-config-file'
  const text = read.file(name)
  if (text === undefined) return {}
  try {
    return { admissionSettings: readAdmissionConfiguration(text, dirname(read.path(name))) }
  } catch (error) {
    throw usageFailure(`${read.where(name)} ${read.text(name)}: ${(error as Error).message}`)
  }
}

function configFile(read: OptionReader, name: string): ConfigFile | undefined {
  const text = read.file(name)
  if (text === undefined) return undefined
  const path = read.path(name)
  return {
    text,
    // What goes wrong with reading is seen again at the next look.
    follow: (changed, signal) => watchFileText(path, text, changed, { clock: systemClock, signal, onError: () => {} }),
  }
}

const legacyNames = [
  'authorization-mode',
  'authorization-webhook-config-file',
  'authorization-webhook-version',
  'authorization-webhook-cache-authorized-ttl',
  'authorization-webhook-cache-unauthorized-ttl',
]

function authorizationOf(read: OptionReader): Pick<SecuritySettings, 'authorizationConfig' | 'authorizers' | 'abacPolicy'> {
  const authorizationConfig = configFile(read, 'authorization-config')
  const abacPolicy = read.file('authorization-policy-file')
  const abac = abacPolicy === undefined ? {} : { abacPolicy }
  if (authorizationConfig !== undefined) {
    if (legacyNames.some((name) => read.said(name))) {
      throw usageFailure(
        '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
      )
    }
    return { authorizationConfig, ...abac }
  }
  const modes = read.list('authorization-mode')
  checkModes(read, modes)
  return { authorizers: authorizersOfModes(modes, modes.includes('Webhook') ? webhookOf(read) : undefined), ...abac }
}

function checkModes(read: OptionReader, modes: readonly string[]): void {
  const refuse = (why: string): never => {
    throw usageFailure(why)
  }
  if (modes.length === 0) refuse('at least one authorization-mode must be passed')
  for (const mode of modes) {
    if (!authorizerTypes.some((type) => type === mode)) {
      refuse(`authorization-mode "${mode}" is not a valid mode; choose from ${authorizerTypes.join(', ')}`)
    }
  }
  const needs = (mode: string, name: string, missing: string): void => {
    if (modes.includes(mode) && !read.has(name)) refuse(missing)
    if (!modes.includes(mode) && read.has(name)) refuse(`cannot specify --${name} without mode ${mode}`)
  }
  needs('ABAC', 'authorization-policy-file', "authorization-mode ABAC's authorization policy file not passed")
  needs('Webhook', 'authorization-webhook-config-file', "authorization-mode Webhook's authorization config file not passed")
  if (new Set(modes).size !== modes.length) {
    refuse(`authorization-mode [${modes.map((mode) => `"${mode}"`).join(' ')}] has mode specified more than once`)
  }
}

function webhookOf(read: OptionReader) {
  read.file('authorization-webhook-config-file')
  return {
    kubeconfigFile: read.path('authorization-webhook-config-file'),
    version: versionOf(read, 'authorization-webhook-version'),
    timeoutMs: 30_000,
    authorizedMs: read.durationMs('authorization-webhook-cache-authorized-ttl', 0),
    unauthorizedMs: read.durationMs('authorization-webhook-cache-unauthorized-ttl', 0),
    failurePolicy: 'NoOpinion' as const,
    conditions: [],
  }
}

function tokenWebhookOf(read: OptionReader): TokenWebhookOptions | undefined {
  if (read.file('authentication-token-webhook-config-file') === undefined) return undefined
  return {
    kubeconfigFile: read.path('authentication-token-webhook-config-file'),
    version: versionOf(read, 'authentication-token-webhook-version'),
    rememberedMs: read.durationMs('authentication-token-webhook-cache-ttl', 0),
  }
}

function versionOf(read: OptionReader, name: string): 'v1' | 'v1beta1' {
  const version = read.text(name)
  if (version === 'v1' || version === 'v1beta1') return version
  throw usageFailure(`${read.where(name)} ${version}: choose from v1, v1beta1`)
}
