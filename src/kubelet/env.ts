// The environment of a container: the services of its namespace, whole config maps and secrets, and single variables,
// in Kubernetes' order of precedence.
import type { ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service } from '#api/generated/core-v1'
import { type DownwardContext, fieldValue, resourceValue } from './downward.ts'
import { expand } from './expand.ts'

export interface EnvSources {
  /** Undefined: it does not exist. Rejects when it could not be asked. */
  configMap(name: string): Promise<ConfigMap | undefined>
  secret(name: string): Promise<Secret | undefined>
  /** Text of a file of one of the pod's volumes; undefined when it is not there. */
  volumeFile(volumeName: string, path: string): Promise<string | undefined>
  readonly services: readonly Service[]
  readonly downward: DownwardContext
  /** Where the `kubernetes` service lives. */
  readonly masterNamespace: string
}

export interface EnvEntry {
  readonly name: string
  readonly value: string
}

/** Throws, in Kubernetes' words, when something required is missing. */
export async function containerEnv(pod: Pod, container: Container, sources: EnvSources): Promise<EnvEntry[]> {
  const services = serviceEnv(pod, sources)
  const env = new Map<string, string>()
  for (const from of container.envFrom ?? []) {
    for (const [key, value] of Object.entries(await envFromData(pod, from, sources))) env.set(`${from.prefix ?? ''}${key}`, value)
  }
  for (const variable of container.env ?? []) {
    const value = await variableValue(pod, container, variable, sources, (name) => env.get(name) ?? services.get(name))
    if (value !== undefined) env.set(variable.name, value)
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value)
  return [...env].map(([name, value]) => ({ name, value }))
}

async function envFromData(
  pod: Pod,
  from: NonNullable<Container['envFrom']>[number],
  sources: EnvSources,
): Promise<Readonly<Record<string, string>>> {
  if (from.configMapRef !== undefined) {
    const name = from.configMapRef.name ?? ''
    const configMap = await sources.configMap(name)
    if (configMap !== undefined) return configMap.data ?? {}
    if (from.configMapRef.optional) return {}
    throw new Error(`configmap ${JSON.stringify(name)} not found`)
  }
  if (from.secretRef !== undefined) {
    const name = from.secretRef.name ?? ''
    const secret = await sources.secret(name)
    if (secret !== undefined) return decodeAll(secret.data)
    if (from.secretRef.optional) return {}
    throw new Error(`secret ${JSON.stringify(name)} not found`)
  }
  throw new Error(`invalid envFrom of pod ${pod.metadata.name}`)
}

function decodeAll(data: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, decode(value)]))
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}

async function variableValue(
  pod: Pod,
  container: Container,
  variable: EnvVar,
  sources: EnvSources,
  known: (name: string) => string | undefined,
): Promise<string | undefined> {
  if (variable.valueFrom === undefined) return expand(variable.value ?? '', known)
  return await valueFrom(pod, container, variable.valueFrom, sources)
}

async function valueFrom(pod: Pod, container: Container, from: EnvVarSource, sources: EnvSources): Promise<string | undefined> {
  const namespace = pod.metadata.namespace ?? ''
  if (from.fieldRef !== undefined) return fieldValue(pod, from.fieldRef, sources.downward)
  if (from.resourceFieldRef !== undefined) return resourceValue(pod, container, from.resourceFieldRef, sources.downward)
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef
    const configMap = await sources.configMap(name)
    if (configMap === undefined && !optional) throw new Error(`configmap ${JSON.stringify(name)} not found`)
    const value = configMap?.data?.[key]
    if (value === undefined && !optional) throw new Error(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`)
    return value
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef
    const secret = await sources.secret(name)
    if (secret === undefined && !optional) throw new Error(`secret ${JSON.stringify(name)} not found`)
    const value = secret?.data?.[key]
    if (value === undefined && !optional) throw new Error(`couldn't find key ${key} in Secret ${namespace}/${name}`)
    return value === undefined ? undefined : decode(value)
  }
  if (from.fileKeyRef !== undefined) return await fileKeyValue(from.fileKeyRef, sources)
  return undefined
}

/** KEP-3721: a variable from a file of `NAME=value` lines in an emptyDir volume. */
async function fileKeyValue(ref: NonNullable<EnvVarSource['fileKeyRef']>, sources: EnvSources): Promise<string | undefined> {
  const text = await sources.volumeFile(ref.volumeName, ref.path)
  if (text === undefined) {
    if (ref.optional) return undefined
    throw new Error(`environment variable file ${JSON.stringify(ref.path)} not found in volume ${JSON.stringify(ref.volumeName)}`)
  }
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/.exec(line)
    if (match?.[1] === ref.key) return unquote(match[2]!.trim())
  }
  if (ref.optional) return undefined
  throw new Error(`environment variable key ${JSON.stringify(ref.key)} not found in file ${JSON.stringify(ref.path)}`)
}

function unquote(value: string): string {
  const quoted = /^(['"])(.*)\1$/.exec(value)
  return quoted === null ? value : quoted[2]!
}

/** The variables that announce services (documentation: "Accessing the Service, environment variables"). */
export function serviceEnv(pod: Pod, { services, masterNamespace }: EnvSources): Map<string, string> {
  const env = new Map<string, string>()
  const chosen = services.filter(({ metadata, spec }) => {
    if (spec.clusterIP === undefined || spec.clusterIP === '' || spec.clusterIP === 'None') return false
    if (metadata.namespace === masterNamespace && metadata.name === 'kubernetes') return true
    return pod.spec.enableServiceLinks !== false && metadata.namespace === pod.metadata.namespace
  })
  // The master's service last: a service of the same name in the pod's namespace wins.
  chosen.sort((a, b) => Number(b.metadata.namespace === masterNamespace) - Number(a.metadata.namespace === masterNamespace))
  for (const service of chosen) addService(env, service)
  return env
}

function addService(env: Map<string, string>, service: Service): void {
  const name = service.metadata.name.toUpperCase().replaceAll('-', '_')
  const ip = service.spec.clusterIP!
  const ports = service.spec.ports ?? []
  if (ports[0] === undefined) return
  env.set(`${name}_SERVICE_HOST`, ip)
  env.set(`${name}_SERVICE_PORT`, String(ports[0].port))
  for (const port of ports) {
    if (port.name) env.set(`${name}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port))
  }
  for (const [index, port] of ports.entries()) {
    const protocol = port.protocol
    const host = ip.includes(':') ? `[${ip}]` : ip
    const url = `${protocol.toLowerCase()}://${host}:${port.port}`
    if (index === 0) env.set(`${name}_PORT`, url)
    const prefix = `${name}_PORT_${port.port}_${protocol}`
    env.set(prefix, url)
    env.set(`${prefix}_PROTO`, protocol.toLowerCase())
    env.set(`${prefix}_PORT`, String(port.port))
    env.set(`${prefix}_ADDR`, ip)
  }
}
