// A short, stable name for a text: for change detection, never for security.
import { createHash } from 'node:crypto'

/** Sixteen hexadecimal digits. */
export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
