// Writes the declaration files of the library into `dist/types`: the compiler's own, with imports by layer name turned into relative
// ones, so that they hold in other people's projects.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const types = join(root, 'dist/types')

const { status } = spawnSync(process.execPath, [join(root, 'node_modules/.bin/tsc'), '-p', join(root, 'tsconfig.library.json')], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
for (const name of readdirSync(types, { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue
  const path = join(types, name)
  const toLayer = (layer, rest) => {
    const target = relative(dirname(path), join(types, layer, rest))
    return `${target.startsWith('.') ? target : `./${target}`}.js`
  }
  const text = readFileSync(path, 'utf8')
    .replace(/(['"])#(\w+)\/([^'"]+)\1/g, (_, quote, layer, rest) => `${quote}${toLayer(layer, rest)}${quote}`)
    .replace(/((?:from|import)\s*\(?['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2')
  writeFileSync(path, text)
}
