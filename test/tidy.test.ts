// Rules of the code base that no compiler knows: who may import whom, no cycles, no clocks and no chance but those passed in, and the
// shape of files. A rule that is broken somewhere already lists its offenders here; such a list may only get shorter.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

interface Import {
  readonly specifier: string
  /** Whether something of it is left when types are taken away. */
  readonly value: boolean
}

interface SourceFile {
  /** From the root of the checkout, with slashes. */
  readonly path: string
  readonly layer: string
  readonly text: string
  readonly imports: readonly Import[]
  /** Tests, and what only they use. */
  readonly isTest: boolean
}

const importPattern = /^(?:import|export)\s+(type\s+)?(?:([\w*{][^'"]*?)\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm

function readImports(text: string): Import[] {
  return [...text.matchAll(importPattern)].map(([, typeOnly, names = '', specifier, dynamic]) => {
    const listed = /^\{(.*)\}$/s.exec(names.trim())?.[1]
    const onlyTypes = listed?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '))
    return { specifier: (specifier ?? dynamic)!, value: typeOnly === undefined && onlyTypes !== true && dynamic === undefined }
  })
}

function readSources(): SourceFile[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const text = readFileSync(join(root, 'src', name), 'utf8')
      const path = `src/${name.split(sep).join('/')}`
      const imports = readImports(text)
      const isTest = /\.test\.ts$/.test(path) || imports.some(({ specifier }) => specifier === 'vitest' || specifier === 'fast-check')
      return { path, layer: path.split('/')[1]!, text, imports, isTest }
    })
}

const sources = readSources()
const written = sources.filter(({ path }) => !path.startsWith('src/api/generated/'))
const shipped = written.filter(({ isTest }) => !isTest)

const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  platform: ['base'],
  api: ['base'],
  storage: ['base', 'platform'],
  client: ['base', 'platform', 'api'],
  apiserver: ['base', 'platform', 'api', 'storage', 'client'],
  ...Object.fromEntries(
    ['controllers', 'scheduler', 'kubelet', 'proxy', 'dns', 'bootstrap'].map((layer) => [layer, ['base', 'platform', 'api', 'client']]),
  ),
}

/** The layer that an import reaches into, when it is another one than the file's own. */
function importedLayer(file: SourceFile, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1).split('/')[0]
  if (!specifier.startsWith('.')) return undefined
  const target = relative(root, join(root, dirname(file.path), specifier)).split(sep)
  return target[0] === 'src' ? target[1] : target[0]
}

/** Lines of the files, as `path:line`, that hold the pattern outside comments. */
function linesWith(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (!/^\s*(\/\/|\*|\/\*)/.test(line) && pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  )
}

describe('who imports whom', () => {
  test('a layer imports only the layers below it', () => {
    const offences = shipped
      .filter(({ layer }) => layer !== 'main')
      .flatMap((file) =>
        file.imports.flatMap(({ specifier }) => {
          const layer = importedLayer(file, specifier)
          const allowed = layer === undefined || layer === file.layer || mayImport[file.layer]?.includes(layer)
          return allowed ? [] : [`${file.path} imports ${specifier}`]
        }),
      )
    expect(offences).toEqual([])
  })

  test('imports are relative within a layer and by name across layers', () => {
    const offences = written.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => {
          const layer = importedLayer(file, specifier)
          // The generators are no layer and have no name; tests check what they wrote.
          if (layer === 'codegen' && file.isTest) return false
          return layer !== undefined && specifier.startsWith('#') === (layer === file.layer)
        })
        .map(({ specifier }) => `${file.path} imports ${specifier}`),
    )
    expect(offences).toEqual([])
  })

  test('base and api need nothing of Node.js and no packages', () => {
    const offences = shipped
      .filter(({ layer }) => layer === 'base' || layer === 'api')
      .flatMap(({ path, imports }) =>
        imports.filter(({ specifier }) => !/^[.#]/.test(specifier)).map(({ specifier }) => `${path} imports ${specifier}`),
      )
    expect(offences).toEqual([])
  })

  test('value imports go round in no circle', () => {
    expect(cycles()).toEqual([])
  })
})

/** Circles among value imports, each once, as the paths along it. */
function cycles(): string[] {
  const byPath = new Map(sources.map((file) => [file.path, file]))
  const targets = (file: SourceFile): string[] =>
    file.imports.flatMap(({ specifier, value }) => {
      if (!value) return []
      if (specifier.startsWith('#')) return [`src/${specifier.slice(1)}.ts`]
      return specifier.startsWith('.')
        ? [
            relative(root, join(root, dirname(file.path), specifier))
              .split(sep)
              .join('/'),
          ]
        : []
    })
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) return void found.push([...trail.slice(at), path].join(' -> '))
    const file = byPath.get(path)
    if (file === undefined || done.has(path)) return
    for (const target of targets(file)) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of byPath.keys()) visit(path, [])
  return found
}

describe('time and chance', () => {
  test('are passed in: only base touches the clock, timers and random numbers', () => {
    const pattern = /\bDate\.now\(|\bnew Date\(\)|(?<!\.)\bset(Timeout|Interval)\(|\bMath\.random\(|\bperformance\.now\(|from 'node:timers/
    expect(
      linesWith(
        shipped.filter(({ layer }) => layer !== 'base'),
        pattern,
      ),
    ).toEqual([])
  })
})

describe('a file', () => {
  test('opens with a comment that says what it is', () => {
    expect(shipped.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text)).map(({ path }) => path)).toEqual([])
  })

  test('is named in kebab-case after what it holds, and is no index', () => {
    const named = /\/[a-z0-9]+([-.][a-z0-9]+)*\.ts$/
    const vague = /\/(index|utils?|helpers?)\.ts$/
    expect(written.filter(({ path }) => !named.test(path) || vague.test(path)).map(({ path }) => path)).toEqual([])
  })

  test('is short enough to be read at once', () => {
    const linesMax = 800
    const long = written
      .filter(({ text }) => text.split('\n').length > linesMax)
      .map(({ path, text }) => `${path}: ${text.split('\n').length} lines`)
    expect(long).toEqual([])
  })

  test('passes on nothing wholesale', () => {
    expect(linesWith(written, /^export \* from/)).toEqual([])
  })

  test('leaves nothing to be done later', () => {
    const pattern = /\b(TODO|FIXME|XXX)\b|not implemented/
    const offences = shipped.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
    )
    expect(offences).toEqual([])
  })
})

describe('a test', () => {
  const tests = [
    ...written.filter(({ isTest }) => isTest),
    ...readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ path: `test/${name}`, text: readFileSync(join(root, 'test', name), 'utf8') })),
  ]

  test('is run with all the others, or says beside it why not', () => {
    const offences = tests.flatMap(({ path, text }) => {
      const lines = text.split('\n')
      return lines.flatMap((line, index) => {
        const left = /\b(it|test|describe)\.(skip|todo|only)\(/.test(line)
        return left && !/^\s*\/\//.test(lines[index - 1] ?? '') ? [`${path}:${index + 1}`] : []
      })
    })
    expect(offences).toEqual([])
  })
})
