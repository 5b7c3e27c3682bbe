// Kubeconfig files (client.authentication's v1 Config): read to reach a server, written for kubectl and people.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse, stringify } from 'yaml'

/** How somebody proves who it is. PEM texts; exactly one of certificate+key, token and password, or none. */
export interface UserAccess {
  readonly clientCert?: string
  readonly clientKey?: string
  readonly token?: string
  readonly username?: string
  readonly password?: string
}

/** What it takes to reach an API server as somebody. */
export interface ServerAccess extends UserAccess {
  readonly server: string
  readonly ca: string
  /** The name that the server's certificate must have; absent: that of the URL. */
  readonly serverName?: string
  /** Whether the server may be anybody. */
  readonly insecure?: boolean
}

interface Config {
  'current-context'?: string
  clusters?: { name: string; cluster: Record<string, string> }[]
  users?: { name: string; user: Record<string, string> }[]
  contexts?: { name: string; context: { cluster: string; user: string; namespace?: string } }[]
}

/** A kubeconfig with one cluster, user and context. */
export function renderKubeconfig(access: ServerAccess, names: { cluster: string; user: string }): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const user: Record<string, string> = {}
  if (access.clientCert !== undefined) user['client-certificate-data'] = base64(access.clientCert)
  if (access.clientKey !== undefined) user['client-key-data'] = base64(access.clientKey)
  if (access.token !== undefined) user['token'] = access.token
  const context = `${names.user}@${names.cluster}`
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: names.cluster, cluster: { server: access.server, 'certificate-authority-data': base64(access.ca) } }],
    users: [{ name: names.user, user }],
    contexts: [{ name: context, context: { cluster: names.cluster, user: names.user } }],
    'current-context': context,
  })
}

/** The access that a kubeconfig's current context (or the named one) describes. Throws an Error that says what is missing. */
export function readKubeconfig(path: string, contextName?: string): ServerAccess {
  const config = parse(readFileSync(path, 'utf8'), { maxAliasCount: 100 }) as Config | null
  const wanted = contextName ?? config?.['current-context'] ?? ''
  const context = config?.contexts?.find(({ name }) => name === wanted)?.context
  if (context === undefined) throw new Error(`${path}: no context named "${wanted}"`)
  const cluster = config?.clusters?.find(({ name }) => name === context.cluster)?.cluster
  const user = config?.users?.find(({ name }) => name === context.user)?.user ?? {}
  if (cluster?.['server'] === undefined) throw new Error(`${path}: no server for cluster "${context.cluster}"`)
  return {
    server: cluster['server'],
    ca: pemIn(path, cluster, 'certificate-authority') ?? '',
    ...userAccess(path, user),
    ...(cluster['tls-server-name'] === undefined ? {} : { serverName: cluster['tls-server-name'] }),
    ...(String(cluster['insecure-skip-tls-verify']) === 'true' ? { insecure: true } : {}),
  }
}

/** All users of a kubeconfig by their names, and the one of its current context. Throws an Error when it is none. */
export function readKubeconfigUsers(path: string): {
  readonly users: ReadonlyMap<string, UserAccess>
  readonly current: UserAccess | undefined
} {
  const config = parse(readFileSync(path, 'utf8'), { maxAliasCount: 100 }) as Config | null
  const users = new Map((config?.users ?? []).map(({ name, user }) => [name, userAccess(path, user ?? {})]))
  const context = config?.contexts?.find(({ name }) => name === config['current-context'])?.context
  return { users, current: context === undefined ? undefined : users.get(context.user) }
}

function userAccess(path: string, user: Readonly<Record<string, string>>): UserAccess {
  const clientCert = pemIn(path, user, 'client-certificate')
  const clientKey = pemIn(path, user, 'client-key')
  const tokenFile = user['tokenFile']
  const token = user['token'] ?? (tokenFile === undefined ? undefined : readFileSync(resolve(dirname(path), tokenFile), 'utf8').trim())
  return {
    ...(clientCert === undefined ? {} : { clientCert }),
    ...(clientKey === undefined ? {} : { clientKey }),
    ...(token === undefined ? {} : { token }),
    ...(user['username'] === undefined ? {} : { username: user['username'], password: user['password'] ?? '' }),
  }
}

// Given in the file itself, or as the name of another.
function pemIn(path: string, from: Readonly<Record<string, string>>, name: string): string | undefined {
  const data = from[`${name}-data`]
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
  const file = from[name]
  return file === undefined ? undefined : readFileSync(resolve(dirname(path), file), 'utf8')
}
