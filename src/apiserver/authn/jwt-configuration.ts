// AuthenticationConfiguration (apiserver.config.k8s.io/v1): whose JSON Web Tokens hold, what their claims make of a user, and who may
// come without credentials (KEP-3331, KEP-4633). Read, checked and compiled here; messages are Kubernetes'.
import type { FieldError } from '#api/errors'
import { validateDomainPrefixedPath } from '#api/validation/domain-paths'
import { duplicate, forbidden, invalid, required, tooMany } from '#api/validation/field-errors'
import { goList, goQuote } from '#api/validation/text'
import type { Program } from '../cel/cel.ts'
import type { Environment } from '../cel/check.ts'
import { type Cel, loadCel } from '../cel/load.ts'
import { listOf, mapOf, objectOf, string } from '../cel/types.ts'
import { type ConfigurationKind, describeErrors, readConfiguration, type Shape } from '../configuration/read-configuration.ts'

export interface Mapping {
  readonly claim?: string
  readonly prefix?: string
  readonly expression?: string
}

export interface JwtIssuer {
  readonly url: string
  readonly discoveryURL?: string
  readonly certificateAuthority?: string
  readonly audiences: readonly string[]
  readonly audienceMatchPolicy?: string
  readonly egressSelectorType?: string
}

export interface ClaimRule {
  readonly claim?: string
  readonly requiredValue?: string
  readonly expression?: string
  readonly message?: string
}

export interface JwtAuthenticatorConfiguration {
  readonly issuer: JwtIssuer
  readonly claimValidationRules?: readonly ClaimRule[]
  readonly claimMappings: {
    readonly username: Mapping
    readonly groups?: Mapping
    readonly uid?: Mapping
    readonly extra?: readonly { readonly key: string; readonly valueExpression: string }[]
  }
  readonly userValidationRules?: readonly { readonly expression: string; readonly message?: string }[]
}

export interface AnonymousConfiguration {
  readonly enabled: boolean
  /** Only these paths; absent or empty: all. */
  readonly conditions?: readonly { readonly path: string }[]
}

export interface AuthenticationConfiguration {
  readonly jwt?: readonly JwtAuthenticatorConfiguration[]
  readonly anonymous?: AnonymousConfiguration
}

/** One issuer's part with its expressions compiled. */
export interface CompiledJwtAuthenticator {
  readonly cel: Cel
  readonly configuration: JwtAuthenticatorConfiguration
  readonly username?: Program
  readonly groups?: Program
  readonly uid?: Program
  readonly extra: readonly { readonly key: string; readonly program: Program }[]
  readonly claimRules: readonly { readonly program: Program; readonly message: string }[]
  readonly userRules: readonly { readonly program: Program; readonly message: string }[]
}

const mapping: Shape = { fields: { claim: 'text', prefix: 'text', expression: 'text' } }
const configurationKind: ConfigurationKind = {
  group: 'apiserver.config.k8s.io',
  versions: ['v1', 'v1beta1', 'v1alpha1'],
  kind: 'AuthenticationConfiguration',
  shape: {
    fields: {
      jwt: {
        list: {
          fields: {
            issuer: {
              fields: {
                url: 'text',
                discoveryURL: 'text',
                certificateAuthority: 'text',
                audiences: { list: 'text' },
                audienceMatchPolicy: 'text',
                egressSelectorType: 'text',
              },
            },
            claimValidationRules: { list: { fields: { claim: 'text', requiredValue: 'text', expression: 'text', message: 'text' } } },
            claimMappings: {
              fields: {
                username: mapping,
                groups: mapping,
                uid: { fields: { claim: 'text', expression: 'text' } },
                extra: { list: { fields: { key: 'text', valueExpression: 'text' } } },
              },
            },
            userValidationRules: { list: { fields: { expression: 'text', message: 'text' } } },
          },
        },
      },
      anonymous: { fields: { enabled: 'boolean', conditions: { list: { fields: { path: 'text' } } } } },
    },
  },
}

export interface ReadAuthentication {
  readonly anonymous: AnonymousConfiguration | undefined
  readonly jwt: readonly CompiledJwtAuthenticator[]
}

/** Reads and checks a file. Throws an Error that says what is wrong with it. `taken`: issuers of service-account tokens. */
export async function readAuthentication(text: string, taken: readonly string[]): Promise<ReadAuthentication> {
  const configuration = readConfiguration<AuthenticationConfiguration>(text, configurationKind)
  return compileAuthentication(configuration, taken)
}

const authenticatorsMax = 64

/** Checks and compiles. Throws an Error that lists all problems. */
export async function compileAuthentication(
  { jwt = [], anonymous }: AuthenticationConfiguration,
  taken: readonly string[],
): Promise<ReadAuthentication> {
  const errors: FieldError[] = []
  const compiled: CompiledJwtAuthenticator[] = []
  if (jwt.length > authenticatorsMax) errors.push(tooMany('jwt', jwt.length, authenticatorsMax))
  else {
    const urls = new Set<string>()
    const discoveryUrls = new Set<string>()
    for (const [i, each] of jwt.entries()) {
      const path = `jwt[${i}]`
      const { url = '', discoveryURL = '' } = (each.issuer ?? {}) as Partial<JwtIssuer>
      compiled.push(await compileAuthenticator(each, path, taken, errors))
      if (urls.has(url)) errors.push(duplicate(`${path}.issuer.url`, url))
      urls.add(url)
      if (discoveryURL === '') continue
      if (discoveryUrls.has(discoveryURL)) errors.push(duplicate(`${path}.issuer.discoveryURL`, discoveryURL))
      discoveryUrls.add(discoveryURL)
    }
  }
  if (anonymous !== undefined && !anonymous.enabled && (anonymous.conditions ?? []).length > 0) {
    const shown = (anonymous.conditions ?? []).map(({ path }) => ({ Path: path }))
    errors.push(invalid('anonymous.conditions', shown, 'enabled should be set to true when conditions are defined'))
  }
  const problem = describeErrors(errors)
  if (problem !== undefined) throw new Error(problem)
  return { anonymous, jwt: compiled }
}

/** Whether anonymous access is the same in both. */
export function sameAnonymous(a: AnonymousConfiguration | undefined, b: AnonymousConfiguration | undefined): boolean {
  const text = (one: AnonymousConfiguration | undefined): string =>
    JSON.stringify(one === undefined ? null : [one.enabled, (one.conditions ?? []).map(({ path }) => path)])
  return text(a) === text(b)
}

/** What a reload that changes it is refused with. */
export const anonymousChanged = describeErrors([forbidden('anonymous', 'changed from initial configuration file')])!

async function compileAuthenticator(
  said: JwtAuthenticatorConfiguration,
  path: string,
  taken: readonly string[],
  errors: FieldError[],
): Promise<CompiledJwtAuthenticator> {
  const { claimValidationRules = [], userValidationRules = [] } = said
  const issuer: JwtIssuer = { ...said.issuer, url: said.issuer?.url ?? '', audiences: said.issuer?.audiences ?? [] }
  const mappings = { ...said.claimMappings, username: said.claimMappings?.username ?? {} }
  const cel = await loadCel()
  const compiler = expressionCompiler(cel, errors)
  errors.push(...checkIssuer(issuer, `${path}.issuer`, taken))
  const claimRules = await compileClaimRules(claimValidationRules, `${path}.claimValidationRules`, compiler, errors)
  const mapped = await compileMappings(mappings, `${path}.claimMappings`, compiler, errors)
  const verified = [...claimRules.map(({ program }) => program), ...mapped.extra.map(({ program }) => program), mapped.username]
  const { username } = mapped
  if (username !== undefined && selectsClaim(cel, username.source, 'email')) {
    if (!verified.some((program) => program !== undefined && selectsClaim(cel, program.source, 'email_verified'))) {
      errors.push(invalid(`${path}.claimMappings.username.expression`, username.source, emailUnverified))
    }
  }
  const userRules: { program: Program; message: string }[] = []
  const seen = new Set<string>()
  for (const [i, { expression = '', message = '' }] of userValidationRules.entries()) {
    const at = `${path}.userValidationRules[${i}].expression`
    if (expression === '') errors.push(required(at))
    else if (seen.has(expression)) errors.push(duplicate(at, expression))
    else {
      const program = await compiler(expression, at, userEnvironment, true)
      if (program !== undefined) userRules.push({ program, message })
    }
    seen.add(expression)
  }
  return { cel, configuration: { ...said, issuer, claimMappings: mappings }, ...mapped, claimRules, userRules }
}

const emailUnverified =
  'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression'

const claimsEnvironment: Environment = { variables: { claims: mapOf(string, { kind: 'dyn' }) } }
const userEnvironment: Environment = {
  variables: {
    user: objectOf('kubernetes.UserInfo', {
      username: string,
      uid: string,
      groups: listOf(string),
      extra: mapOf(string, listOf(string)),
    }),
  },
}

type Compiler = (source: string, path: string, environment: Environment, mustBeBool: boolean) => Promise<Program | undefined>

function expressionCompiler(cel: Cel, errors: FieldError[]): Compiler {
  return async (source, path, environment, mustBeBool) => {
    try {
      const program = await cel.compile(source, environment)
      if (!mustBeBool || program.type.kind === 'bool') return program
      errors.push(invalid(path, source, 'must evaluate to bool'))
    } catch (error) {
      if (!(error instanceof cel.CelCompileError)) throw error
      errors.push(invalid(path, source, `compilation failed: ${error.message}`))
    }
    return undefined
  }
}

function checkIssuer(issuer: JwtIssuer, path: string, taken: readonly string[]): FieldError[] {
  const { url, discoveryURL = '', certificateAuthority = '', egressSelectorType = '' } = issuer
  const errors = url === '' ? [required(`${path}.url`)] : checkUrl(url, `${path}.url`, taken)
  if (discoveryURL !== '') {
    if (url !== '' && withoutSlashes(url) === withoutSlashes(discoveryURL)) {
      errors.push(invalid(`${path}.discoveryURL`, discoveryURL, 'discoveryURL must be different from URL'))
    }
    errors.push(...checkUrl(discoveryURL, `${path}.discoveryURL`, []))
  }
  errors.push(...checkAudiences(issuer, path))
  if (certificateAuthority !== '' && !/-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.test(certificateAuthority)) {
    errors.push(invalid(`${path}.certificateAuthority`, '<omitted>', 'data does not contain any valid RSA or ECDSA certificates'))
  }
  if (egressSelectorType === 'controlplane' || egressSelectorType === 'cluster') {
    // There are no egress selectors here.
    errors.push(withoutPath(`oidc: egress lookup required with egress selector type ${goQuote(egressSelectorType)}`))
  } else if (egressSelectorType !== '') {
    errors.push(invalid(`${path}.egressSelectorType`, egressSelectorType, 'egress selector must be either controlplane or cluster'))
  }
  return errors
}

function withoutPath(detail: string): FieldError {
  return { type: 'FieldValueInvalid', field: '', detail }
}

function withoutSlashes(url: string): string {
  return url.replace(/\/+$/, '')
}

function checkUrl(text: string, path: string, taken: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  if (taken.includes(text)) {
    errors.push(invalid(path, text, `URL must not overlap with disallowed issuers: ${goList([...new Set(taken)].sort())}`))
  }
  const [, scheme = '', authority = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)/.exec(text) ?? []
  const port = /:([^\]]*)$/.exec(authority.slice(authority.lastIndexOf('@') + 1))?.[1]
  if (port !== undefined && !/^\d*$/.test(port)) {
    errors.push(invalid(path, text, `parse ${goQuote(text)}: invalid port ${goQuote(`:${port}`)} after host`))
    return errors
  }
  if (scheme.toLowerCase() !== 'https') errors.push(invalid(path, text, 'URL scheme must be https'))
  if (authority.includes('@')) errors.push(invalid(path, text, 'URL must not contain a username or password'))
  if (/^[^#]*\?[^#]/.test(text)) errors.push(invalid(path, text, 'URL must not contain a query'))
  if (/#./.test(text)) errors.push(invalid(path, text, 'URL must not contain a fragment'))
  return errors
}

function checkAudiences({ audiences, audienceMatchPolicy = '' }: JwtIssuer, path: string): FieldError[] {
  if (audiences.length === 0) return [required(`${path}.audiences`, `at least one ${path}.audiences is required`)]
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, audience] of audiences.entries()) {
    if (audience === '') errors.push(required(`${path}.audiences[${i}]`))
    if (seen.has(audience)) errors.push(duplicate(`${path}.audiences[${i}]`, audience))
    seen.add(audience)
  }
  const at = `${path}.audienceMatchPolicy`
  if (audiences.length > 1 && audienceMatchPolicy !== 'MatchAny') {
    errors.push(invalid(at, audienceMatchPolicy, 'audienceMatchPolicy must be MatchAny for multiple audiences'))
  }
  if (audiences.length === 1 && audienceMatchPolicy !== '' && audienceMatchPolicy !== 'MatchAny') {
    errors.push(invalid(at, audienceMatchPolicy, 'audienceMatchPolicy must be empty or MatchAny for single audience'))
  }
  return errors
}

async function compileClaimRules(rules: readonly ClaimRule[], path: string, compiler: Compiler, errors: FieldError[]) {
  const compiled: { program: Program; message: string }[] = []
  const claims = new Set<string>()
  const expressions = new Set<string>()
  for (const [i, { claim = '', requiredValue = '', expression = '', message = '' }] of rules.entries()) {
    const at = `${path}[${i}]`
    if (claim !== '' && expression !== '') errors.push(invalid(at, claim, "claim and expression can't both be set"))
    else if (claim === '' && expression === '') errors.push(required(at, 'claim or expression is required'))
    else if (claim !== '') {
      if (message !== '') errors.push(invalid(`${at}.message`, message, 'may not be specified when claim is set'))
      if (claims.has(claim)) errors.push(duplicate(`${at}.claim`, claim))
      claims.add(claim)
    } else {
      if (requiredValue !== '') errors.push(invalid(`${at}.requiredValue`, requiredValue, 'may not be specified when expression is set'))
      if (expressions.has(expression)) errors.push(duplicate(`${at}.expression`, expression))
      else {
        const program = await compiler(expression, `${at}.expression`, claimsEnvironment, true)
        if (program !== undefined) compiled.push({ program, message })
      }
      expressions.add(expression)
    }
  }
  return compiled
}

async function compileMappings(
  { username, groups = {}, uid = {}, extra = [] }: JwtAuthenticatorConfiguration['claimMappings'],
  path: string,
  compiler: Compiler,
  errors: FieldError[],
) {
  const user = await compileMapping(username, `${path}.username`, true, compiler, errors)
  const group = await compileMapping(groups, `${path}.groups`, false, compiler, errors)
  let id: Program | undefined
  if (uid.claim && uid.expression) errors.push(invalid(`${path}.uid`, '', "claim and expression can't both be set"))
  else if (uid.expression) id = await compiler(uid.expression, `${path}.uid.expression`, claimsEnvironment, false)
  const more: { key: string; program: Program }[] = []
  const keys = new Set<string>()
  for (const [i, { key = '', valueExpression = '' }] of extra.entries()) {
    const at = `${path}.extra[${i}]`
    errors.push(...validateDomainPrefixedPath(key, `${at}.key`))
    if (key !== key.toLowerCase()) errors.push(invalid(`${at}.key`, key, 'must be lowercase'))
    if (/^([^/]+\.)?(kubernetes|k8s)\.io\//.test(key)) {
      errors.push(invalid(`${at}.key`, key, 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use'))
    }
    if (keys.has(key)) errors.push(duplicate(`${at}.key`, key))
    else if (valueExpression === '') errors.push(required(`${at}.valueExpression`))
    else {
      const program = await compiler(valueExpression, `${at}.valueExpression`, claimsEnvironment, false)
      if (program !== undefined) more.push({ key, program })
    }
    keys.add(key)
  }
  return {
    ...(user === undefined ? {} : { username: user }),
    ...(group === undefined ? {} : { groups: group }),
    ...(id === undefined ? {} : { uid: id }),
    extra: more,
  }
}

async function compileMapping(
  { claim = '', prefix, expression = '' }: Mapping,
  path: string,
  needed: boolean,
  compiler: Compiler,
  errors: FieldError[],
): Promise<Program | undefined> {
  if (expression !== '' && claim !== '') errors.push(invalid(path, '', "claim and expression can't both be set"))
  else if (expression !== '') {
    if (prefix !== undefined) errors.push(invalid(`${path}.prefix`, prefix, 'may not be specified when expression is set'))
    return compiler(expression, `${path}.expression`, claimsEnvironment, false)
  } else if (claim !== '') {
    if (prefix === undefined) {
      const why = 'prefix is required when claim is set. It can be set to an empty string to disable prefixing'
      errors.push(required(`${path}.prefix`, why))
    }
  } else if (needed) errors.push(required(path, 'claim or expression is required'))
  return undefined
}

// Whether `claims.<field>` or `claims.?<field>` stands anywhere in the expression.
function selectsClaim(cel: Cel, source: string, field: string): boolean {
  const waiting = [cel.parse(source)]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.kind === 'select' && next.field === field && next.operand.kind === 'ident' && next.operand.name === 'claims') return true
    waiting.push(...cel.childrenOf(next))
  }
  return false
}
