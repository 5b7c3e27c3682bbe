// Credentials for registries, out of image pull secrets (documentation: "Images, config.json"): which of them fit an image.
import type { Secret } from '#api/generated/core-v1'
import { parseImageName } from './image-names.ts'
import type { RegistryAuth } from './runtimes/runtime.ts'

// Compat: where every engine looks for a name without a host, and the keys that `docker login` and
// `kubectl create secret docker-registry` write for it.
const defaultRegistry = 'index.docker.io'
const defaultRegistryNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

interface Credential {
  /** Host with wildcards, and a path prefix. */
  readonly host: string
  readonly path: string
  readonly auth: RegistryAuth
}

interface AuthEntry {
  username?: string
  password?: string
  auth?: string
  identitytoken?: string
  registrytoken?: string
}

/** The credentials of these secrets that fit the image, most specific first. Malformed secrets are skipped. */
export function credentialsFor(image: string, secrets: readonly Secret[]): RegistryAuth[] {
  const name = parseImageName(image)
  if (name === undefined) return []
  const host = name.host === '' || defaultRegistryNames.has(name.host) ? defaultRegistry : name.host
  const path = name.host === '' && !name.path.includes('/') ? `library/${name.path}` : name.path
  return secrets
    .flatMap(readSecret)
    .filter((c) => hostMatches(c.host, host) && pathMatches(c.path, path))
    .sort((a, b) => b.path.length - a.path.length || Number(a.host.includes('*')) - Number(b.host.includes('*')))
    .map((c) => c.auth)
}

function readSecret(secret: Secret): Credential[] {
  const entries = parseEntries(secret)
  return Object.entries(entries).flatMap(([registry, entry]) => {
    const auth = readAuth(registry, entry)
    return auth === undefined ? [] : [{ ...splitRegistry(registry), auth }]
  })
}

function parseEntries(secret: Secret): Record<string, AuthEntry> {
  const config = secret.data?.['.dockerconfigjson']
  const legacy = secret.data?.['.dockercfg']
  try {
    if (secret.type === 'kubernetes.io/dockerconfigjson' && config !== undefined) {
      return asEntries((JSON.parse(decode(config)) as { auths?: unknown }).auths)
    }
    if (secret.type === 'kubernetes.io/dockercfg' && legacy !== undefined) return asEntries(JSON.parse(decode(legacy)))
  } catch {
    // Not JSON: as good as empty; the pull says what is missing.
  }
  return {}
}

function asEntries(value: unknown): Record<string, AuthEntry> {
  return typeof value === 'object' && value !== null ? (value as Record<string, AuthEntry>) : {}
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}

function readAuth(registry: string, entry: AuthEntry): RegistryAuth | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const serverAddress = registry
  if (entry.identitytoken) return { identityToken: entry.identitytoken, serverAddress }
  if (entry.registrytoken) return { registryToken: entry.registrytoken, serverAddress }
  if (entry.username !== undefined && entry.password !== undefined) {
    return { username: entry.username, password: entry.password, serverAddress }
  }
  if (typeof entry.auth !== 'string') return undefined
  const pair = decode(entry.auth)
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1), serverAddress }
}

function splitRegistry(registry: string): { host: string; path: string } {
  const bare = registry.replace(/^https?:\/\//, '').replace(/\/$/, '')
  const slash = bare.indexOf('/')
  const host = slash < 0 ? bare : bare.slice(0, slash)
  const path = slash < 0 ? '' : bare.slice(slash + 1)
  if (defaultRegistryNames.has(host)) return { host: defaultRegistry, path: /^v[12]$/.test(path) ? '' : path }
  return { host, path: /^v[12]$/.test(path) ? '' : path }
}

/** Each label of the host may hold wildcards; the number of labels and the port must agree. */
function hostMatches(pattern: string, host: string): boolean {
  const [patternName = '', patternPort = ''] = splitPort(pattern)
  const [hostName = '', hostPort = ''] = splitPort(host)
  if (patternPort !== hostPort) return false
  const patternLabels = patternName.split('.')
  const hostLabels = hostName.split('.')
  return patternLabels.length === hostLabels.length && patternLabels.every((p, i) => labelMatches(p, hostLabels[i]!))
}

function splitPort(host: string): [string, string] {
  const match = /^(.*?)(?::(\d+))?$/.exec(host)
  return [match?.[1] ?? host, match?.[2] ?? '']
}

function labelMatches(pattern: string, label: string): boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === label
  let at = 0
  for (const [i, part] of parts.entries()) {
    if (i === 0) {
      if (!label.startsWith(part)) return false
      at = part.length
    } else if (i === parts.length - 1) {
      return label.length - part.length >= at && label.endsWith(part)
    } else {
      const found = label.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
  }
  return true
}

function pathMatches(prefix: string, path: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
}
