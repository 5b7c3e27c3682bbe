// ServiceAccount: every pod runs as one, gets its image pull secrets and, unless it declines, a projected token.
import type { Container, Volume } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { isMirrorPod } from '#api/pods'
import type { Clock } from '#base/clock'
import { nameSuffix, type Random } from '#base/random'
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
  return {
    name: 'ServiceAccount',
    handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === Pod.id && subresource === '',
    async admit(request) {
      const pod = request.object as Pod
      if (isMirrorPod(pod)) return refuseMirror(request, pod)
      pod.spec.serviceAccountName ||= pod.spec.serviceAccount || 'default'
      pod.spec.serviceAccount = pod.spec.serviceAccountName
      const account = await find(deps, request, pod.spec.serviceAccountName)
      const mounts = pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true
      if (mounts) mountToken(pod, deps.random)
      if ((pod.spec.imagePullSecrets?.length ?? 0) > 0 || account.imagePullSecrets === undefined) return
      if (account.imagePullSecrets.length > 0)
        pod.spec.imagePullSecrets = account.imagePullSecrets.map(({ name }) => ({ name: name ?? '' }))
    },
  }
}

function refuseMirror(request: AdmissionRequest, pod: Pod): void {
  if (pod.spec.serviceAccountName) throw admissionForbidden(request, 'a mirror pod may not reference service accounts')
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.secret !== undefined) throw admissionForbidden(request, 'a mirror pod may not reference secrets')
    const token = volume.projected?.sources?.some((source) => source.serviceAccountToken !== undefined)
    if (token) throw admissionForbidden(request, 'a mirror pod may not use ServiceAccountToken volume projections')
  }
}

async function find({ reader, clock }: ServiceAccountDeps, request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const get = (): ServiceAccount | undefined => reader.get(ServiceAccount, request.namespace, name)
  const deadline = clock.monotonic() + waitMs
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

function mountToken(pod: Pod, random: Random): void {
  const { spec } = pod
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix))
  const name = existing?.name ?? volumePrefix + nameSuffix(random)
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
