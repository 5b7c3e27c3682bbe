// Regular expressions, matched in linear time whatever the pattern (RE2's syntax and way). The engine is loaded with the first
// expression that needs it.
import type { RE2JS } from 're2js'
import { CelError, listFrom } from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'

type Engine = typeof RE2JS

let engine: Engine | undefined

/** Names of functions that need the engine. */
export const regexFunctionNames: ReadonlySet<string> = new Set(['matches', 'find', 'findAll'])

/** Must have been waited for before any expression with these functions is run. */
export async function loadRegexEngine(): Promise<void> {
  engine ??= (await import('re2js')).RE2JS
}

const compiled = new Map<string, RE2JS>()
const compiledMax = 256
/** Longest pattern. */
const patternLengthMax = 10_000

/** Throws CelError for what is no expression. */
export function compileRegex(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known !== undefined) return known
  if (engine === undefined) throw new Error('assertion failed: the regular expression engine is not loaded')
  if (pattern.length > patternLengthMax) throw new CelError('error parsing regexp: expression too large')
  let made: RE2JS
  try {
    made = engine.compile(pattern)
  } catch (error) {
    throw new CelError(error instanceof Error ? error.message : String(error))
  }
  if (compiled.size >= compiledMax) compiled.clear()
  compiled.set(pattern, made)
  return made
}

function findAll(text: string, pattern: string, limit: bigint): string[] {
  const matcher = compileRegex(pattern).matcher(text)
  const found: string[] = []
  while ((limit < 0n || found.length < limit) && matcher.find()) found.push(matcher.group() ?? '')
  return found
}

const matching = (text: number, pattern: number): number => perChar(text + 1) * Math.ceil(pattern * 0.25)
const finding = (text: number, pattern: number): number => Math.max(1, matching(text, pattern))

export const regexFunctions: readonly Overload[] = [
  fn('string->matches(string): bool', (text: string, pattern: string) => compileRegex(pattern).matcher(text).find(), matching),
  fn('matches(string, string): bool', (text: string, pattern: string) => compileRegex(pattern).matcher(text).find(), matching),
  fn('string->find(string): string', (text: string, pattern: string) => findAll(text, pattern, 1n)[0] ?? '', finding),
  fn('string->findAll(string): list<string>', (text: string, pattern: string) => listFrom(findAll(text, pattern, -1n)), finding),
  fn(
    'string->findAll(string, int): list<string>',
    (text: string, pattern: string, limit: bigint) => listFrom(findAll(text, pattern, limit)),
    finding,
  ),
]
