// The image archives that `make images` builds.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The archive of an image of the catalogue: `imageFile('web-v1')` is that of navarch.local/web:v1. */
export function imageFile(name: string): string {
  const path = join(import.meta.dirname, '../../.cache/images', `${name}.tar`)
  assert.ok(existsSync(path), `${path} does not exist: run "make images"`)
  return path
}
