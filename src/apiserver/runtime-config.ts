// Which of the built-in kinds are served: kube-apiserver's --runtime-config. Versions and resources that are off are stored and looked
// after by the server itself as ever; clients are told that there is no such thing.
import type { Kind } from '#api/kind'
import { goQuote } from '#api/validation/text'

/** `apps/v1`, `apps/v1/deployments`, `api/beta`, … with what was said of it. */
export type RuntimeConfig = ReadonlyMap<string, string>

const groupsOfVersions: ReadonlyMap<string, RegExp> = new Map([
  ['api/all', /^/],
  ['api/ga', /^v\d+$/],
  ['api/beta', /^v\d+beta\d+$/],
  ['api/alpha', /^v\d+alpha\d+$/],
])

/** Reads `key=value,key=value`; a key alone is one that is on. What is said last of a key holds. */
export function parseRuntimeConfig(texts: readonly string[]): RuntimeConfig {
  const config = new Map<string, string>()
  for (const text of texts.flatMap((list) => list.split(','))) {
    if (text.trim() === '') continue
    const [key = '', ...value] = text.split('=')
    config.set(key.trim(), value.length === 0 ? 'true' : value.join('=').trim())
  }
  return config
}

/**
 * The ids of the kinds that are not served, of all there are and of those that are off unless they are asked for. Throws an Error in
 * Kubernetes' words when the configuration names what there is not, or says something else than whether it is on.
 */
export function unservedKinds(config: RuntimeConfig, kinds: readonly Kind[], optional: readonly Kind[]): ReadonlySet<string> {
  const all = [...kinds, ...optional]
  checkKeys(config, all)
  const versions = new Map(all.map((kind) => [kind.apiVersion, !optional.includes(kind)]))
  for (const [key, pattern] of groupsOfVersions) {
    const value = config.get(key)
    if (value === undefined) continue
    if (value !== 'true' && value !== 'false') throw new Error(`invalid value ${key}=${value}`)
    for (const kind of all) if (pattern.test(kind.version)) versions.set(kind.apiVersion, value === 'true')
  }
  const resources = new Map<string, boolean>()
  for (const [key, value] of config) {
    if (groupsOfVersions.has(key)) continue
    const [group = '', version = '', resource] = key.split('/')
    const apiVersion = group === '' ? version : `${group}/${version}`
    if (!versions.has(apiVersion)) throw new Error(`group version ${apiVersion} that has not been registered`)
    const on = booleanOf(key, value)
    if (resource === undefined) versions.set(apiVersion, on)
    else if (resource === resource.toLowerCase()) resources.set(`${apiVersion}/${resource}`, on)
    else throw new Error(`invalid key ${key}: group/version/resource and resource is always lowercase plural, not ${goQuote(resource)}`)
  }
  const served = ({ apiVersion, resource }: Kind): boolean =>
    resources.get(`${apiVersion}/${resource}`) ?? versions.get(apiVersion) ?? false
  return new Set(all.filter((kind) => !served(kind)).map(({ id }) => id))
}

function checkKeys(config: RuntimeConfig, kinds: readonly Kind[]): void {
  if (config.size === 1 && config.get('api/all') === 'false') throw new Error('invalid runtime-config with only api/all=false')
  const unknown: string[] = []
  for (const key of config.keys()) {
    if (groupsOfVersions.has(key)) continue
    const parts = key.split('/')
    if (parts.length !== 2 && parts.length !== 3) throw new Error(`runtime-config invalid key ${key}`)
    if (!kinds.some(({ group }) => group === parts[0])) unknown.push(`${parts[0]}/${parts[1]}`)
  }
  if (unknown.length > 0) throw new Error(`unknown api groups ${[...new Set(unknown)].sort().join(',')}`)
}

// As Go's strconv.ParseBool reads it.
function booleanOf(key: string, value: string): boolean {
  if (['', '1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false
  throw new Error(`invalid value of ${key}: ${value}, err: strconv.ParseBool: parsing ${goQuote(value)}: invalid syntax`)
}
