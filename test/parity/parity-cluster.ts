// The cluster that a parity test talks to, by plain HTTP: our own, started in this process, or any other that a kubeconfig names
// (`npm run parity -- --kubeconfig FILE`). A test must hold on both, so it takes no advantage of being inside.
import { randomBytes } from 'node:crypto'
import { Agent, request as httpsRequest } from 'node:https'
import { afterAll, beforeAll, expect } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { readKubeconfig, type ServerAccess } from '#client/kubeconfig'
import { startCluster } from '#main/library'
import { kubeconfigVariable } from './parity-variable.ts'

// Tells that a cluster hangs, not how fast it is.
const requestMsMax = 60_000
const waitMsMax = 60_000

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** Undefined when the body is no JSON. */
  readonly json: unknown
}

/** What a refusal says. */
export interface Refusal {
  readonly code: number
  readonly reason: string | undefined
  readonly message: string
}

/** An object as it came, as far as tests look into it. */
export interface AnyObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string; readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

export interface AskOptions {
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  /** Impersonates this user, who belongs to no group but system:authenticated. */
  readonly as?: string
}

export interface ParityCluster {
  /** A namespace of this file's own, deleted at the end. */
  readonly namespace: string
  /** A suffix for names of what belongs to no namespace. */
  readonly unique: string
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>
  /** The path of a namespaced collection, or of an object in it: `apis/apps/v1 deployments web`. */
  at(groupVersion: string, resource: string, name?: string, subresource?: string): string
  /** Creates an object in the test's namespace; throws what the server says when it refuses. */
  create(groupVersion: string, resource: string, object: object): Promise<AnyObject>
  /** Asks for what must be refused, and returns how it was. */
  refused(method: string, path: string, options?: AskOptions): Promise<Refusal>
  /** Asks until `look` returns something. */
  until<T>(look: () => Promise<T | undefined>): Promise<T>
  /** A name for something without a namespace, deleted at the end. */
  global(groupVersion: string, resource: string, name: string): string
}

/** Opens the cluster before the tests of a file, and cleans up after them. */
export function useParityCluster(): ParityCluster {
  let access: ServerAccess
  let agent: Agent
  let stop = async (): Promise<void> => {}
  const unique = randomBytes(3).toString('hex')
  const namespace = `parity-${unique}`
  const globals: string[] = []

  beforeAll(async () => {
    const path = process.env[kubeconfigVariable]
    if (path === undefined) {
      const own = await startCluster({ nodes: 1 })
      access = readKubeconfig(own.kubeconfigPath)
      stop = () => own.stop()
    } else access = readKubeconfig(path)
    agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const made = await ask('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } })
    expect(made.status, made.text).toBe(201)
    // Pods are refused until the namespace's service account is there.
    await until(async () => ((await ask('GET', at('v1', 'serviceaccounts', 'default'))).status === 200 ? true : undefined))
  })

  afterAll(async () => {
    if (process.env[kubeconfigVariable] !== undefined) {
      for (const path of globals) await ask('DELETE', path)
      await ask('DELETE', `/api/v1/namespaces/${namespace}`)
    }
    agent.destroy()
    await stop()
  })

  const root = (groupVersion: string): string => (groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`)
  const at: ParityCluster['at'] = (groupVersion, resource, ...rest) =>
    [root(groupVersion), 'namespaces', namespace, resource, ...rest.filter((part) => part !== undefined)].join('/')

  const ask: ParityCluster['ask'] = (method, path, { body, contentType = 'application/json', accept = 'application/json', as } = {}) =>
    new Promise((resolve, reject) => {
      const headers: Record<string, string> = { accept }
      const content = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      if (content !== undefined) Object.assign(headers, { 'content-type': contentType, 'content-length': String(content.length) })
      if (access.token !== undefined) headers['authorization'] = `Bearer ${access.token}`
      if (as !== undefined) headers['impersonate-user'] = as
      const request = httpsRequest(
        new URL(path, access.server),
        {
          method,
          headers,
          agent,
          ...(access.ca === '' ? {} : { ca: access.ca }),
          ...(access.insecure ? { rejectUnauthorized: false } : {}),
          ...(access.clientCert === undefined ? {} : { cert: access.clientCert, key: access.clientKey }),
          timeout: requestMsMax,
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) })
          })
        },
      )
      request.on('error', reject)
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} was not answered`)))
      request.end(content)
    })

  const until: ParityCluster['until'] = async (look) => {
    const deadline = clock.monotonic() + waitMsMax
    for (;;) {
      const seen = await look()
      if (seen !== undefined) return seen
      if (clock.monotonic() > deadline) throw new Error('waited in vain')
      await clock.sleep(50)
    }
  }

  return {
    namespace,
    unique,
    ask,
    at,
    until,
    global(groupVersion, resource, name) {
      const path = `${root(groupVersion)}/${resource}/${name}`
      globals.push(path)
      return path
    },
    async create(groupVersion, resource, object) {
      const answer = await ask('POST', at(groupVersion, resource), { body: object })
      expect(answer.status, answer.text).toBe(201)
      return answer.json as AnyObject
    },
    async refused(method, path, options) {
      const { status, text, json } = await ask(method, path, options)
      expect(status, text).toBeGreaterThanOrEqual(400)
      expect(json, text).toBeDefined()
      const { code, reason, message } = json as Refusal
      return { code, reason, message }
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
