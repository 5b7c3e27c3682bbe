// PodSecurity: a namespace's labels say which Pod Security Standard is enforced, warned of, and audited (KEP-2579).
import type { PodSpec, PodTemplateSpec } from '#api/generated/core-v1'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { sameJson } from '../registry/written.ts'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'
import { type CheckedPod, type Level, violations } from './pod-security-checks.ts'

const prefix = 'pod-security.kubernetes.io/'
const levels: readonly Level[] = ['privileged', 'baseline', 'restricted']

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

export function podSecurity({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    handles(operation, kind, subresource) {
      if (operation !== 'CREATE' && operation !== 'UPDATE') return false
      if (kind.id === Pod.id) return subresource === '' || subresource === 'ephemeralcontainers'
      return subresource === '' && (templatePaths[kind.id] !== undefined || kind.id === Namespace.id)
    },
    validate(request) {
      if (request.kind.id === Namespace.id) return checkLabels(request)
      const labels = reader.get(Namespace, '', request.namespace)?.metadata.labels ?? {}
      if (!Object.keys(labels).some((name) => name.startsWith(prefix))) return
      const pod = podOf(request)
      if (pod === undefined) return
      if (request.kind.id === Pod.id) enforce(request, labels, pod)
      for (const mode of ['audit', 'warn'] as const) {
        const found = violations(levelOf(labels, mode), pod)
        if (found.length === 0) continue
        const text = `would violate PodSecurity "${nameOf(labels, mode)}": ${found.join(', ')}`
        if (mode === 'warn') request.warn(text)
        else request.annotate(`${prefix}audit-violations`, text)
      }
    },
  }
}

type Labels = Readonly<Record<string, string>>

function levelOf(labels: Labels, mode: string): Level {
  const asked = labels[prefix + mode]
  if (asked === undefined) return 'privileged'
  // A level that nobody knows must not open the door.
  return levels.find((level) => level === asked) ?? 'restricted'
}

function nameOf(labels: Labels, mode: string): string {
  return `${levelOf(labels, mode)}:${labels[`${prefix}${mode}-version`] || 'latest'}`
}

function enforce(request: AdmissionRequest, labels: Labels, pod: CheckedPod): void {
  const found = violations(levelOf(labels, 'enforce'), pod)
  if (found.length === 0) return
  throw admissionForbidden(request, `violates PodSecurity "${nameOf(labels, 'enforce')}": ${found.join(', ')}`)
}

// Undefined: nothing that matters to security changed.
function podOf(request: AdmissionRequest): CheckedPod | undefined {
  const now = readPod(request, request.object!)
  if (now === undefined || request.old === undefined || request.kind.id !== Pod.id) return now
  const before = readPod(request, request.old)
  return before !== undefined && sameJson(now.spec, before.spec) ? undefined : now
}

function readPod({ kind }: AdmissionRequest, object: KubeObject): CheckedPod | undefined {
  if (kind.id === Pod.id) return { spec: (object as Pod).spec, annotations: object.metadata.annotations ?? {} }
  let at: unknown = object
  for (const name of templatePaths[kind.id] ?? []) at = (at as Record<string, unknown> | undefined)?.[name]
  const template = at as PodTemplateSpec | undefined
  const spec = template?.spec as PodSpec | undefined
  return spec === undefined ? undefined : { spec, annotations: template?.metadata?.annotations ?? {} }
}

function checkLabels(request: AdmissionRequest): void {
  const labels = request.object!.metadata.labels ?? {}
  const before = request.old?.metadata.labels ?? {}
  for (const mode of ['enforce', 'audit', 'warn']) {
    const name = prefix + mode
    const level = labels[name]
    if (level !== undefined && level !== before[name] && !levels.some((known) => known === level)) {
      throw admissionForbidden(
        request,
        `metadata.labels[${name}]: Invalid value: ${JSON.stringify(level)}: must be one of ${levels.join(', ')}`,
      )
    }
    const version = labels[`${name}-version`]
    if (version !== undefined && version !== before[`${name}-version`] && !/^(latest|v1\.\d+)$/.test(version)) {
      const why = 'must be "latest" or "v1.x"'
      throw admissionForbidden(request, `metadata.labels[${name}-version]: Invalid value: ${JSON.stringify(version)}: ${why}`)
    }
  }
}
