// What form a client wants an answer in: media type, transformation to a Table or to metadata alone, pretty printing. Accept
// headers repeat, so what each one means is found once.
import { notAcceptable, unsupportedMediaType } from '#api/errors'

export type Media = 'json' | 'yaml' | 'protobuf'

export interface Output {
  readonly media: Media
  /** `object`: as it is. */
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList'
  /** Version of meta.k8s.io, for transformations. */
  readonly metaVersion: 'v1' | 'v1beta1'
  readonly pretty: boolean
}

export const mediaTypes: Readonly<Record<Media, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
}

const order: readonly Media[] = ['json', 'yaml', 'protobuf']
const customOrder: readonly Media[] = ['json', 'yaml']
const plainJson: Output = { media: 'json', as: 'object', metaVersion: 'v1', pretty: false }

interface Clause {
  readonly type: string
  readonly subtype: string
  readonly quality: number
  readonly params: ReadonlyMap<string, string>
}

const knownMax = 500
const known = new Map<string, Output | undefined>()

/**
 * The form to answer in. `custom`: a custom resource, which has no protobuf form of its own; `tables`: whether there is a table to
 * show, which reviews and the like have none of. Throws NotAcceptable.
 */
export function negotiateOutput(
  accept: string | undefined,
  custom: boolean,
  pretty: boolean,
  { streaming = false, tables = true }: { streaming?: boolean; tables?: boolean } = {},
): Output {
  if (accept === undefined || accept === '') return pretty ? { ...plainJson, pretty } : plainJson
  const key = `${custom ? 'c' : 'b'}${streaming ? 's' : ''}${tables ? '' : 'o'}${accept}`
  let output = known.get(key)
  if (output === undefined && !known.has(key)) {
    output = choose(accept, custom, tables)
    if (known.size >= knownMax) known.clear()
    known.set(key, output)
  }
  if (output === undefined) {
    const supported = order.map((media) => mediaTypes[media])
    throw notAcceptable(streaming ? supported.filter((type) => type !== mediaTypes.yaml).map((type) => `${type};stream=watch`) : supported)
  }
  if (streaming && output.media === 'yaml') throw notAcceptable([`${mediaTypes.json};stream=watch`, `${mediaTypes.protobuf};stream=watch`])
  return pretty && !output.pretty ? { ...output, pretty } : output
}

/** The form of a document that is no object of the API: as it is, or as what `converts` says that a clause's parameters ask for. */
export interface DocumentForm {
  readonly media: Media
  readonly pretty: boolean
  readonly converted: boolean
}

/** Throws NotAcceptable. */
export function negotiateDocument(
  accept: string | undefined,
  pretty: boolean,
  converts: (params: ReadonlyMap<string, string>) => boolean,
): DocumentForm {
  if (accept === undefined || accept === '') return { media: 'json', pretty, converted: false }
  for (const clause of parseAccept(accept)) {
    const { params } = clause
    const media = order.find((one) => covers(clause, mediaTypes[one]))
    if (media === undefined) continue
    const asks = ['as', 'g', 'v'].some((name) => params.has(name))
    if (asks && !converts(params)) continue
    return { media, pretty: pretty || params.get('pretty') === '1', converted: asks }
  }
  throw notAcceptable(order.map((media) => mediaTypes[media]))
}

function choose(accept: string, custom: boolean, tables: boolean): Output | undefined {
  for (const clause of parseAccept(accept)) {
    for (const media of order) {
      if (!covers(clause, mediaTypes[media])) continue
      const output = accepted(clause, media, custom)
      if (output !== undefined && (tables || output.as !== 'Table')) return output
    }
  }
  return undefined
}

function covers({ type, subtype }: Clause, mediaType: string): boolean {
  const [wanted, wantedSub] = mediaType.split('/')
  return (type === '*' && subtype === '*') || (type === wanted && (subtype === '*' || subtype === wantedSub))
}

function accepted({ params }: Clause, media: Media, custom: boolean): Output | undefined {
  const as = params.get('as')
  const version = params.get('v')
  const pretty = params.get('pretty') === '1'
  const stream = params.get('stream')
  if (stream !== undefined && stream !== '' && stream !== 'watch') return undefined
  if (params.get('sv') !== undefined && params.get('sv') !== '' && params.get('sv') !== 'v1') return undefined
  if (as === undefined && version === undefined && params.get('g') === undefined) {
    return custom && !customOrder.includes(media) ? undefined : { media, as: 'object', metaVersion: 'v1', pretty }
  }
  if (params.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined
  if (as === 'Table') return media === 'protobuf' ? undefined : { media, as, metaVersion: version, pretty }
  if (as !== 'PartialObjectMetadata' && as !== 'PartialObjectMetadataList') return undefined
  return { media, as, metaVersion: version, pretty }
}

function parseAccept(header: string): Clause[] {
  const clauses: Clause[] = []
  for (const part of header.split(',')) {
    const [range = '', ...rest] = part.split(';')
    const [type = '', subtype = '*'] = range.trim().split('/')
    if (type === '') continue
    const params = new Map<string, string>()
    for (const param of rest) {
      const at = param.indexOf('=')
      if (at < 0) continue
      const value = param.slice(at + 1).trim()
      params.set(param.slice(0, at).trim().toLowerCase(), value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value)
    }
    const quality = Number(params.get('q') ?? 1)
    params.delete('q')
    clauses.push({ type: type.trim(), subtype: subtype.trim(), quality: Number.isFinite(quality) ? quality : 0, params })
  }
  const rank = (clause: Clause): number => (clause.type === '*' ? 2 : clause.subtype === '*' ? 1 : 0)
  return clauses.sort((a, b) => b.quality - a.quality || rank(a) - rank(b))
}

/** Whether the client wants to read the answer itself: it says so, or is a browser or a command that people type. */
export function wantsPretty(query: URLSearchParams, userAgent: string | undefined): boolean {
  if (query.size > 0) {
    const pretty = query.get('pretty')
    if (pretty !== null && pretty !== '') return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(pretty)
  }
  if (userAgent === undefined) return false
  return userAgent.startsWith('curl') || userAgent.startsWith('Wget') || userAgent.startsWith('Mozilla/5.0')
}

/** The form of a body. No header means JSON. Throws UnsupportedMediaType. */
export function negotiateInput(contentType: string | undefined): Media {
  if (contentType === undefined || contentType === '') return 'json'
  const semicolon = contentType.indexOf(';')
  const type = (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase()
  for (const media of order) if (mediaTypes[media] === type) return media
  throw unsupportedMediaType(order.map((media) => mediaTypes[media]))
}
