// What was sent and what was answered, as they stand in audit events: JSON whatever the client spoke, within a bound, without
// managedFields when the policy says so.
import { gunzipSync } from 'node:zlib'
import type { ApiReply, ApiRequest, KindCatalog, StreamedBody } from '../request.ts'
import { decodeProtobuf } from '../verbs/protobuf.ts'
import { parseYaml } from '../verbs/yaml.ts'

/** Largest body that is put into an event. */
export const auditBodyBytesMax = 3 * 1024 * 1024

type Json = Record<string, unknown>

/** Keeps what the request's body turns out to be, once somebody reads it. */
export function keepBody(request: ApiRequest): () => Buffer | undefined {
  const { body } = request
  let kept: Buffer | undefined
  request.body = {
    read: async (limitBytes) => {
      kept = await body.read(limitBytes)
      return kept
    },
    stream: () => body.stream(),
  }
  return () => (kept === undefined || kept.length === 0 || kept.length > auditBodyBytesMax ? undefined : kept)
}

/** The body as a value; undefined for what is none that we read. */
export function bodyValue(bytes: Buffer, contentType: string | undefined, request: ApiRequest, catalog: KindCatalog): unknown {
  const type = (contentType ?? 'application/json').split(';')[0]!.trim().toLowerCase()
  try {
    if (type.endsWith('yaml')) return parseYaml(bytes.toString(), false).value
    if (!type.includes('protobuf')) return JSON.parse(bytes.toString())
    const { group, version, resource } = request.info
    const kind = catalog.find(group, version, resource)
    return kind === undefined ? undefined : decodeProtobuf(bytes, [kind], catalog).object
  } catch {
    return undefined
  }
}

/** The bytes of an answer that is complete; undefined for streams and what is too big. */
export function replyBytes({ body }: ApiReply): Buffer | undefined {
  if (body === undefined || typeof body === 'function') return undefined
  const bytes = body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.concat(body)
  return bytes.length > auditBodyBytesMax ? undefined : bytes
}

/** What is written through the returned body is kept, up to the bound. */
export function keepStream(body: StreamedBody): { readonly body: StreamedBody; bytes(): Buffer | undefined } {
  const chunks: Buffer[] = []
  let size = 0
  return {
    body: (sink, signal) =>
      body(
        {
          write(chunk) {
            size += chunk.length
            if (size <= auditBodyBytesMax) chunks.push(Buffer.from(chunk))
            else chunks.length = 0
            return sink.write(chunk)
          },
          drained: () => sink.drained(),
          flush: () => sink.flush(),
        },
        signal,
      ),
    bytes: () => (size === 0 || size > auditBodyBytesMax ? undefined : Buffer.concat(chunks)),
  }
}

export function unpacked(bytes: Buffer, encoding: string | undefined): Buffer {
  return encoding === 'gzip' ? gunzipSync(bytes, { maxOutputLength: auditBodyBytesMax }) : bytes
}

/** The value without managedFields, of itself, its items or its rows. */
export function withoutManagedFields(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const copy: Json = { ...(value as Json) }
  const metadata = copy['metadata']
  if (typeof metadata === 'object' && metadata !== null && 'managedFields' in metadata) {
    const { managedFields: _, ...rest } = metadata as Json
    copy['metadata'] = rest
  }
  if (Array.isArray(copy['items'])) copy['items'] = copy['items'].map(withoutManagedFields)
  if (Array.isArray(copy['rows'])) {
    copy['rows'] = copy['rows'].map((row: Json) => ({ ...row, object: withoutManagedFields(row['object']) }))
  }
  return copy
}
