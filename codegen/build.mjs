// Bundles the program into `dist/`. Entries are `src/main/navarch.ts` (the command), `src/main/library.ts` (what `import 'navarch'` gives)
// and every `*.worker.ts`, each to `dist/<name>.js` in one flat folder, so that `new URL('./x.worker.js', import.meta.url)` holds there too.
// Code that only some roles need is split off at each dynamic import and loaded when it is reached.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { writeDescriptions } from './descriptions.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const sources = join(root, 'src')
// Chunks of earlier builds stay this long: a process that still runs may load one late.
const keepChunksMs = 7 * 24 * 3_600_000

const started = new Date()
const files = readdirSync(sources, { recursive: true }).map((name) => join(sources, name))
const entryPoints = [
  ...['main/navarch.ts', 'main/library.ts'].map((name) => join(sources, name)).filter((path) => existsSync(path)),
  ...files.filter((path) => path.endsWith('.worker.ts')),
]
if (entryPoints.length === 0) {
  console.error('there is nothing to build: src/main/navarch.ts does not exist')
  process.exit(1)
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const partial = join(root, `dist.partial-${process.pid}`)
try {
  await build({
    entryPoints,
    outdir: partial,
    entryNames: '[name]',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    define: { 'process.env.NAVARCH_VERSION': JSON.stringify(version) },
    // lmdb finds its compiled part beside its own files; the other two are optional parts of ws that are not installed.
    external: ['lmdb', 'bufferutil', 'utf-8-validate'],
    // Packages in the old module format ask for Node's own modules with `require`.
    banner: { js: "import{createRequire as navarchRequire}from'node:module';const require=navarchRequire(import.meta.url);" },
    logLevel: 'warning',
  })
  copyAssets()
  install()
} catch (error) {
  // esbuild has told already where each mistake is.
  if (error.errors === undefined) throw error
  console.error(`the build failed: ${error.errors.length} errors; dist/ is as it was`)
  process.exitCode = 1
} finally {
  rmSync(partial, { recursive: true, force: true })
}

/** Files that are read at run time (protocol definitions, descriptions of API types) lie beside the bundle under their own names. */
function copyAssets() {
  for (const path of files.filter((path) => path.endsWith('.proto'))) cpSync(path, join(partial, basename(path)))
  writeDescriptions(join(partial, 'descriptions.json'))
}

/** Moves the finished files in, the entries last: whoever starts meanwhile finds the whole old or the whole new program. */
function install() {
  mkdirSync(dist, { recursive: true })
  const built = readdirSync(partial)
  const isChunk = (name) => name.startsWith('chunk-')
  for (const name of [...built.filter(isChunk), ...built.filter((name) => !isChunk(name))]) {
    // A chunk of this name has this content; what matters is when it was last part of a build.
    if (isChunk(name) && existsSync(join(dist, name))) utimesSync(join(dist, name), started, started)
    else renameSync(join(partial, name), join(dist, name))
  }
  for (const name of readdirSync(dist).filter(isChunk)) {
    if (!built.includes(name) && started.getTime() - statSync(join(dist, name)).mtimeMs > keepChunksMs) rmSync(join(dist, name))
  }
  writeFileSync(join(dist, '.built'), '')
  utimesSync(join(dist, '.built'), started, started)
  const bytes = built.filter((name) => name.endsWith('.js')).reduce((sum, name) => sum + statSync(join(dist, name)).size, 0)
  console.log(
    `${built.filter((name) => name.endsWith('.js')).length} files, ${(bytes / 1e6).toFixed(1)} MB, in ${relative(process.cwd(), dist) || '.'}`,
  )
}
