// The options of `navarch server`: what they come to, what is told when they are wrong, and that all stand in the manual.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { optionalKinds } from '#api/kinds/all'
import { readServerSettings } from './server-options.ts'
import { serverOptions } from './server-options-table.ts'

const directory = mkdtempSync(join(tmpdir(), 'navarch-options-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

test('without a word all is as the manual says', () => {
  expect(readServerSettings({}, undefined)).toEqual({
    bindAddress: '0.0.0.0',
    streamsMax: 100,
    anonymousAuth: true,
    anonymousAuthSaid: false,
    authorizers: [
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
    ],
    requestHeaderNames: ['front-proxy-client'],
    issuers: [],
    verificationKeysPem: [],
    audiences: [],
    extendTokens: true,
    disabledAdmission: new Set(),
    unserved: new Set(optionalKinds.map(({ id }) => id)),
    readOnlyRequestsMax: 400,
    mutatingRequestsMax: 200,
    requestTimeoutMs: 60_000,
    watchSecondsMin: 1_800,
    eventTtlMs: 3_600_000,
    shutdownDelayMs: 0,
    shutdownDrainMs: 5_000,
  })
})

test('a file says it by the same names, with paths beside it; a flag wins', () => {
  file('tokens.csv', 'secret,jane,1')
  file('policy.yaml', 'apiVersion: audit.k8s.io/v1')
  const config = file(
    'server.yaml',
    [
      'token-auth-file: tokens.csv',
      'anonymous-auth: false',
      'max-requests-inflight: 100',
      'request-timeout: 30s',
      'min-request-timeout: 300',
      'disable-admission-plugins: [Priority, PodSecurity]',
      'service-account-issuer: https://a.example',
      'audit-policy-file: policy.yaml',
      'audit-log-path: audit.log',
      'audit-log-maxsize: 1',
      'audit-log-maxage: 2',
    ].join('\n'),
  )
  expect(
    readServerSettings({ 'request-timeout': '45s', 'service-account-issuer': ['https://b.example', 'https://c.example'] }, config),
  ).toMatchObject({
    tokenFile: 'secret,jane,1',
    anonymousAuth: false,
    readOnlyRequestsMax: 100,
    requestTimeoutMs: 45_000,
    watchSecondsMin: 300,
    issuers: ['https://b.example', 'https://c.example'],
    disabledAdmission: new Set(['Priority', 'PodSecurity']),
    audit: {
      log: { path: join(directory, 'audit.log'), bytesMax: 1_048_576, ageMsMax: 172_800_000, backupsMax: 0, eventBytesMax: undefined },
    },
  })
})

test('an OpenID Connect issuer', () => {
  const flags = { 'oidc-issuer-url': 'https://login.example', 'oidc-client-id': 'cluster' }
  const oidc = (more: Record<string, unknown>) => readServerSettings({ ...flags, ...more }, undefined).oidc
  expect(oidc({})).toEqual({
    issuerUrl: 'https://login.example',
    clientId: 'cluster',
    usernameClaim: 'sub',
    usernamePrefix: 'https://login.example#',
    groupsPrefix: '',
    requiredClaims: new Map(),
    algorithms: ['RS256'],
  })
  expect(oidc({ 'oidc-username-claim': 'email' })?.usernamePrefix).toBe('')
  expect(oidc({ 'oidc-username-prefix': '-' })?.usernamePrefix).toBe('')
  expect(oidc({ 'oidc-required-claim': ['a=b=c'] })?.requiredClaims).toEqual(new Map([['a', 'b=c']]))
})

describe('what is wrong is told in a line that says what to do', () => {
  test.each<[Record<string, unknown>, string]>([
    [{ 'max-requests-inflight': 'many' }, '--max-requests-inflight many: give a whole number from 1 to 1000000'],
    [{ 'request-timeout': '10' }, '--request-timeout 10: give a time such as 30s, 5m or 1h30m'],
    [{ 'request-timeout': '10ms' }, '--request-timeout 10ms: give at least 1s'],
    [{ 'anonymous-auth': 'yes' }, '--anonymous-auth yes: give true or false'],
    [{ 'token-auth-file': '/nowhere/x' }, '--token-auth-file /nowhere/x: there is no such file'],
    [{ 'tls-cert-file': '/dev/null' }, '--tls-cert-file and --tls-private-key-file go together: give both, or neither'],
    [{ 'client-ca-file': '/dev/null' }, '--client-ca-file /dev/null: it is not in PEM form'],
    [{ 'feature-gates': 'A=true' }, '--feature-gates A=true: feature gates cannot be set here; leave it away'],
    [{ 'enable-admission-plugins': 'Nope' }, '--enable-admission-plugins: plugin "Nope" is unknown; choose from CertificateApproval,'],
    [
      { 'enable-admission-plugins': 'Priority', 'disable-admission-plugins': 'Priority' },
      'Priority in enable-admission-plugins and disable-admission-plugins overlapped',
    ],
    [{ 'oidc-client-id': 'a' }, 'oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set'],
    [{ 'oidc-client-id': 'a', 'oidc-issuer-url': 'http://x' }, '--oidc-issuer-url http://x: give an https URL'],
    [
      { 'oidc-client-id': 'a', 'oidc-issuer-url': 'https://x', 'oidc-signing-algs': 'none' },
      '--oidc-signing-algs none: choose from ES256, ES384',
    ],
    [{ 'oidc-username-prefix': 'a' }, 'oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set'],
    [
      { 'authentication-config': '/dev/null', 'oidc-client-id': 'a', 'oidc-issuer-url': 'https://x' },
      'authentication-config file and oidc-* flags are mutually exclusive',
    ],
    [
      { 'authorization-config': '/dev/null', 'authorization-mode': 'RBAC' },
      '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
    ],
    [{ 'authorization-mode': 'Node,Magic' }, 'authorization-mode "Magic" is not a valid mode'],
    [{ 'authorization-mode': 'RBAC,RBAC' }, 'authorization-mode ["RBAC" "RBAC"] has mode specified more than once'],
    [{ 'authorization-mode': 'Webhook' }, "authorization-mode Webhook's authorization config file not passed"],
    [{ 'authorization-webhook-config-file': '/dev/null' }, 'cannot specify --authorization-webhook-config-file without mode Webhook'],
    [{ 'authorization-mode': 'ABAC' }, "authorization-mode ABAC's authorization policy file not passed"],
    [{ 'authorization-policy-file': '/dev/null' }, 'cannot specify --authorization-policy-file without mode ABAC'],
    [
      { 'authentication-token-webhook-config-file': '/dev/null', 'authentication-token-webhook-version': 'v2' },
      '--authentication-token-webhook-version v2: choose from v1, v1beta1',
    ],
    [{ 'runtime-config': ['apps/v9=true'] }, '--runtime-config: group version apps/v9 that has not been registered'],
    [{ 'audit-log-path': '-' }, '--audit-log-path: say what is audited with --audit-policy-file'],
    [{ 'audit-policy-file': '/dev/null' }, '--audit-policy-file: say where events go with --audit-log-path'],
    [
      { 'audit-log-truncate-max-event-size': '100', 'audit-log-truncate-max-batch-size': '10' },
      'invalid audit truncate log max batch size 10, must be greater than max event size (100)',
    ],
    [{ 'service-account-max-token-expiration': '5m' }, '--service-account-max-token-expiration 5m: give at least 1h'],
  ])('%j', (flags, message) => {
    expect(() => readServerSettings(flags, undefined)).toThrow(message)
  })

  test.each([
    ['nope: 1', 'there is no option nope; see docs/server.md'],
    ['- a', 'it must be a list of "option: value" lines'],
    ['bind-address: {a: b}', 'bind-address in'],
    ['a: [', '--config'],
  ])('a file with %j', (text, message) => {
    expect(() => readServerSettings({}, file('bad.yaml', text))).toThrow(message)
  })
})

test('every option stands in the manual, with its default', () => {
  const manual = readFileSync(new URL('../../docs/server.md', import.meta.url), 'utf8')
  for (const { name, value, default: fallback } of serverOptions) {
    const row = manual.split('\n').find((line) => line.startsWith(`| \`--${name}\``))
    expect(row, name).toBeDefined()
    expect(row).toContain(value.replace('|', '\\|'))
    if (fallback !== '') expect(row).toContain(`\`${fallback}\``)
  }
})
