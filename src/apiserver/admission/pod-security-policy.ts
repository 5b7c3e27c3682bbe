// What a namespace's labels say of the Pod Security Standards: a level, of a version, for each of the three modes (KEP-2579).
import type { FieldError } from '#api/errors'
import { invalid } from '#api/validation/field-errors'
import type { Level } from './pod-security-checks.ts'

export const podSecurityPrefix = 'pod-security.kubernetes.io/'

export type Mode = 'enforce' | 'audit' | 'warn'

export interface LevelVersion {
  readonly level: Level
  /** Of Kubernetes v1.`minor`; Infinity: the latest. */
  readonly minor: number
}

export interface PodSecurityPolicy extends Readonly<Record<Mode, LevelVersion>> {
  /** Labels that make no sense: for them the strictest is enforced, and nothing is warned of. */
  readonly errors: readonly FieldError[]
}

export const privilegedLatest: LevelVersion = { level: 'privileged', minor: Number.POSITIVE_INFINITY }

const levels: readonly Level[] = ['privileged', 'baseline', 'restricted']

/** `baseline:v1.30`, `restricted:latest`. */
export function levelText({ level, minor }: LevelVersion): string {
  return `${level}:${versionText(minor)}`
}

export function versionText(minor: number): string {
  return minor === Number.POSITIVE_INFINITY ? 'latest' : `v1.${minor}`
}

/** More than 0 when `a` is the stricter one. */
export function compareLevels(a: Level, b: Level): number {
  return levels.indexOf(a) - levels.indexOf(b)
}

type Labels = Readonly<Record<string, string>>

export function isPrivileged(policy: PodSecurityPolicy, modes: readonly Mode[]): boolean {
  return policy.errors.length === 0 && modes.every((mode) => policy[mode].level === 'privileged')
}

/** What holds for namespaces whose labels do not say. */
export type PodSecurityDefaults = Readonly<Record<Mode, LevelVersion>>

export const privilegedDefaults: PodSecurityDefaults = { enforce: privilegedLatest, audit: privilegedLatest, warn: privilegedLatest }

export function podSecurityLevel(text: string): Level | undefined {
  return levels.find((level) => level === text)
}

export function podSecurityMinor(text: string): number | undefined {
  if (text === 'latest') return Number.POSITIVE_INFINITY
  const minor = /^v1\.(\d|[1-9]\d*)$/.exec(text)?.[1]
  return minor === undefined ? undefined : Number(minor)
}

export function podSecurityPolicyOf(labels: Labels | undefined, defaults: PodSecurityDefaults = privilegedDefaults): PodSecurityPolicy {
  if (labels === undefined) return { ...defaults, errors: noErrors }
  const errors: FieldError[] = []
  const read = <T>(name: string, parse: (text: string) => T | undefined, problem: string): { said: boolean; value: T | undefined } => {
    const text = labels[podSecurityPrefix + name]
    if (text === undefined) return { said: false, value: undefined }
    const value = parse(text)
    if (value === undefined) errors.push(invalid(`metadata.labels[${podSecurityPrefix}${name}]`, text, problem))
    return { said: true, value }
  }
  const of = (mode: Mode, levelInstead: Level): LevelVersion & { readonly levelSaid: boolean; readonly versionSaid: boolean } => {
    const level = read(mode, podSecurityLevel, `must be one of ${levels.join(', ')}`)
    const minor = read(`${mode}-version`, podSecurityMinor, 'must be "latest" or "v1.x"')
    return {
      level: level.value ?? (level.said ? levelInstead : defaults[mode].level),
      minor: minor.value ?? (minor.said ? Number.POSITIVE_INFINITY : defaults[mode].minor),
      levelSaid: level.said && (mode === 'warn' || level.value !== undefined),
      versionSaid: minor.said,
    }
  }
  const enforce = of('enforce', 'restricted')
  const audit = of('audit', 'privileged')
  const warn = of('warn', 'privileged')
  const policy = { enforce: plain(enforce), audit: plain(audit), warn: plain(warn), errors }
  // Whoever enforces is also told what its workloads' pods would meet.
  if (warn.levelSaid || !enforce.levelSaid || compareLevels(enforce.level, warn.level) <= 0) return policy
  return { ...policy, warn: { level: enforce.level, minor: warn.versionSaid ? warn.minor : enforce.minor } }
}

const noErrors: readonly FieldError[] = []

function plain({ level, minor }: LevelVersion): LevelVersion {
  return { level, minor }
}

/** What somebody is told who sets levels in a namespace that is exempt from them; undefined: nothing. */
export function exemptWarning(
  namespace: string,
  policy: PodSecurityPolicy,
  labels: Labels | undefined,
  defaults: PodSecurityDefaults,
): string | undefined {
  const modes = ['enforce', 'audit', 'warn'] as const
  const alike = (a: LevelVersion, b: LevelVersion): boolean => a.level === b.level && (a.level === 'privileged' || a.minor === b.minor)
  if (modes.every((mode) => policy[mode].level === 'privileged') || modes.every((mode) => alike(policy[mode], defaults[mode]))) {
    return undefined
  }
  const said = modes.filter((mode) => {
    const own = [mode, `${mode}-version`].some((name) => labels?.[podSecurityPrefix + name] !== undefined)
    return own && policy[mode].level !== 'privileged'
  })
  const text = said.map((mode) => `${mode}=${levelText(policy[mode])}`).join(', ')
  return `namespace ${JSON.stringify(namespace)} is exempt from Pod Security, and the policy (${text}) will be ignored`
}
