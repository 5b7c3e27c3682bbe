// How everything that a test makes outside its own process is called, so that what a killed run left can be found and removed.

import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/** Names of clusters, directories, links, tables and network namespaces of tests begin with this. */
export const testPrefix = 'nvt-'

/** A new empty directory for a test, such as /tmp/nvt-docker-Xy12ab. */
export function makeTestDir(purpose: string): string {
  return mkdtempSync(join(tmpdir(), `${testPrefix}${purpose}-`))
}

/** Stops a test that would let an engine work, and later delete, outside a test directory. */
export function checkTestDir(dir: string): void {
  const inside = dir.split('/').some((part) => part.startsWith(testPrefix))
  assert.ok(inside, `${basename(dir)} is not a test directory: a part of its path has to begin with ${testPrefix}`)
}
