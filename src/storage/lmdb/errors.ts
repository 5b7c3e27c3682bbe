// LMDB's and the system's errors as the store's.
import { StoreError, type StoreErrorCode } from '../store.ts'

// Negative ones from lmdb.h; positive ones are errno.
const codes = new Map<unknown, StoreErrorCode>([
  [-30792, 'full'], // MDB_MAP_FULL
  [28, 'full'], // ENOSPC
  [122, 'full'], // EDQUOT
  [27, 'full'], // EFBIG
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EFBIG', 'full'],
  [-30797, 'corrupt'], // MDB_PAGE_NOTFOUND
  [-30796, 'corrupt'], // MDB_CORRUPTED
  [-30794, 'corrupt'], // MDB_VERSION_MISMATCH
  [-30793, 'corrupt'], // MDB_INVALID
])

/** The error for a file that is not a store, or no longer one. */
export function corruptError(path: string, reason: string, cause?: unknown): StoreError {
  return new StoreError('corrupt', `${path} is damaged: ${reason}; restore it from a snapshot`, { cause })
}

/** The error for a file that the system does not let us use. */
export function unavailableError(path: string, cause: unknown): StoreError {
  return new StoreError('unavailable', `${path} cannot be used: ${messageOf(cause)}`, { cause })
}

/** Whether there was no room, in anybody's words. */
export function isFull(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'full' || codes.get(code) === 'full'
}

/** Any error as a StoreError. */
export function storeError(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  if (isFull(error)) return new StoreError('full', `no space left to write to ${path}; free some and write again`, { cause: error })
  if (codes.get((error as { code?: unknown }).code) === 'corrupt') return corruptError(path, messageOf(error), error)
  return unavailableError(path, error)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
