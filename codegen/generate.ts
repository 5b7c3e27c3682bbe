// Writes src/api/generated/ from the facts in codegen/facts/. Run by `npm run generate`; `npm run check` fails when the result differs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderResources } from './render-resources.ts'
import { renderSchemas } from './render-schemas.ts'
import { renderTypes } from './render-types.ts'

const root = join(import.meta.dirname, '..')
const outDir = join(root, 'src/api/generated')

export interface GeneratedFile {
  /** Path below src/api/generated. */
  readonly path: string
  readonly text: string
}

/** Every generated file, in a stable order; pure but for reading the facts. */
export function generateAll(): GeneratedFile[] {
  const facts = JSON.parse(readFileSync(join(root, 'codegen/facts/schema-facts.json'), 'utf8'))
  const resources = JSON.parse(readFileSync(join(root, 'codegen/facts/api-resources.json'), 'utf8'))
  return [...renderTypes(facts), renderResources(resources), renderSchemas(facts)]
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(outDir, { recursive: true })
  for (const file of generateAll()) writeFileSync(join(outDir, file.path), file.text)
}
