// An API server's core over a memory store, for tests: requests by method and path, without sockets and without a pipeline.

import { ApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { openMemoryStore } from '#storage/memory/memory-store'
import type { Store } from '#storage/store'
import { type ApiCore, type ApiCoreDeps, createApiCore } from './api-server.ts'
import { parseRequestInfo } from './pipeline/request-info.ts'
import type { ApiReply, ApiRequest, BodySink, StreamedBody, User } from './request.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Buffer
  /** The body, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every kind
  readonly json: any
  readonly warnings: readonly string[]
  /** For the audit log. */
  readonly annotations: Readonly<Record<string, string>>
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly user?: User
  readonly signal?: AbortSignal
  /** When the client's time is over, on the core's clock. */
  readonly dueMs?: number
}

export interface WatchedStream {
  /** Parsed events so far. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every kind
  readonly events: any[]
  readonly ended: Promise<void>
  stop(): void
}

export interface TestCore {
  readonly core: ApiCore
  readonly store: Store
  readonly clock: FakeClock
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** Like `call`, throwing unless the answer is a success. */
  ok(method: string, path: string, options?: CallOptions): Promise<Answer>
  watch(path: string, options?: CallOptions): Promise<WatchedStream>
  close(): Promise<void>
}

export const admin: User = { name: 'admin', groups: ['system:masters', 'system:authenticated'] }

export async function openTestCore(options: Partial<ApiCoreDeps> = {}): Promise<TestCore> {
  const store = options.store ?? openMemoryStore()
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock()
  let uid = 0
  const core = await createApiCore({
    store,
    clock,
    random: seededRandom(1),
    kinds: allKinds as readonly Kind[],
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30000, to: 32767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    deepFreeze: true,
    newUid: () => `00000000-0000-4000-8000-${String(++uid).padStart(12, '0')}`,
    ...options,
  })
  await core.untilSynced()
  const run = async (method: string, path: string, callOptions: CallOptions = {}): Promise<{ reply: ApiReply; request: ApiRequest }> => {
    const request = requestOf(method, path, callOptions, clock.now())
    try {
      return { reply: await core.dispatch(request), request }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { reply: { status: error.code, headers: {}, body: Buffer.from(JSON.stringify(error.status)) }, request }
    }
  }
  const call = async (method: string, path: string, callOptions?: CallOptions): Promise<Answer> => {
    const { reply, request } = await run(method, path, callOptions)
    const bytes = await bytesOf(reply.body, request.signal)
    const parsed = reply.headers['content-type'] === 'application/json' || reply.headers['content-type'] === undefined
    const json = parsed && reply.headers['content-encoding'] === undefined && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined
    return { status: reply.status, headers: reply.headers, bytes, json, warnings: request.warnings, annotations: request.auditAnnotations }
  }
  return {
    core,
    store,
    clock,
    call,
    async ok(method, path, callOptions) {
      const answer = await call(method, path, callOptions)
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.json)}`)
      return answer
    },
    async watch(path, callOptions) {
      const stop = new AbortController()
      const { reply } = await run('GET', path, { ...callOptions, signal: stop.signal })
      const events: unknown[] = []
      if (typeof reply.body !== 'function') return { events: [JSON.parse(String(reply.body))], ended: Promise.resolve(), stop: () => {} }
      let rest = ''
      const sink: BodySink = {
        write(chunk) {
          const lines = (rest + Buffer.from(chunk).toString()).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) events.push(JSON.parse(line))
          return true
        },
        drained: () => Promise.resolve(),
        flush: () => {},
      }
      const ended = reply.body(sink, stop.signal)
      return { events, ended, stop: () => stop.abort() }
    },
    async close() {
      await core.close()
      await store.close()
    },
  }
}

async function bytesOf(body: ApiReply['body'], signal: AbortSignal): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body !== 'function') return body instanceof Uint8Array ? Buffer.from(body) : Buffer.concat(body)
  const chunks: Buffer[] = []
  const sink: BodySink = {
    write(chunk) {
      chunks.push(Buffer.from(chunk))
      return true
    },
    drained: () => Promise.resolve(),
    flush: () => {},
  }
  await (body as StreamedBody)(sink, signal)
  return Buffer.concat(chunks)
}

function requestOf(method: string, url: string, options: CallOptions, nowMs: number): ApiRequest {
  const { pathname, searchParams } = new URL(url, 'http://test')
  const bytes = options.body === undefined ? Buffer.alloc(0) : encodeBody(options.body)
  return {
    id: 'test',
    method,
    path: pathname,
    rawPath: pathname,
    rawQuery: searchParams.toString(),
    query: searchParams,
    headers: { 'user-agent': 'tester/1.0', ...options.headers },
    body: {
      read: async () => bytes,
      stream: () => {
        throw new Error('no stream in tests')
      },
    },
    certificateRefused: false,
    remoteAddress: '127.0.0.1',
    signal: options.signal ?? new AbortController().signal,
    receivedAtMs: nowMs,
    ...(options.dueMs === undefined ? {} : { dueMs: options.dueMs }),
    info: parseRequestInfo(method, pathname, searchParams),
    user: options.user ?? admin,
    warnings: [],
    auditAnnotations: {},
  }
}

function encodeBody(body: unknown): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}
