// What docs/conformance.md says: which test of ours covers which conformance behaviour of Kubernetes. A test claims one by a comment
// above it, `// covers: [sig-cli] Kubectl client …`, with the behaviour's full name.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = join(import.meta.dirname, '../..')
/** The newest release whose behaviours are in scope. */
const levelMinor = 36

interface Behaviour {
  readonly name: string
  readonly since: string
}

export interface Claim {
  readonly name: string
  readonly file: string
  readonly test: string
}

// Tags and spaces changed over the releases; the words did not.
function keyOf(name: string): string {
  return name
    .replace(/(\s*\[[^\]]*\])+\s*$/, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** All claims of a file's text, in order. */
export function claimsIn(text: string, file: string): Claim[] {
  const claims: Claim[] = []
  let waiting: string[] = []
  for (const line of text.split('\n')) {
    const claim = /^\s*\/\/ covers: (.+)$/.exec(line)
    if (claim !== null) waiting.push(claim[1]!.trim())
    else if (waiting.length > 0) {
      const title = /(?:test|describe)[\w.]*(?:\([^'"`]*\))?\(\s*(['"`])(.*?)\1/.exec(line)
      if (title === null) continue
      claims.push(...waiting.map((name) => ({ name, file, test: title[2]! })))
      waiting = []
    }
  }
  return [...claims, ...waiting.map((name) => ({ name, file, test: '' }))]
}

/** The claims of all tests. */
export function readClaims(): Claim[] {
  const files = ['src', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(test|e2e)\.ts$/.test(name))
      .map((name) => join(root, folder, name)),
  )
  return files.sort().flatMap((file) => claimsIn(readFileSync(file, 'utf8'), relative(root, file)))
}

export function readBehaviours(): Behaviour[] {
  return JSON.parse(readFileSync(join(root, 'test/conformance-names.json'), 'utf8'))
}

/** Claims that name no behaviour, or stand above no test. */
export function strangeClaims(claims: readonly Claim[], behaviours: readonly Behaviour[]): Claim[] {
  const known = new Set(behaviours.map(({ name }) => keyOf(name)))
  return claims.filter(({ name, test }) => test === '' || !known.has(keyOf(name)))
}

/** The page, as Markdown. */
export function renderConformance(behaviours: readonly Behaviour[], claims: readonly Claim[]): string {
  const byKey = groupClaims(claims)
  const seen = new Set<string>()
  const rows = behaviours.filter(({ name }) => !seen.has(keyOf(name)) && seen.add(keyOf(name)))
  const sigs = [...new Set(rows.map(({ name }) => sigOf(name)))].sort()
  const inScope = (row: Behaviour): boolean => newestMinor(row.since) <= levelMinor
  const isCovered = ({ name }: Behaviour): boolean => byKey.has(keyOf(name))
  const summary = sigs.map((sig) => {
    const own = rows.filter((row) => sigOf(row.name) === sig && inScope(row))
    return `| ${sig} | ${own.length} | ${own.filter(isCovered).length} | ${own.length - own.filter(isCovered).length} |`
  })
  const sections = sigs.map((sig) => {
    const lines = rows
      .filter((row) => sigOf(row.name) === sig)
      .map((row) => `| ${cell(titleOf(row.name))} | ${row.since} | ${coverage(row, byKey, inScope(row))} |`)
    return `## ${sig}\n\n| behaviour | since | covered by |\n|---|---|---|\n${lines.join('\n')}\n`
  })
  return [
    '<!-- Written by `npm run conformance`; not edited by hand. -->',
    '# Conformance',
    '',
    'Kubernetes names the behaviours that every cluster must have. This page says which of our tests covers which of them; a test says so',
    'itself, by a comment above it (`// covers: …`). Listed are the areas that one API server answers for.',
    '',
    '| area | behaviours | covered | missing |',
    '|---|---|---|---|',
    ...summary,
    '',
    ...sections,
  ].join('\n')
}

function groupClaims(claims: readonly Claim[]): Map<string, Claim[]> {
  const groups = new Map<string, Claim[]>()
  for (const claim of claims) groups.set(keyOf(claim.name), [...(groups.get(keyOf(claim.name)) ?? []), claim])
  return groups
}

function sigOf(name: string): string {
  return /^\[(sig-[\w-]+)\]/.exec(name)?.[1] ?? ''
}

function titleOf(name: string): string {
  return keyOf(name).replace(/^\[sig-[\w-]+\] /, '')
}

function newestMinor(since: string): number {
  return Math.min(...since.split(',').map((release) => Number(release.trim().split('.')[1])))
}

function coverage({ name }: Behaviour, byKey: ReadonlyMap<string, readonly Claim[]>, inScope: boolean): string {
  const claims = byKey.get(keyOf(name))
  if (claims !== undefined) return claims.map(({ file, test }) => `\`${file}\`: ${cell(test)}`).join('<br>')
  return inScope ? '**missing**' : 'newer than v1.36'
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
