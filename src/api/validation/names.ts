// What names, keys and numbers may look like, and Kubernetes' words for what is wrong with them (RFC 1123, RFC 1035, RFC 6335).
// Every function returns the complaints; none means valid.
import { byteLength } from './text.ts'

const dns1123LabelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const dns1123SubdomainPattern = `${dns1123LabelPattern}(\\.${dns1123LabelPattern})*`
const dns1123LabelUnderscorePattern = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?'
const dns1123SubdomainUnderscorePattern = `${dns1123LabelUnderscorePattern}(\\.${dns1123LabelUnderscorePattern})*`
const dns1035LabelPattern = '[a-z]([-a-z0-9]*[a-z0-9])?'
const wildcardSubdomainPattern = `\\*\\.${dns1123SubdomainPattern}`
const labelKeyPattern = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const labelValuePattern = `(${labelKeyPattern})?`
const cIdentifierPattern = '[A-Za-z_][A-Za-z0-9_]*'
const percentPattern = '[0-9]+%'
const httpHeaderPattern = '[-A-Za-z0-9]+'
const envVarNamePattern = '[-._a-zA-Z][-._a-zA-Z0-9]*'
const configMapKeyPattern = '[-._a-zA-Z0-9]+'
const httpPathPattern = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"

const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`)
const dns1123Label = whole(dns1123LabelPattern)
const dns1123Subdomain = whole(dns1123SubdomainPattern)
const dns1123SubdomainUnderscore = whole(dns1123SubdomainUnderscorePattern)
const dns1035Label = whole(dns1035LabelPattern)
const wildcardSubdomain = whole(wildcardSubdomainPattern)
const labelKey = whole(labelKeyPattern)
const labelValue = whole(labelValuePattern)
const cIdentifier = whole(cIdentifierPattern)
const percent = whole(percentPattern)
const httpHeader = whole(httpHeaderPattern)
const envVarName = whole(envVarNamePattern)
const configMapKey = whole(configMapKeyPattern)
const httpPath = whole(httpPathPattern)

export const dnsLabelBytesMax = 63
export const dnsSubdomainBytesMax = 253
export const labelValueBytesMax = 63

/** A name check as the registry uses it; `prefix`: more characters will follow (generateName), so a trailing dash is fine. */
export type NameCheck = (name: string, prefix: boolean) => string[]

/** The sentence that names a pattern, with examples. */
export function regexError(message: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${pattern}')`
  return `${message} (e.g. ${examples.map((example) => `'${example}', `).join(' or ')}regex used for validation is '${pattern}')`
}

export const emptyError = 'must be non-empty'

export function maxLengthError(max: number): string {
  return `must be no more than ${max} characters`
}

// The newer checks of labels and DNS names count bytes in their words; the older ones say characters.
function maxBytesError(max: number): string {
  return `must be no more than ${max} bytes`
}

export function rangeError(min: number, max: number): string {
  return `must be between ${min} and ${max}, inclusive`
}

export function checkDns1123Label(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsLabelBytesMax) errors.push(maxLengthError(dnsLabelBytesMax))
  if (dns1123Label.test(value)) return errors
  if (dns1123Subdomain.test(value)) return [...errors, 'must not contain dots']
  const message =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
  return [...errors, regexError(message, dns1123LabelPattern, 'my-name', '123-abc')]
}

const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"

export function checkDns1123Subdomain(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsSubdomainBytesMax) errors.push(maxLengthError(dnsSubdomainBytesMax))
  if (!dns1123Subdomain.test(value)) errors.push(regexError(subdomainMessage, dns1123SubdomainPattern, 'example.com'))
  return errors
}

/** A subdomain whose labels may hold underscores: search domains, hostname overrides. */
export function checkDns1123SubdomainWithUnderscore(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsSubdomainBytesMax) errors.push(maxLengthError(dnsSubdomainBytesMax))
  if (dns1123SubdomainUnderscore.test(value)) return errors
  const message =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character"
  return [...errors, regexError(message, dns1123SubdomainUnderscorePattern, 'example.com')]
}

export function checkDns1035Label(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsLabelBytesMax) errors.push(maxLengthError(dnsLabelBytesMax))
  if (dns1035Label.test(value)) return errors
  const message =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"
  return [...errors, regexError(message, dns1035LabelPattern, 'my-name', 'abc-123')]
}

export function checkWildcardDns1123Subdomain(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsSubdomainBytesMax) errors.push(maxLengthError(dnsSubdomainBytesMax))
  if (wildcardSubdomain.test(value)) return errors
  const message =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
  return [...errors, regexError(message, wildcardSubdomainPattern, '*.example.com')]
}

const labelKeyMessage = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"

/** A qualified name: `name` or `dns.subdomain/name`. Keys of labels and annotations, finalizers, condition types, resource names. */
export function checkLabelKey(value: string): string[] {
  // A plain name, as most are.
  if (value.length <= labelValueBytesMax && labelKey.test(value)) return []
  const errors: string[] = []
  const parts = value.split('/')
  const pattern = (): string => regexError(labelKeyMessage, labelKeyPattern, 'MyName', 'my.name', '123-abc')
  if (parts.length > 2) {
    return [`a valid label key ${pattern()} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  }
  const name = parts.at(-1)!
  if (parts.length === 2) {
    const prefix = parts[0]!
    if (prefix === '') errors.push(`prefix part ${emptyError}`)
    else errors.push(...checkPrefix(prefix).map((message) => `prefix part ${message}`))
  }
  if (name === '') errors.push(`name part ${emptyError}`)
  else if (byteLength(name) > 63) errors.push(`name part ${maxBytesError(63)}`)
  if (!labelKey.test(name)) errors.push(`name part ${pattern()}`)
  return errors
}

function checkPrefix(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > dnsSubdomainBytesMax) errors.push(maxBytesError(dnsSubdomainBytesMax))
  if (!dns1123Subdomain.test(value)) errors.push(regexError(subdomainMessage, dns1123SubdomainPattern, 'example.com'))
  return errors
}

export function checkLabelValue(value: string): string[] {
  const errors: string[] = []
  if (byteLength(value) > labelValueBytesMax) errors.push(maxBytesError(labelValueBytesMax))
  if (labelValue.test(value)) return errors
  const message =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
  return [...errors, regexError(message, labelValuePattern, 'MyValue', 'my_value', '12345')]
}

export function checkCIdentifier(value: string): string[] {
  if (cIdentifier.test(value)) return []
  const message = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'"
  return [regexError(message, cIdentifierPattern, 'my_name', 'MY_NAME', 'MyName')]
}

export function checkPortNumber(port: number): string[] {
  return port >= 1 && port <= 65535 ? [] : [rangeError(1, 65535)]
}

export function checkInRange(value: number, min: number, max: number): string[] {
  return value >= min && value <= max ? [] : [rangeError(min, max)]
}

/** User and group ids. */
export function checkId(id: number): string[] {
  return checkInRange(id, 0, 2147483647)
}

/** A port's name (RFC 6335). */
export function checkPortName(name: string): string[] {
  const errors: string[] = []
  if (byteLength(name) > 15) errors.push(maxLengthError(15))
  if (!/^[-a-z0-9]+$/.test(name)) errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(name)) errors.push('must contain at least one letter (a-z)')
  if (name.includes('--')) errors.push('must not contain consecutive hyphens')
  if (name.startsWith('-') || name.endsWith('-')) errors.push('must not begin or end with a hyphen')
  return errors
}

export function checkPercent(value: string): string[] {
  if (percent.test(value)) return []
  return [regexError("a valid percent string must be a numeric string followed by an ending '%'", percentPattern, '1%', '93%')]
}

export function checkHttpHeaderName(name: string): string[] {
  if (httpHeader.test(name)) return []
  return [regexError("a valid HTTP header must consist of alphanumeric characters or '-'", httpHeaderPattern, 'X-Header-Name')]
}

/** Names of environment variables as ConfigMap keys and `envFrom` prefixes once had to be. */
export function checkEnvVarName(name: string): string[] {
  const errors: string[] = []
  if (!envVarName.test(name)) {
    const message =
      "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit"
    errors.push(regexError(message, envVarNamePattern, 'my.env-name', 'MY_ENV.NAME', 'MyEnvName1'))
  }
  return [...errors, ...checkNoParentPrefix(name)]
}

/** Names of environment variables today: any printable ASCII but `=` (KEP-4369). */
export function checkRelaxedEnvVarName(name: string): string[] {
  const errors: string[] = []
  if (name === '') errors.push(`environment variable name ${emptyError}`)
  if (!/^[ -<>-~]*$/.test(name)) {
    errors.push("a valid environment variable name must consist only of printable ASCII characters other than '='")
  }
  return errors
}

/** Keys of ConfigMaps and Secrets. */
export function checkConfigMapKey(key: string): string[] {
  if (key.length <= dnsSubdomainBytesMax && configMapKey.test(key) && !key.startsWith('.')) return []
  const errors: string[] = []
  if (byteLength(key) > dnsSubdomainBytesMax) errors.push(maxLengthError(dnsSubdomainBytesMax))
  if (!configMapKey.test(key)) {
    const message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    errors.push(regexError(message, configMapKeyPattern, 'key.name', 'KEY_NAME', 'key-name'))
  }
  return [...errors, ...checkNoParentPrefix(key)]
}

function checkNoParentPrefix(value: string): string[] {
  if (value === '.') return ["must not be '.'"]
  if (value === '..') return ["must not be '..'"]
  return value.startsWith('..') ? ["must not start with '..'"] : []
}

/** Names that only have to be safe in a URL path: RBAC's. */
export function checkPathSegment(name: string, prefix = false): string[] {
  if (!prefix && (name === '.' || name === '..')) return [`may not be '${name}'`]
  return ['/', '%'].filter((char) => name.includes(char)).map((char) => `may not contain '${char}'`)
}

/** The path part of `acme.io/foo`. */
export function checkHttpPath(path: string): string[] {
  return httpPath.test(path) ? [] : [regexError('Invalid path', httpPathPattern)]
}

// For generateName: the dash before the suffix is not the name's last character.
function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name
}

export const nameIsDnsSubdomain: NameCheck = (name, prefix) => checkDns1123Subdomain(prefix ? maskTrailingDash(name) : name)
export const nameIsDnsLabel: NameCheck = (name, prefix) => checkDns1123Label(prefix ? maskTrailingDash(name) : name)
export const nameIsPathSegment: NameCheck = (name, prefix) => checkPathSegment(name, prefix)
