// The outermost stage: whatever went wrong inside becomes a Status, and every answer gets what all answers carry (Audit-Id,
// Cache-Control, warnings).
import { ApiError, internalError, type StatusBody } from '#api/errors'
import type { ApiReply, ApiRequest, Stage } from '../request.ts'
import { finish } from '../verbs/encode.ts'
import { mediaTypes, negotiateOutput, type Output, wantsPretty } from '../verbs/negotiate.ts'

export interface AnswerPanicsDeps {
  /** What was no ApiError: a fault of ours. */
  readonly onFault: (request: ApiRequest, error: unknown) => void
}

export function answerPanics({ onFault }: AnswerPanicsDeps): Stage {
  return {
    name: 'answerPanics',
    run(request, next) {
      const failed = (error: unknown): ApiReply => {
        if (!(error instanceof ApiError) && !request.signal.aborted) onFault(request, error)
        return signed(request, errorReply(request, error))
      }
      try {
        const answer = next(request)
        return answer instanceof Promise ? answer.then((reply) => signed(request, reply), failed) : signed(request, answer)
      } catch (error) {
        return failed(error)
      }
    },
  }
}

// The reply with what all replies carry.
function signed(request: ApiRequest, reply: ApiReply): ApiReply {
  const { headers } = reply
  headers['audit-id'] = request.id
  headers['cache-control'] ??= 'no-cache, private'
  const { flow, warnings } = request
  if (flow !== undefined) {
    if (flow.levelUid !== '') headers['x-kubernetes-pf-prioritylevel-uid'] = flow.levelUid
    if (flow.schemaUid !== undefined) headers['x-kubernetes-pf-flowschema-uid'] = flow.schemaUid
  }
  if (warnings.length > 0) headers['warning'] = warningHeader(warnings)
  return reply
}

/** A Status in the form the client reads. Errors that are no ApiErrors tell the client nothing of themselves. */
export function errorReply(request: ApiRequest, error: unknown): ApiReply {
  const { status } = error instanceof ApiError ? error : internalError('the server met an unexpected condition; see its log')
  return statusReply(request, status)
}

/** A Status of any kind as an answer. */
export function statusReply(request: ApiRequest, status: StatusBody): ApiReply {
  const output = outputFor(request)
  const headers: Record<string, string> = { 'content-type': mediaTypes[output.media], 'x-content-type-options': 'nosniff' }
  const retryAfter = status.details?.retryAfterSeconds
  if (retryAfter !== undefined && retryAfter > 0) headers['retry-after'] = String(retryAfter)
  return { status: status.code ?? 500, headers, body: finish(JSON.stringify(status), output) }
}

// An error must reach the client even when it can read none of the forms we write. Protobuf clients read JSON as well.
function outputFor(request: ApiRequest): Output {
  const pretty = wantsPretty(request.query, request.headers['user-agent'])
  try {
    const output = negotiateOutput(request.headers['accept'], true, pretty)
    return { ...output, media: output.media === 'protobuf' ? 'json' : output.media }
  } catch {
    return { media: 'json', as: 'object', metaVersion: 'v1', pretty }
  }
}

// Kubernetes cuts warnings off when they grow beyond what headers can bear.
const warningCharsMax = 4_096
const oneWarningCharsMax = 256

// RFC 7234 section 5.5, code 299, no agent.
function warningHeader(warnings: readonly string[]): string {
  const parts: string[] = []
  let chars = 0
  for (const text of new Set(warnings)) {
    // Once long, the rest is shortened before it is dropped.
    const shown = chars + text.length > warningCharsMax ? text.slice(0, oneWarningCharsMax) : text
    if (chars + shown.length > warningCharsMax * 2) break
    chars += shown.length
    parts.push(`299 - "${quotedText(shown)}"`)
  }
  return parts.join(', ')
}

const printableAscii = /^[\x20-\x7e]*$/

// Characters are quoted as RFC 9110 section 5.6.4 has it.
function quotedText(text: string): string {
  if (printableAscii.test(text)) return text.replace(/["\\]/g, '\\$&')
  let out = ''
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (char === '"' || char === '\\') out += `\\${char}`
    else if (code >= 0x20 && code < 0x7f) out += char
    else if (code < 0x20 || code === 0x7f) out += ' '
    else out += Buffer.from(char).toString('latin1')
  }
  return out
}
