// /healthz, /livez, /readyz: named checks, one by one or together, in the form that kubectl and probes know.
import type { ApiReply, ApiRequest } from '../request.ts'

export interface HealthCheck {
  readonly name: string
  /** Undefined when all is well; else what is wrong, for the log. */
  check(): string | undefined | Promise<string | undefined>
}

const textType = 'text/plain; charset=utf-8'

/**
 * Answers below one root (`healthz`, `livez`, `readyz`). `rest` is what follows it: empty for all checks, else one check's name.
 * Undefined when there is no such check.
 */
export async function answerHealth(
  root: string,
  rest: string,
  checks: readonly HealthCheck[],
  request: ApiRequest,
  onFailure: (root: string, text: string) => void,
): Promise<ApiReply | undefined> {
  if (rest !== '') {
    const one = checks.find((check) => check.name === rest)
    if (one === undefined) return undefined
    const failure = await run(one)
    return failure === undefined ? text(200, 'ok') : text(500, `internal server error: ${failure}\n`)
  }
  const excluded = new Set(request.query.getAll('exclude'))
  const unknown = new Set(excluded)
  const failures: string[] = []
  let lines = ''
  let logged = ''
  for (const check of checks) {
    if (excluded.has(check.name)) {
      unknown.delete(check.name)
      lines += `[+]${check.name} excluded: ok\n`
      continue
    }
    const failure = await run(check)
    if (failure === undefined) lines += `[+]${check.name} ok\n`
    else {
      failures.push(check.name)
      // The path is public: what exactly is wrong stands in the log.
      lines += `[-]${check.name} failed: reason withheld\n`
      logged += `[-]${check.name} failed: ${failure}\n`
    }
  }
  if (unknown.size > 0) {
    const names = [...unknown].sort().map((name) => JSON.stringify(name.slice(0, 128)))
    lines += `warn: some health checks cannot be excluded: no matches for ${names.join(', ')}\n`
  }
  if (failures.length > 0) {
    onFailure(root, logged)
    return text(500, `${lines}${root} check failed\n`)
  }
  return text(200, request.query.has('verbose') ? `${lines}${root} check passed\n` : 'ok')
}

async function run(check: HealthCheck): Promise<string | undefined> {
  try {
    return await check.check()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function text(status: number, body: string): ApiReply {
  return { status, headers: { 'content-type': textType, 'x-content-type-options': 'nosniff' }, body: Buffer.from(body) }
}
