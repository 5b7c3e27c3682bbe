// PodSecurity: a namespace's labels say which Pod Security Standard is enforced, warned of, and audited (KEP-2579).
import { invalid } from '#api/errors'
import type { Container, EphemeralContainer, PodSpec, PodTemplateSpec } from '#api/generated/core-v1'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import type { LocalReader } from '../request.ts'
import type { PodSecuritySettings } from './admission-configuration.ts'
import type { AdmissionMetrics } from './metrics.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'
import { type CheckedPod, type Violation, violations, violationText } from './pod-security-checks.ts'
import {
  compareLevels,
  exemptWarning,
  isPrivileged,
  type LevelVersion,
  levelText,
  type Mode,
  type PodSecurityPolicy,
  podSecurityPolicyOf,
  podSecurityPrefix,
  privilegedDefaults,
  privilegedLatest,
  versionText,
} from './pod-security-policy.ts'

/** Kinds that make pods from a template: told what their pods would violate, never refused. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  'core/v1/podtemplates': ['template'],
  'core/v1/replicationcontrollers': ['spec', 'template'],
  'apps/v1/replicasets': ['spec', 'template'],
  'apps/v1/deployments': ['spec', 'template'],
  'apps/v1/statefulsets': ['spec', 'template'],
  'apps/v1/daemonsets': ['spec', 'template'],
  'batch/v1/jobs': ['spec', 'template'],
  'batch/v1/cronjobs': ['spec', 'jobTemplate', 'spec', 'template'],
}

export interface PodSecurityDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly metrics: AdmissionMetrics
  /** Default: privileged for all, and nobody is exempt. */
  readonly settings?: PodSecuritySettings
}

export function podSecurity(deps: PodSecurityDeps): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    handles(operation, kind, subresource) {
      if (operation !== 'CREATE' && operation !== 'UPDATE') return false
      if (kind.id === Pod.id) return subresource === '' || subresource === 'ephemeralcontainers'
      return subresource === '' && (templatePaths[kind.id] !== undefined || kind.id === Namespace.id)
    },
    validate(request) {
      if (request.kind.id === Namespace.id) return checkNamespace(deps, request)
      const exempt = exemptionOf(deps, request)
      if (exempt !== undefined) return request.annotate(`${podSecurityPrefix}exempt`, exempt)
      const policy = podSecurityPolicyOf(deps.reader.get(Namespace, '', request.namespace)?.metadata.labels, deps.settings?.defaults)
      if (request.kind.id === Pod.id) return checkPod(deps, request, policy)
      if (isPrivileged(policy, ['audit', 'warn'])) return
      const pod = templateOf(request)
      if (pod !== undefined) judge(deps, request, policy, pod, undefined)
    },
  }
}

function exemptionOf({ settings }: PodSecurityDeps, { namespace, user }: AdmissionRequest): 'namespace' | 'user' | undefined {
  if (settings?.exemptions.namespaces.has(namespace)) return 'namespace'
  return settings?.exemptions.usernames.has(user.name) ? 'user' : undefined
}

function checkPod(deps: PodSecurityDeps, request: AdmissionRequest, policy: PodSecurityPolicy): void {
  if (isPrivileged(policy, ['enforce', 'audit', 'warn'])) {
    request.annotate(`${podSecurityPrefix}enforce-policy`, levelText(privilegedLatest))
    count(deps, request, 'allow', 'enforce', policy.enforce)
    return
  }
  const pod = request.object as Pod
  if (request.operation === 'UPDATE' && !mattersToSecurity(pod.spec, (request.old as Pod).spec)) return
  judge(deps, request, policy, checkedPod(pod), policy.enforce)
}

/** Of what may change in a pod, images and ephemeral containers matter. */
function mattersToSecurity(now: PodSpec, before: PodSpec): boolean {
  const images = (containers: readonly (Container | EphemeralContainer)[] = []): string => containers.map(({ image }) => image).join('\n')
  if (images(now.containers) !== images(before.containers) || images(now.initContainers) !== images(before.initContainers)) return true
  const old = new Map(before.ephemeralContainers?.map(({ name, image }) => [name, image]))
  return now.ephemeralContainers?.some(({ name, image }) => !old.has(name) || old.get(name) !== image) ?? false
}

/** Throws the refusal when `enforced` is violated; notes and warns of the rest. */
function judge(
  deps: PodSecurityDeps,
  request: AdmissionRequest,
  policy: PodSecurityPolicy,
  pod: CheckedPod,
  enforced: LevelVersion | undefined,
): void {
  const annotate = (key: string, value: string): void => request.annotate(podSecurityPrefix + key, value)
  if (hasExemptRuntimeClass(deps, pod.spec)) return annotate('exempt', 'runtimeClass')
  if (policy.errors.length > 0) {
    const texts = policy.errors.map(({ field, detail }) => `${field}: ${detail}`)
    annotate('error', `Failed to parse policy: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`)
  }
  const seen = new Map<string, Violation[]>()
  const found = (mode: Mode): Violation[] => {
    const { level, minor } = policy[mode]
    const key = `${level} ${minor}`
    const known = seen.get(key) ?? violations(level, minor, pod)
    seen.set(key, known)
    return known
  }
  const would = (mode: Mode): string => `would violate PodSecurity "${levelText(policy[mode])}": ${violationText(found(mode))}`
  if (found('audit').length > 0) {
    annotate('audit-violations', would('audit'))
    count(deps, request, 'deny', 'audit', policy.audit)
  }
  if (enforced !== undefined) {
    annotate('enforce-policy', levelText(enforced))
    const refused = found('enforce')
    count(deps, request, refused.length === 0 ? 'allow' : 'deny', 'enforce', enforced)
    if (refused.length > 0) {
      throw admissionForbidden(request, `violates PodSecurity "${levelText(enforced)}": ${violationText(refused)}`)
    }
  }
  if (found('warn').length === 0) return
  request.warn(would('warn'))
  count(deps, request, 'deny', 'warn', policy.warn)
}

function count({ metrics }: PodSecurityDeps, request: AdmissionRequest, decision: 'allow' | 'deny', mode: Mode, of: LevelVersion): void {
  const { kind, subresource, operation } = request
  // As Kubernetes does, all templates are counted as one.
  const resource = kind.id === Pod.id ? 'pod' : 'controller'
  const about = { decision, level: of.level, version: versionText(of.minor), mode }
  metrics.podSecurity({ ...about, operation: operation.toLowerCase(), resource, subresource })
}

function checkedPod({ spec, metadata }: Pick<Pod, 'spec' | 'metadata'>): CheckedPod {
  return { spec, annotations: metadata.annotations ?? {} }
}

function templateOf({ object, kind }: AdmissionRequest): CheckedPod | undefined {
  let at: unknown = object
  for (const name of templatePaths[kind.id] ?? []) at = (at as Record<string, unknown> | undefined)?.[name]
  const template = at as PodTemplateSpec | undefined
  const spec = template?.spec as PodSpec | undefined
  return spec === undefined ? undefined : { spec, annotations: template?.metadata?.annotations ?? {} }
}

/** Labels must make sense when they are set, and whoever tightens a namespace is told what stands in it. */
function checkNamespace(deps: PodSecurityDeps, request: AdmissionRequest): Promise<void> | undefined {
  const { kind, object, old } = request
  const { settings } = deps
  const { labels, name } = object!.metadata
  const defaults = settings?.defaults ?? privilegedDefaults
  const policy = podSecurityPolicyOf(labels, defaults)
  const before = old === undefined ? undefined : podSecurityPolicyOf(old.metadata.labels, defaults)
  const unchanged = before !== undefined && JSON.stringify(before.errors) === JSON.stringify(policy.errors)
  if (policy.errors.length > 0 && !unchanged) throw invalid(kind, name, [...policy.errors])
  const ignored = settings?.exemptions.namespaces.has(name) ? exemptWarning(name, policy, labels, defaults) : undefined
  if (before === undefined) {
    if (ignored !== undefined) request.warn(ignored)
    return undefined
  }
  const { enforce } = policy
  const same = enforce.minor === before.enforce.minor
  if (enforce.level === 'privileged' || (same && compareLevels(enforce.level, before.enforce.level) <= 0)) return undefined
  if (settings?.exemptions.namespaces.has(name)) {
    if (ignored !== undefined) request.warn(ignored)
    return undefined
  }
  return warnOfPods(deps, request, object!, enforce)
}

function hasExemptRuntimeClass({ settings }: PodSecurityDeps, { runtimeClassName }: PodSpec): boolean {
  return runtimeClassName !== undefined && settings?.exemptions.runtimeClasses.has(runtimeClassName) === true
}

// Pods that are looked at when a namespace is tightened, and for how long.
const podsMax = 3_000
const checkMsMax = 1_000
const podsATurn = 100

async function warnOfPods(deps: PodSecurityDeps, request: AdmissionRequest, namespace: KubeObject, enforce: LevelVersion): Promise<void> {
  const { reader, clock } = deps
  const { name } = namespace.metadata
  const pods = onePerOwnerFirst(reader.list(Pod, name).filter(({ spec }) => !hasExemptRuntimeClass(deps, spec)))
  const deadlineMs = clock.monotonic() + checkMsMax
  const byReason = new Map<string, string[]>()
  let checked = 0
  for (const pod of pods.slice(0, podsMax)) {
    const reasons = violations(enforce.level, enforce.minor, checkedPod(pod)).map(({ reason }) => reason)
    checked++
    if (reasons.length > 0) byReason.set(reasons.join(', '), [...(byReason.get(reasons.join(', ')) ?? []), pod.metadata.name])
    if (checked % podsATurn !== 0) continue
    if (clock.monotonic() > deadlineMs) break
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (checked < pods.length) {
    request.warn(`new PodSecurity enforce level only checked against the first ${checked} of ${pods.length} existing pods`)
  }
  if (byReason.size === 0) return
  request.warn(`existing pods in namespace "${name}" violate the new PodSecurity enforce level "${levelText(enforce)}"`)
  for (const text of [...byReason].map(([reason, names]) => `${namesText(names)}: ${reason}`).sort()) request.warn(text)
}

function namesText(names: readonly string[]): string {
  const [first] = [...names].sort()
  const others = names.length - 1
  return others === 0 ? first! : `${first} (and ${others} other pod${others === 1 ? '' : 's'})`
}

// Pods of one controller are alike.
function onePerOwnerFirst(pods: readonly Pod[]): Pod[] {
  const owners = new Set<string>()
  const first: Pod[] = []
  const more: Pod[] = []
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
    const known = owner !== undefined && owners.has(owner)
    if (owner !== undefined) owners.add(owner)
    ;(known ? more : first).push(pod)
  }
  return [...first, ...more]
}
