// Reads descriptions of API types and fields (for `kubectl explain`) out of the declaration files of the installed package
// @kubernetes/client-node, and writes them as a build artefact that is not committed. Run by the build; by hand:
// `node codegen/descriptions.mjs dist/descriptions.json`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const models = join(root, 'node_modules/@kubernetes/client-node/dist/gen/models')

/** Texts by definition name: under the empty string that of the type, under field names those of its fields. */
export function readDescriptions() {
  const { definitions } = JSON.parse(readFileSync(join(root, 'codegen/facts/schema-facts.json'), 'utf8'))
  const table = {}
  for (const name of Object.keys(definitions)) {
    const path = modelNames(name)
      .map((model) => join(models, `${model}.d.ts`))
      .find((candidate) => existsSync(candidate))
    if (path === undefined) continue
    const texts = readModel(readFileSync(path, 'utf8'))
    if (Object.keys(texts).length > 0) table[name] = texts
  }
  return table
}

// `io.k8s.api.core.v1.Event` is V1Event, or CoreV1Event where several groups have one.
function modelNames(definition) {
  const [group, version, kind] = definition.split('.').slice(-3)
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1)
  return [`${capital(group)}${capital(version)}${kind}`, `${capital(version)}${kind}`]
}

function readModel(text) {
  const texts = {}
  const declared = text.indexOf('export declare class')
  if (declared < 0) return texts
  const about = /\/\*\*\n\s*\*\s?(.*)\n\s*\*\/\s*$/.exec(text.slice(0, declared))
  if (about !== null) texts[''] = plain(about[1])
  const field = /\/\*\*\n\s*\*\s?(.*)\n\s*\*\/\n\s*'([^']+)'\??:/g
  for (const [, comment, name] of text.slice(declared).matchAll(field)) texts[fieldName(name)] = plain(comment)
  return texts
}

function plain(comment) {
  return comment.replace(/\\(['"\\])/g, '$1').trim()
}

// Names that TypeScript could not have were changed.
function fieldName(name) {
  if (name.startsWith('x_kubernetes_')) return name.replaceAll('_', '-')
  return name.replace(/^_/, '')
}

/** Writes the table as JSON. */
export function writeDescriptions(path) {
  writeFileSync(path, JSON.stringify(readDescriptions()))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeDescriptions(process.argv[2] ?? join(root, 'dist/descriptions.json'))
