// From a request's query and headers to a registry call.
import { invalid } from '#api/errors'
import { validateWriteOptions } from '#api/validation/object-meta'
import type { Call, CallOrigin, FieldValidation } from '../registry/call.ts'
import type { ApiRequest } from '../request.ts'

const managerBytesMax = 128

/** The name of a client that gives no field manager: what its User-Agent has before the first slash. */
export function managerOfUserAgent(userAgent: string): string {
  const slash = userAgent.indexOf('/')
  const name = slash < 0 ? userAgent : userAgent.slice(0, slash)
  // Printable ASCII, as nearly all are, needs no further look.
  if (name.length <= managerBytesMax && /^[\x20-\x7e]*$/.test(name)) return name
  let out = ''
  let bytes = 0
  for (const char of name) {
    if (/\p{C}/u.test(char)) continue
    bytes += Buffer.byteLength(char)
    if (bytes > managerBytesMax) break
    out += char
  }
  return out
}

export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions'

/** The call that a request makes. Throws Invalid for options that do not fit. */
export function callOf(request: ApiRequest, optionsKind: OptionsKind, authorizeCreate?: (request: ApiRequest) => Promise<void>): Call {
  const { query } = request
  let dryRun = false
  let fieldManager = ''
  let fieldValidation: FieldValidation = 'Warn'
  if (query.size > 0) {
    const dryRuns = query.getAll('dryRun').filter((value) => value !== '')
    fieldManager = query.get('fieldManager') ?? ''
    const validation = query.get('fieldValidation') ?? ''
    if (dryRuns.length > 0 || fieldManager !== '' || validation !== '') {
      const errors = validateWriteOptions({ dryRun: dryRuns, fieldManager, fieldValidation: validation })
      if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', errors)
      dryRun = dryRuns.length > 0
      if (validation !== '') fieldValidation = validation as FieldValidation
    }
  }
  return {
    user: request.user,
    dryRun,
    fieldManager: fieldManager || managerOfUserAgent(request.headers['user-agent'] ?? ''),
    fieldValidation,
    origin: originOf(request),
    warn: (text) => {
      if (!request.warnings.includes(text)) request.warnings.push(text)
    },
    annotate: (key, value) => {
      request.auditAnnotations[key] ??= value
    },
    // Made when it is first asked for.
    get signal() {
      return request.signal
    },
    ...(authorizeCreate === undefined ? {} : { authorizeCreate: () => authorizeCreate(request) }),
  }
}

/** What admission tells webhooks and policies of the request. */
export function originOf({ info, query, dueMs }: ApiRequest): CallOrigin {
  const { group, version, resource, verb } = info
  if (query.size === 0) return { group, version, resource, verb, fieldManager: '', fieldValidation: '', dueMs }
  const [fieldManager, fieldValidation] = [query.get('fieldManager') ?? '', query.get('fieldValidation') ?? '']
  return { group, version, resource, verb, fieldManager, fieldValidation, dueMs }
}
