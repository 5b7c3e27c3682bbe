// Conversion between versions by a webhook (apiextensions.k8s.io ConversionReview, v1 and v1beta1): what it is asked, and what it may
// answer. It changes what it likes of an object, but for what the object is known by; of metadata only labels and annotations.
import type { WebhookConversion } from '#api/generated/apiextensions-v1'
import { stringifyJson } from '#api/schema/stringify'
import { validateAnnotations, validateLabels } from '#api/validation/object-meta'
import type { WebhookClient } from '../admission/webhooks/call-webhook.ts'
import { cloneJson } from '../registry/written.ts'
import type { ConversionMeasures } from './conversion-metrics.ts'
import { conversionError } from './family.ts'

type Json = Record<string, unknown>

/** How long a webhook may take. */
const timeoutMs = 30_000
// Objects and bytes of one review: answers are bounded too.
const reviewObjectsMax = 500
const reviewBytesMax = 2 << 20

export interface WebhookConverter {
  /**
   * The objects, none of which is of the version yet, converted to `apiVersion`; not changed themselves. Throws an ApiError of code 500
   * in Kubernetes' words.
   */
  convert(objects: readonly Json[], apiVersion: string): Promise<Json[]>
}

const noMeasures: ConversionMeasures = { ask: () => () => undefined, convert: () => () => undefined }

export interface WebhookConverterDeps {
  readonly client: WebhookClient
  readonly newUid: () => string
  /** Where conversions are counted and timed; absent: nowhere. */
  readonly measures?: ConversionMeasures
}

/** `definition`: the name of the definition whose objects are converted. */
export function createWebhookConverter(
  { client, newUid, measures = noMeasures }: WebhookConverterDeps,
  webhook: WebhookConversion,
  definition = '',
): WebhookConverter {
  const version = webhook.conversionReviewVersions.find((one) => one === 'v1' || one === 'v1beta1')
  const ask = async (objects: readonly Json[], desiredAPIVersion: string): Promise<Json[]> => {
    if (version === undefined) throw conversionError('no supported conversion review versions')
    const about = `conversion webhook for ${typeText(objects[0]!)}`
    const apiVersion = `apiextensions.k8s.io/${version}`
    const uid = newUid()
    const question = { kind: 'ConversionReview', apiVersion, request: { uid, desiredAPIVersion, objects } }
    const asked = measures.ask()
    const failed = (error: unknown): Error =>
      conversionError(`${about} failed: ${error instanceof Error ? error.message : String(error)}`, error)
    let answer: unknown
    try {
      answer = await client.post(webhook.clientConfig ?? {}, question, timeoutMs)
    } catch (error) {
      asked('conversion_webhook_call_failure')
      throw failed(error)
    }
    let answered: unknown[]
    try {
      answered = convertedIn(answer, uid, version)
    } catch (error) {
      asked('conversion_webhook_malformed_response_failure')
      throw failed(error)
    }
    if (answered.length !== objects.length) {
      asked('conversion_webhook_partial_response_failure')
      throw conversionError(`${about} returned ${answered.length} objects, expected ${objects.length}`)
    }
    try {
      const accepted = objects.map((original, i) => accept(original, answered[i], { about, desiredAPIVersion, index: i }))
      asked('')
      return accepted
    } catch (error) {
      asked('conversion_webhook_invalid_converted_object_failure')
      throw error
    }
  }
  return {
    async convert(objects, apiVersion) {
      const converted: Json[] = []
      for (const part of reviews(objects)) {
        const done = measures.convert(definition, versionOf(part[0]!['apiVersion']), versionOf(apiVersion))
        try {
          converted.push(...(await ask(part, apiVersion)))
          done(true)
        } catch (error) {
          done(false)
          throw error
        }
      }
      return converted
    },
  }
}

function versionOf(apiVersion: unknown): string {
  const text = String(apiVersion ?? '')
  return text.slice(text.indexOf('/') + 1)
}

function* reviews(objects: readonly Json[]): Iterable<readonly Json[]> {
  let part: Json[] = []
  let bytes = 0
  for (const object of objects) {
    const size = objects.length === 1 ? 0 : stringifyJson(object).length
    if (part.length > 0 && (part.length >= reviewObjectsMax || bytes + size > reviewBytesMax)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(object)
    bytes += size
  }
  if (part.length > 0) yield part
}

// As Go prints a GroupVersionKind.
function typeText({ apiVersion, kind }: Json): string {
  const text = String(apiVersion ?? '')
  return `${text.includes('/') ? text : `/${text}`}, Kind=${String(kind ?? '')}`
}

function convertedIn(answer: unknown, uid: string, version: string): unknown[] {
  const { response, ...type } = answer as { response?: Json | null } & Json
  if (version === 'v1') {
    const wanted = 'apiextensions.k8s.io/v1, Kind=ConversionReview'
    const got = typeText(type)
    if (got !== wanted) throw new Error(`expected webhook response of ${wanted}, got ${got}`)
  }
  if (typeof response !== 'object' || response === null) throw new Error('no response provided')
  if (version === 'v1' && response['uid'] !== uid) {
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`)
  }
  const { status = '', message = '' } = (response['result'] ?? {}) as { status?: string; message?: string }
  if (status !== 'Success') throw new Error(message || `response.result.status was '${status}', not 'Success'`)
  const { convertedObjects } = response
  return Array.isArray(convertedObjects) ? convertedObjects : []
}

interface Expected {
  readonly about: string
  readonly desiredAPIVersion: string
  readonly index: number
}

/** A converted object with the metadata that it may not have changed put back. */
function accept(original: Json, value: unknown, { about, desiredAPIVersion, index }: Expected): Json {
  const bad = (why: string): Error => conversionError(`${about} returned invalid object: ${why}`)
  if (!isFields(value))
    throw conversionError(
      `${about} returned invalid object at index ${index}: Object 'Kind' is missing in '${JSON.stringify(value ?? null)}'`,
    )
  const at = `${about} returned invalid object at index ${index}: invalid`
  if (value['apiVersion'] !== desiredAPIVersion) {
    throw conversionError(`${at} groupVersion (expected ${desiredAPIVersion}, received ${String(value['apiVersion'] ?? '')})`)
  }
  if (value['kind'] !== original['kind']) {
    throw conversionError(`${at} kind (expected ${String(original['kind'])}, received ${String(value['kind'] ?? '')})`)
  }
  const before = original['metadata'] as Json
  const after = isFields(value['metadata']) ? value['metadata'] : {}
  for (const [name, words] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const) {
    const [e, a] = [before[name] ?? '', after[name] ?? '']
    if (e !== a) throw bad(`must have the same ${words}: ${String(e)} != ${String(a)}`)
  }
  try {
    return { ...value, metadata: restoredMetadata(before, value) }
  } catch (error) {
    throw conversionError(`${about} returned invalid metadata: ${(error as Error).message}`, error)
  }
}

function restoredMetadata(original: Json, converted: Json): Json {
  if (!Object.hasOwn(converted, 'metadata')) throw new Error('missing metadata in converted object')
  const said = converted['metadata']
  if (!isFields(said)) throw new Error(`invalid metadata of type ${goType(said)} in converted object`)
  const metadata = cloneJson(original)
  for (const field of ['labels', 'annotations'] as const) {
    const texts = said[field]
    if (texts === undefined || texts === null) {
      delete metadata[field]
      continue
    }
    if (!isFields(texts)) throw new Error(`invalid metadata.${field} of type ${goType(texts)} in converted object`)
    for (const [key, text] of Object.entries(texts)) {
      if (typeof text !== 'string')
        throw new Error(`metadata.${field}[${key}] must be a string, but is ${goType(text)} in converted object`)
    }
    const strings = texts as Record<string, string>
    // A path of its own for annotations: that is how it is said.
    const errors =
      JSON.stringify(strings) === JSON.stringify(metadata[field])
        ? []
        : field === 'labels'
          ? validateLabels(strings, 'metadata.labels')
          : validateAnnotations(strings, 'metadata.annotation')
    const texted = [...new Set(errors.map((error) => `${error.field}: ${error.detail}`))]
    if (texted.length > 0) throw new Error(texted.length === 1 ? texted[0] : `[${texted.join(', ')}]`)
    metadata[field] = strings
  }
  return metadata
}

function isFields(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function goType(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'object') return 'map[string]interface {}'
  return typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? (Number.isInteger(value) ? 'int64' : 'float64') : 'string'
}
