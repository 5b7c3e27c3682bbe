// Kubernetes answers some patches that cannot be carried out with a bare 500. The words are kept here, but a client that sent
// nonsense is told that it did: a 500 is for what is our fault.
import { ApiError } from '#api/errors'

/** Runs what reads a client's patch; a 500 without a reason becomes a BadRequest with the same message. */
export function asClientsFault<R>(run: () => R): R {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 500 || error.reason !== '') throw error
    throw new ApiError({ ...error.status, reason: 'BadRequest', code: 400 }, { cause: error })
  }
}
