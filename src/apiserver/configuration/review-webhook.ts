// A server that is asked about tokens or rights: one object is posted, the same object comes back with its status. What fails for the
// moment is tried again, as kube-apiserver does.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import { readKubeconfig } from '#client/kubeconfig'
import { HttpStatusError, type JsonPoster, jsonPoster } from '#platform/post-json'

export interface ReviewWebhookDeps {
  readonly clock: Clock
  readonly random: Random
}

export interface ReviewWebhook {
  /** The object that came back. Rejects with an Error for people. */
  review(body: { readonly apiVersion: string; readonly kind: string }): Promise<Record<string, unknown>>
  close(): void
}

// Kubernetes' backoff for webhooks of authentication and authorization.
const triesMax = 5
const firstWaitMs = 500
const waitFactor = 1.5
const jitter = 0.2

/** A webhook at the server that a kubeconfig file names. Throws an Error when the file is none. */
export function reviewWebhook(kubeconfigPath: string, timeoutMs: number, deps: ReviewWebhookDeps): ReviewWebhook {
  const { server, ...access } = readKubeconfig(kubeconfigPath)
  const poster = jsonPoster({ url: server, ...access })
  return { review: (body) => tryAgain(poster, body, timeoutMs, deps), close: () => poster.close() }
}

async function tryAgain(
  poster: JsonPoster,
  body: { readonly apiVersion: string; readonly kind: string },
  timeoutMs: number,
  { clock, random }: ReviewWebhookDeps,
): Promise<Record<string, unknown>> {
  let waitMs = firstWaitMs
  for (let tries = 1; ; tries++) {
    try {
      const answer = await poster.post(body, timeoutMs)
      const { apiVersion, kind } = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<string, unknown>
      if (apiVersion === body.apiVersion && kind === body.kind) return answer as Record<string, unknown>
      throw new Error(
        `the webhook answered with ${JSON.stringify(`${apiVersion}, Kind=${kind}`)} instead of ${body.apiVersion}, Kind=${body.kind}`,
      )
    } catch (error) {
      if (tries === triesMax || !isPassing(error)) throw error instanceof HttpStatusError ? new Error(wordsOf(error)) : error
      await clock.sleep(waitMs * (1 + jitter * random()))
      waitMs *= waitFactor
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof HttpStatusError) return error.status === 500 || error.status === 429 || error.status === 504 || error.retryAfter
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET'
}

function wordsOf({ status, text }: HttpStatusError): string {
  try {
    const said = JSON.parse(text) as { kind?: unknown }
    if (said.kind === 'Status') return (said as { message?: string }).message ?? 'unknown'
  } catch {
    // It is plain text.
  }
  if (status === 401) return 'Unauthorized'
  if (status === 404) return 'the server could not find the requested resource'
  if (status === 403) return `forbidden: ${text.trim()}`
  if (status >= 500) return `an error on the server (${JSON.stringify(text.trim())}) has prevented the request from succeeding`
  return `the server rejected our request for an unknown reason`
}
