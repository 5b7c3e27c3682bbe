// What the options of `navarch server` come to: flags, then the configuration file, then defaults; checked, with files read. What is
// wrong is told in one line that says what to do.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { allKinds, optionalKinds } from '#api/kinds/all'
import { defaultPlugins } from '#apiserver/admission/names'
import type { OidcSettings } from '#apiserver/authn/oidc'
import { parseRuntimeConfig, unservedKinds } from '#apiserver/runtime-config'
import { jwtAlgorithms } from '#platform/jwt'
import { type AuditSettings, auditOf } from './audit-options.ts'
import { usageFailure } from './failure.ts'
import { OptionReader, type Said } from './option-reader.ts'
import { type SecuritySettings, securityOf } from './security-options.ts'
import { serverOptions } from './server-options-table.ts'

/** The options as they were said or defaulted, checked. Times are milliseconds, files their contents. */
export interface ServerSettings extends SecuritySettings {
  readonly bindAddress: string
  readonly tls?: { readonly certificatePem: string; readonly privateKeyPem: string }
  readonly clientCaPem?: string
  readonly streamsMax: number
  readonly anonymousAuth: boolean
  /** Whether that was said, and is not only the default. */
  readonly anonymousAuthSaid: boolean
  readonly tokenFile?: string
  readonly requestHeaderCaPem?: string
  readonly requestHeaderNames: readonly string[]
  readonly issuers: readonly string[]
  readonly signingKeyPem?: string
  readonly verificationKeysPem: readonly string[]
  readonly tokenSecondsMax?: number
  readonly extendTokens: boolean
  readonly audiences: readonly string[]
  readonly disabledAdmission: ReadonlySet<string>
  /** Ids of built-in kinds that are not served. */
  readonly unserved: ReadonlySet<string>
  readonly readOnlyRequestsMax: number
  readonly mutatingRequestsMax: number
  readonly requestTimeoutMs: number
  readonly watchSecondsMin: number
  readonly eventTtlMs: number
  readonly oidc?: OidcSettings
  readonly audit?: AuditSettings
  readonly shutdownDelayMs: number
  readonly shutdownDrainMs: number
}

/**
 * What flags (by option name) and the file that `config` names come to. Throws a Failure of one line that says what to do.
 */
export function readServerSettings(flags: Readonly<Record<string, unknown>>, config: string | undefined): ServerSettings {
  const file = config === undefined ? {} : readConfigFile(config)
  const base = config === undefined ? process.cwd() : dirname(resolve(config))
  const said = new Map<string, Said>()
  for (const { name, type } of serverOptions) {
    const many = type === 'texts' || type === 'files'
    const flag = flags[name]
    const value = flag ?? file[name]
    if (value === undefined) continue
    const from = flag === undefined ? { base, where: `${name} in ${config}` } : { base: process.cwd(), where: `--${name}` }
    said.set(name, { value: plainValue(value, many, from.where), ...from })
  }
  return settingsOf(said)
}

function readConfigFile(path: string): Record<string, unknown> {
  let document: unknown
  try {
    document = parseYaml(readFileSync(path, 'utf8'), { maxAliasCount: 10 })
  } catch (error) {
    throw usageFailure(`--config ${path}: ${(error as Error).message.split('\n')[0]}`)
  }
  if (document === null || document === undefined) return {}
  if (typeof document !== 'object' || Array.isArray(document))
    throw usageFailure(`--config ${path}: it must be a list of "option: value" lines`)
  const strange = Object.keys(document).find((name) => !serverOptions.some((known) => known.name === name))
  if (strange !== undefined) throw usageFailure(`--config ${path}: there is no option ${strange}; see docs/server.md`)
  return document as Record<string, unknown>
}

function plainValue(value: unknown, many: boolean, where: string): Said['value'] {
  const plain = (item: unknown): string => {
    if (typeof item === 'string') return item
    if (typeof item === 'number' || typeof item === 'boolean') return String(item)
    throw usageFailure(`${where}: give it a ${many ? 'text or a list of texts' : 'single value'}`)
  }
  if (!Array.isArray(value)) return many ? [plain(value)] : plain(value)
  return many ? value.map(plain) : value.map(plain).join(',')
}

function settingsOf(said: ReadonlyMap<string, Said>): ServerSettings {
  const read = new OptionReader(said)
  const certificatePem = read.file('tls-cert-file')
  const privateKeyPem = read.file('tls-private-key-file')
  if ((certificatePem === undefined) !== (privateKeyPem === undefined)) {
    throw usageFailure('--tls-cert-file and --tls-private-key-file go together: give both, or neither')
  }
  if (read.has('feature-gates')) {
    throw usageFailure(`${read.where('feature-gates')} ${read.text('feature-gates')}: feature gates cannot be set here; leave it away`)
  }
  const clientCaPem = pemOf(read, 'client-ca-file')
  const requestHeaderCaPem = pemOf(read, 'requestheader-client-ca-file')
  const tokenFile = read.file('token-auth-file')
  const signingKeyPem = pemOf(read, 'service-account-signing-key-file')
  const tokenMs = read.durationMs('service-account-max-token-expiration', 0)
  if (tokenMs > 0 && tokenMs < 3_600_000) {
    throw usageFailure(
      `${read.where('service-account-max-token-expiration')} ${read.text('service-account-max-token-expiration')}: give at least 1h`,
    )
  }
  const issuers = read.texts('service-account-issuer')
  const audit = auditOf(read)
  const oidc = oidcOf(read)
  return {
    ...securityOf(read, oidcNames),
    anonymousAuthSaid: read.said('anonymous-auth'),
    bindAddress: read.text('bind-address'),
    streamsMax: read.number('http2-max-streams-per-connection', 1, 100_000),
    anonymousAuth: read.boolean('anonymous-auth'),
    requestHeaderNames: read.list('requestheader-allowed-names'),
    issuers,
    verificationKeysPem: read.files('service-account-key-file'),
    audiences: read.list('api-audiences'),
    extendTokens: read.boolean('service-account-extend-token-expiration'),
    disabledAdmission: disabledPlugins(read),
    unserved: unservedOf(read),
    readOnlyRequestsMax: read.number('max-requests-inflight', 1, 1_000_000),
    mutatingRequestsMax: read.number('max-mutating-requests-inflight', 1, 1_000_000),
    requestTimeoutMs: read.durationMs('request-timeout', 1_000),
    watchSecondsMin: read.number('min-request-timeout', 1, 86_400),
    eventTtlMs: read.durationMs('event-ttl', 1_000),
    shutdownDelayMs: read.durationMs('shutdown-delay-duration', 0),
    shutdownDrainMs: read.durationMs('shutdown-drain-duration', 0),
    ...(certificatePem === undefined || privateKeyPem === undefined ? {} : { tls: { certificatePem, privateKeyPem } }),
    ...(clientCaPem === undefined ? {} : { clientCaPem }),
    ...(requestHeaderCaPem === undefined ? {} : { requestHeaderCaPem }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(signingKeyPem === undefined ? {} : { signingKeyPem }),
    ...(tokenMs === 0 ? {} : { tokenSecondsMax: Math.floor(tokenMs / 1000) }),
    ...(oidc === undefined ? {} : { oidc }),
    ...(audit === undefined ? {} : { audit }),
  }
}

function pemOf(read: OptionReader, name: string): string | undefined {
  const text = read.file(name)
  if (text !== undefined && !text.includes('-----BEGIN '))
    throw usageFailure(`${read.where(name)} ${read.text(name)}: it is not in PEM form`)
  return text
}

function disabledPlugins(read: OptionReader): ReadonlySet<string> {
  const enabled = read.list('enable-admission-plugins')
  const disabled = read.list('disable-admission-plugins')
  for (const [name, plugins] of [
    ['enable-admission-plugins', enabled],
    ['disable-admission-plugins', disabled],
  ] as const) {
    const strange = plugins.find((plugin) => !defaultPlugins.includes(plugin))
    if (strange !== undefined)
      throw usageFailure(`${read.where(name)}: plugin "${strange}" is unknown; choose from ${defaultPlugins.join(', ')}`)
  }
  const both = enabled.find((plugin) => disabled.includes(plugin))
  if (both !== undefined)
    throw usageFailure(`${both} in enable-admission-plugins and disable-admission-plugins overlapped: name it in one of them`)
  return new Set(disabled)
}

function unservedOf(read: OptionReader): ReadonlySet<string> {
  try {
    return unservedKinds(parseRuntimeConfig(read.texts('runtime-config')), allKinds, optionalKinds)
  } catch (error) {
    throw usageFailure(`${read.where('runtime-config')}: ${(error as Error).message}`)
  }
}

const oidcNames = serverOptions.map(({ name }) => name).filter((name) => name.startsWith('oidc-'))

function oidcOf(read: OptionReader): OidcSettings | undefined {
  const issuerUrl = read.text('oidc-issuer-url')
  const clientId = read.text('oidc-client-id')
  if (!oidcNames.some((name) => read.has(name))) return undefined
  if (issuerUrl === '' || clientId === '')
    throw usageFailure('oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set')
  if (!/^https:\/\/[^/?#]+[^?#]*$/.test(issuerUrl)) throw usageFailure(`${read.where('oidc-issuer-url')} ${issuerUrl}: give an https URL`)
  const usernameClaim = read.text('oidc-username-claim')
  const prefix = read.text('oidc-username-prefix')
  const algorithms = read.list('oidc-signing-algs')
  const strange = algorithms.find((name) => !jwtAlgorithms.some((known) => known === name))
  if (strange !== undefined) throw usageFailure(`${read.where('oidc-signing-algs')} ${strange}: choose from ${jwtAlgorithms.join(', ')}`)
  const requiredClaims = new Map<string, string>()
  for (const text of read.texts('oidc-required-claim')) {
    const [, claim, value] = /^([^=]+)=(.*)$/.exec(text) ?? []
    if (claim === undefined || value === undefined)
      throw usageFailure(`${read.where('oidc-required-claim')} ${text}: give it as claim=value`)
    requiredClaims.set(claim, value)
  }
  const groupsClaim = read.text('oidc-groups-claim')
  const caPem = pemOf(read, 'oidc-ca-file')
  return {
    issuerUrl,
    clientId,
    usernameClaim,
    // A name from elsewhere must not be taken for one of ours.
    usernamePrefix: prefix === '-' ? '' : prefix === '' && usernameClaim !== 'email' ? `${issuerUrl}#` : prefix,
    groupsPrefix: read.text('oidc-groups-prefix'),
    requiredClaims,
    algorithms: algorithms as OidcSettings['algorithms'],
    ...(groupsClaim === '' ? {} : { groupsClaim }),
    ...(caPem === undefined ? {} : { caPem }),
  }
}
