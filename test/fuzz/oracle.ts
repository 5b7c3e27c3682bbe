// What must be true of every answer, and of everything that is stored, whatever was sent.
import type { FieldError } from '#api/errors'
import { type Kind, storageKey } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import type { KubeObject } from '#api/object'
import { compileDecoder } from '#api/schema/decode'
import { validateObjectMeta } from '#api/validation/object-meta'
import { systemClock } from '#base/clock'
import type { Target } from './target.ts'
import type { Answer, FuzzRequest } from './wire.ts'

/** Kubernetes answers these with the error of the backend, when it has given up on it: there is none here. */
const mayFail = /\/(proxy|exec|attach|log|portforward)(\/|\?|$)|\/(readyz|healthz|livez)/

/** What is wrong with the answer; undefined when nothing is. */
export function complaintAbout(request: FuzzRequest, answer: Answer): string | undefined {
  if (answer.outcome === 'hung') return mayFail.test(request.path) ? undefined : 'no answer in time'
  if (answer.outcome === 'refused') return undefined
  const { status, headers, body } = answer
  // Compat: Kubernetes answers a create with a resourceVersion so.
  if (status === 500 && body.includes('resourceVersion should not be set on objects to be created')) return undefined
  if (status >= 500 && status !== 503 && status !== 504 && !mayFail.test(request.path)) return `${status} ${body.toString().slice(0, 600)}`
  if (status < 100 || status > 599) return `status ${status}`
  if (request.method === 'HEAD' || status === 304 || status === 101) return undefined
  if (!answer.whole && request.endless !== true) return `the answer (${status}) breaks off`
  const type = String(headers['content-type'] ?? '')
  if (headers['content-encoding'] !== undefined || (request.endless === true && status < 400)) return undefined
  // The HTTP parser's own refusals carry no Status; Go's do not either.
  if (status === 431 || (status === 400 && body.length === 0 && headers['audit-id'] === undefined)) return undefined
  if (status < 400) return type.startsWith('application/json') ? complaintAboutJson(body) : undefined
  if (type.startsWith('application/yaml'))
    return body.toString().includes('kind: Status') ? undefined : `no Status: ${body.toString().slice(0, 200)}`
  if (mayFail.test(request.path)) return undefined
  if (!type.startsWith('application/json')) return `${status} as ${type}: ${body.toString().slice(0, 200)}`
  return complaintAboutStatus(status, body)
}

function complaintAboutJson(body: Buffer): string | undefined {
  try {
    JSON.parse(body.toString())
    return undefined
  } catch (error) {
    return `no JSON: ${String(error)}`
  }
}

function complaintAboutStatus(code: number, body: Buffer): string | undefined {
  const broken = complaintAboutJson(body)
  if (broken !== undefined) return broken
  const status = JSON.parse(body.toString()) as Record<string, unknown>
  const shown = body.toString().slice(0, 600)
  if (status['kind'] !== 'Status' || status['apiVersion'] !== 'v1') return `no Status: ${shown}`
  if (status['status'] !== 'Failure' || status['code'] !== code) return `a Status that says otherwise than ${code}: ${shown}`
  if (typeof status['message'] !== 'string' || status['message'] === '' || typeof status['reason'] !== 'string')
    return `a Status that says nothing: ${shown}`
  // Compat: "undefined field" are CEL's words.
  if (/\bundefined\b(?! field)|\[object |\bat .*\.ts:|NaN:/.test(status['message'] as string))
    return `a message of a program, not for people: ${shown}`
  return undefined
}

const pollution = JSON.stringify([Object.prototype, Array.prototype, Function.prototype].map((each) => Object.getOwnPropertyNames(each)))

/** Whether something has got into what all objects share. */
export function complaintAboutPrototypes(): string | undefined {
  const now = JSON.stringify([Object.prototype, Array.prototype, Function.prototype].map((each) => Object.getOwnPropertyNames(each)))
  return now === pollution ? undefined : 'a prototype of the language has been changed'
}

const byPrefix = new Map<string, Kind[]>()
for (const kind of allKinds) byPrefix.set(kind.storagePrefix, [...(byPrefix.get(kind.storagePrefix) ?? []), kind])

/** Reads everything that is stored: each object decodes strictly, is defaulted and valid, and stands under its own key. */
export async function complaintsAboutStore(target: Target): Promise<string[]> {
  const complaints: string[] = []
  const { items } = await target.store.range('/registry/')
  for (const { key, value } of items) {
    const complaint = complaintAboutStored(key, value)
    if (complaint !== undefined) complaints.push(`stored under ${JSON.stringify(key)}: ${complaint}`)
  }
  return complaints
}

function complaintAboutStored(key: string, value: Buffer): string | undefined {
  const raw = JSON.parse(value.toString()) as { apiVersion: string; kind: string }
  const kind = [...byPrefix]
    .filter(([prefix]) => key.startsWith(`${prefix}/`))
    .flatMap(([, kinds]) => kinds)
    .find((each) => each.apiVersion === raw.apiVersion && each.kind === raw.kind)
  if (kind === undefined)
    return raw.apiVersion.startsWith('fuzz.example.com/') || key.startsWith('/registry/ranges')
      ? undefined
      : `an unknown kind: ${value.toString().slice(0, 200)}`
  const { object, problems } = compileDecoder<KubeObject>(kind.schema())(structuredClone(raw), 'strict')
  if (problems.length > 0) return problems.join(', ')
  const { metadata } = object
  if (key !== storageKey(kind, metadata.namespace ?? '', metadata.name)) return `it is ${metadata.namespace ?? ''}/${metadata.name}`
  if (!metadata.uid || !metadata.creationTimestamp) return 'it has no uid or no creation timestamp'
  const before = JSON.stringify(object)
  kind.strategy.setDefaults?.(object)
  if (JSON.stringify(object) !== before)
    return `it is not defaulted: ${before.slice(0, 300)} ${firstDifference(before, JSON.stringify(object))}`
  const context = { nowMs: systemClock.now(), user: { name: 'admin', groups: [] }, subresource: '' }
  const rules = {
    namespaced: kind.namespaced,
    builtIn: true,
    ...(kind.strategy.validateName && { validateName: kind.strategy.validateName }),
  }
  const errors: FieldError[] = [...validateObjectMeta(metadata, rules), ...(kind.strategy.validate?.(object, context) ?? [])]
  return errors.length > 0
    ? `it is invalid: ${errors
        .map(({ field, detail }) => `${field}: ${detail}`)
        .join(', ')
        .slice(0, 500)}`
    : undefined
}

function firstDifference(a: string, b: string): string {
  let at = 0
  while (a[at] === b[at]) at++
  return `(…${a.slice(Math.max(0, at - 40), at + 40)}… becomes …${b.slice(Math.max(0, at - 40), at + 40)}…)`
}

/** A request as it can be read and sent again. */
export function shown(request: FuzzRequest): string {
  const text = request.body?.toString() ?? ''
  const readable = request.body === undefined || Buffer.from(text).equals(request.body)
  const body = readable
    ? JSON.stringify(text.length > 1_500 ? `${text.slice(0, 1_500)}…` : text)
    : `base64 ${request.body!.toString('base64').slice(0, 1_500)}`
  return `${request.what}: ${request.method} ${request.path.slice(0, 500)} ${JSON.stringify(request.headers ?? {}).slice(0, 500)} ${body}`
}
