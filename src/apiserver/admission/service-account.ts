// ServiceAccount: every pod runs as one, gets its image pull secrets and, unless it declines, a projected token. An account may keep
// its pods to the secrets that it lists.
import type { Container, Volume } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { isMirrorPod } from '#api/pods'
import type { Clock } from '#base/clock'
import { nameSuffix, type Random } from '#base/random'
import { podReferences } from '../authz/node.ts'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

const volumePrefix = 'kube-api-access-'
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
// One hour and seven seconds: kubelets know by it that the token was asked for by this plugin, and may last longer.
const expirationSeconds = 3607
// A namespace's default account is made a moment after the namespace.
const waitMs = 1_000

export interface ServiceAccountDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly random: Random
}

export function serviceAccount(deps: ServiceAccountDeps): AdmissionPlugin {
  // Kubernetes makes up a name for each pod. One for all is unique within a pod just as well, and pods of one template stay alike.
  const volumeName = volumePrefix + nameSuffix(deps.random)
  return {
    name: 'ServiceAccount',
    handles: (operation, kind, subresource) =>
      kind.id === Pod.id &&
      ((operation === 'CREATE' && subresource === '') || (operation === 'UPDATE' && subresource === 'ephemeralcontainers')),
    async admit(request) {
      const pod = request.object as Pod
      if (request.operation !== 'CREATE' || isMirrorPod(pod)) return
      pod.spec.serviceAccountName ||= pod.spec.serviceAccount || 'default'
      pod.spec.serviceAccount = pod.spec.serviceAccountName
      const account = await find(deps, request, pod.spec.serviceAccountName)
      const mounts = pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true
      if (mounts) mountToken(pod, volumeName)
      if ((pod.spec.imagePullSecrets?.length ?? 0) > 0 || account.imagePullSecrets === undefined) return
      if (account.imagePullSecrets.length > 0)
        pod.spec.imagePullSecrets = account.imagePullSecrets.map(({ name }) => ({ name: name ?? '' }))
    },
    // Looked at once more at the end: others may have changed account and secrets meanwhile.
    async validate(request) {
      const pod = request.object as Pod
      if (request.operation === 'CREATE' && isMirrorPod(pod)) return refuseMirror(request, pod)
      const { serviceAccountName: name } = pod.spec
      if (!name) throw admissionForbidden(request, `no service account specified for pod ${request.namespace}/${pod.metadata.name ?? ''}`)
      const account = await find(deps, request, name)
      const problem = parsesAsTrue(account.metadata.annotations?.[enforceAnnotation]) ? unlistedSecret(request, pod, account) : undefined
      if (problem !== undefined) throw admissionForbidden(request, problem)
    },
  }
}

function refuseMirror(request: AdmissionRequest, pod: Pod): void {
  if (pod.spec.serviceAccountName) throw admissionForbidden(request, 'a mirror pod may not reference service accounts')
  const secret = [...podReferences(pod)].some((reference) => reference.startsWith('secret/'))
  if (secret) throw admissionForbidden(request, 'a mirror pod may not reference secrets')
  for (const volume of pod.spec.volumes ?? []) {
    const token = volume.projected?.sources?.some((source) => source.serviceAccountToken !== undefined)
    if (token) throw admissionForbidden(request, 'a mirror pod may not use ServiceAccountToken volume projections')
  }
}

/** Accounts that bear it, as true, let their pods use the secrets that they list, and no others. */
const enforceAnnotation = 'kubernetes.io/enforce-mountable-secrets'

function parsesAsTrue(text: string | undefined): boolean {
  return text !== undefined && /^(1|t|T|TRUE|true|True)$/.test(text)
}

/** What is wrong with a pod of such an account. An update is about ephemeral containers alone. */
function unlistedSecret({ operation }: AdmissionRequest, { spec }: Pod, account: ServiceAccount): string | undefined {
  const { name } = account.metadata
  const listed = new Set(account.secrets?.map((secret) => secret.name))
  const refusal = (what: string, secret: string): string =>
    `${what} secret.secretName="${secret}" is not allowed because service account ${name} does not reference that secret`
  if (operation === 'UPDATE') return unlistedInContainers('ephemeral container', spec.ephemeralContainers ?? [], listed, refusal)
  for (const { secret } of spec.volumes ?? []) {
    if (secret !== undefined && !listed.has(secret.secretName)) return refusal('volume with', secret.secretName ?? '')
  }
  const inContainers =
    unlistedInContainers('init container', spec.initContainers ?? [], listed, refusal) ??
    unlistedInContainers('container', spec.containers, listed, refusal)
  if (inContainers !== undefined) return inContainers
  const pulls = new Set(account.imagePullSecrets?.map((secret) => secret.name))
  for (const [i, { name: pull }] of (spec.imagePullSecrets ?? []).entries()) {
    if (pulls.has(pull)) continue
    return `imagePullSecrets[${i}].name="${pull}" is not allowed because service account ${name} does not reference that imagePullSecret`
  }
  return undefined
}

function unlistedInContainers(
  what: string,
  containers: readonly Pick<Container, 'name' | 'env' | 'envFrom'>[],
  listed: ReadonlySet<string | undefined>,
  refusal: (what: string, secret: string) => string,
): string | undefined {
  for (const { name, env = [], envFrom = [] } of containers) {
    for (const { name: variable, valueFrom } of env) {
      const secret = valueFrom?.secretKeyRef?.name
      if (valueFrom?.secretKeyRef === undefined || listed.has(secret)) continue
      return refusal(`${what} ${name} with envVar ${variable} referencing`, secret ?? '')
    }
    for (const { secretRef } of envFrom) {
      if (secretRef === undefined || listed.has(secretRef.name)) continue
      return refusal(`${what} ${name} with envFrom referencing`, secretRef.name ?? '')
    }
  }
  return undefined
}

async function find({ reader, clock }: ServiceAccountDeps, request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const get = (): ServiceAccount | undefined => reader.get(ServiceAccount, request.namespace, name)
  // Only the default account is sure to come.
  const deadline = clock.monotonic() + (name === 'default' ? waitMs : 0)
  for (;;) {
    const account = get()
    if (account !== undefined) return account
    const left = deadline - clock.monotonic()
    if (left <= 0) break
    await changeOrTimeout(reader, clock, left)
  }
  const why = `error looking up service account ${request.namespace}/${name}: serviceaccount "${name}" not found`
  throw admissionForbidden(request, why)
}

function changeOrTimeout(reader: LocalReader, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel()
      unsubscribe()
      resolve()
    }
    const timer = clock.after(ms, done)
    const unsubscribe = reader.onChange(ServiceAccount, done)
  })
}

function mountToken(pod: Pod, volumeName: string): void {
  const { spec } = pod
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix))
  const name = existing?.name ?? volumeName
  let needed = false
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.volumeMounts?.some((mount) => mount.mountPath === mountPath)) continue
    needed = true
    addMount(container, name)
  }
  if (!needed || existing !== undefined) return
  spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)]
}

function addMount(container: Container, name: string): void {
  container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }]
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
      defaultMode: 0o644,
    },
  }
}
