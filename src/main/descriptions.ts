// Descriptions of API types for `kubectl explain`: the build leaves them beside the program; run from source there are none.
import { readFile } from 'node:fs/promises'
import type { Descriptions } from '#api/openapi/definitions'

/** The texts, read anew at each call: they are big and seldom wanted. */
export async function readDescriptions(): Promise<Descriptions> {
  try {
    return JSON.parse(await readFile(new URL('./descriptions.json', import.meta.url), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
