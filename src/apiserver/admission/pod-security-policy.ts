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

export function podSecurityPolicyOf(labels: Labels | undefined): PodSecurityPolicy {
  const errors: FieldError[] = []
  const of = (mode: Mode, levelInstead: Level): LevelVersion => {
    const level = labelOf(
      labels,
      mode,
      levels.map((name) => [name, name]),
      levelInstead,
      `must be one of ${levels.join(', ')}`,
      errors,
    )
    const minor = minorOf(labels, `${mode}-version`, errors)
    return level === undefined && minor === undefined
      ? privilegedLatest
      : { level: level ?? 'privileged', minor: minor ?? Number.POSITIVE_INFINITY }
  }
  const enforce = of('enforce', 'restricted')
  const enforces = errors.length === 0 && labels?.[`${podSecurityPrefix}enforce`] !== undefined
  const audit = of('audit', 'privileged')
  let warn = of('warn', 'privileged')
  // Whoever enforces is also told what its workloads' pods would meet.
  if (enforces && labels?.[`${podSecurityPrefix}warn`] === undefined && compareLevels(enforce.level, warn.level) > 0) {
    warn = { level: enforce.level, minor: labels?.[`${podSecurityPrefix}warn-version`] === undefined ? enforce.minor : warn.minor }
  }
  return { enforce, audit, warn, errors }
}

function labelOf<T>(
  labels: Labels | undefined,
  name: string,
  values: readonly (readonly [string, T])[],
  instead: T,
  problem: string,
  errors: FieldError[],
): T | undefined {
  const text = labels?.[podSecurityPrefix + name]
  if (text === undefined) return undefined
  const found = values.find(([value]) => value === text)
  if (found !== undefined) return found[1]
  errors.push(invalid(`metadata.labels[${podSecurityPrefix}${name}]`, text, problem))
  return instead
}

function minorOf(labels: Labels | undefined, name: string, errors: FieldError[]): number | undefined {
  const minor = /^v1\.(\d|[1-9]\d*)$/.exec(labels?.[podSecurityPrefix + name] ?? '')?.[1]
  if (minor !== undefined) return Number(minor)
  const latest = Number.POSITIVE_INFINITY
  return labelOf(labels, name, [['latest', latest]], latest, 'must be "latest" or "v1.x"', errors)
}
