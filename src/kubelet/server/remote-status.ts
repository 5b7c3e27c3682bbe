// How a remote command ended, as the error channel of every streaming protocol says it: a Status object.
import type { Status } from '#api/generated/meta-v1'

export type RemoteStatus = Pick<Status, 'status' | 'message' | 'reason' | 'details' | 'code'> & { metadata: Record<string, never> }

export const success: RemoteStatus = { metadata: {}, status: 'Success' }

export function exited(exitCode: number): RemoteStatus {
  if (exitCode === 0) return success
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  }
}

/** `doing` says what went wrong: `error executing command in container`. */
export function failed(doing: string, error: unknown): RemoteStatus {
  const said = error instanceof Error ? error.message : String(error)
  // Engines that stream by themselves say it in the same words.
  const known = `Internal error occurred: ${doing}: `
  const text = `${doing}: ${said.startsWith(known) ? said.slice(known.length) : said}`
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${text}`,
    reason: 'InternalError',
    details: { causes: [{ message: text }] },
    code: 500,
  }
}
