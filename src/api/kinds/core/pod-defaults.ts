// What the API server fills into pods and pod templates. A template gets less than a pod: what is filled there is compared for ever.
import type {
  Container,
  EphemeralContainer,
  EphemeralContainerCommon,
  LifecycleHandler,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  ProjectedVolumeSource,
  Volume,
} from '../../generated/core-v1.ts'
import { canonicalQuantity, compareQuantities, formatQuantity, isQuantity, newQuantity, parseQuantity, quantityAt } from '../../quantity.ts'
import { containerRequests, isPodLevelResource, type Resources } from '../../resources.ts'
import { setClaimSpecDefaults } from './claim-spec.ts'
import { defaultPullPolicy } from './images.ts'

const mode0644 = 0o644

/** A pod: everything a template gets, and what only a running pod needs. */
export function setPodDefaults(pod: Pod): void {
  setPodSpecDefaults(pod.spec)
  const { spec } = pod
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) requestsFromLimits(container)
  setPodLevelDefaults(pod)
  spec.enableServiceLinks ??= true
  if (spec.hostNetwork) hostPortsFromContainerPorts(spec)
}

export function setPodTemplateDefaults(template: PodTemplateSpec): void {
  setPodSpecDefaults(template.spec)
}

/** What every pod spec gets, in pods and in templates. */
export function setPodSpecDefaults(spec: PodSpec): void {
  spec.containers ??= []
  spec.dnsPolicy ||= 'ClusterFirst'
  spec.restartPolicy ||= 'Always'
  spec.securityContext ??= {}
  spec.terminationGracePeriodSeconds ??= 30
  spec.schedulerName ||= 'default-scheduler'
  // Compat: clients of old versions read and write the deprecated name of serviceAccountName.
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount
  dropDisabledFields(spec)
  for (const volume of spec.volumes ?? []) setVolumeDefaults(volume)
  for (const container of spec.containers) setContainerDefaults(container)
  for (const container of spec.initContainers ?? []) setContainerDefaults(container)
  for (const container of spec.ephemeralContainers ?? []) setContainerDefaults(container)
  roundToMilli(spec.overhead)
  roundToMilli(spec.resources?.requests)
  roundToMilli(spec.resources?.limits)
}

// Fields of features that are off by default at this API level go, as if nobody had sent them: groups that are scheduled together
// (KEP-4671), stop signals (KEP-4960), and files from trust bundles and pod certificates (KEP-3257, KEP-4317).
function dropDisabledFields(spec: PodSpec): void {
  if (spec.schedulingGroup !== undefined) delete spec.schedulingGroup
  for (const { projected } of spec.volumes ?? []) {
    for (const source of projected?.sources ?? []) {
      delete source.clusterTrustBundle
      delete source.podCertificate
    }
  }
  for (const containers of [spec.containers, spec.initContainers, spec.ephemeralContainers]) {
    for (const container of containers ?? []) {
      if (container.lifecycle?.stopSignal === undefined) continue
      delete container.lifecycle.stopSignal
      if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle
    }
  }
}

function setContainerDefaults(container: Container | EphemeralContainer): void {
  const common: EphemeralContainerCommon = container
  common.resources ??= {}
  common.imagePullPolicy ||= defaultPullPolicy(common.image ?? '')
  common.terminationMessagePath ||= '/dev/termination-log'
  common.terminationMessagePolicy ||= 'File'
  for (const port of common.ports ?? []) port.protocol ||= 'TCP'
  for (const env of common.env ?? []) {
    if (env.valueFrom?.fieldRef !== undefined) env.valueFrom.fieldRef.apiVersion ||= 'v1'
    if (env.valueFrom?.fileKeyRef !== undefined) env.valueFrom.fileKeyRef.optional ??= false
    if (env.valueFrom?.resourceFieldRef !== undefined) env.valueFrom.resourceFieldRef.divisor ??= '0'
  }
  for (const probe of [common.livenessProbe, common.readinessProbe, common.startupProbe]) setProbeDefaults(probe)
  setHandlerDefaults(common.lifecycle?.postStart)
  setHandlerDefaults(common.lifecycle?.preStop)
  roundToMilli(common.resources.requests)
  roundToMilli(common.resources.limits)
}

function setProbeDefaults(probe: Probe | undefined): void {
  if (probe === undefined) return
  probe.timeoutSeconds ||= 1
  probe.periodSeconds ||= 10
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  if (probe.grpc !== undefined) probe.grpc.service ??= ''
  setHandlerDefaults(probe)
}

function setHandlerDefaults(handler: LifecycleHandler | undefined): void {
  if (handler?.httpGet === undefined) return
  handler.httpGet.path ||= '/'
  handler.httpGet.scheme ||= 'HTTP'
}

function setVolumeDefaults(volume: Volume): void {
  if (!Object.keys(volume).some((key) => key !== 'name' && volume[key as keyof Volume] !== undefined)) volume.emptyDir = {}
  if (volume.image !== undefined) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference ?? '')
  if (volume.hostPath !== undefined) volume.hostPath.type ??= ''
  if (volume.secret !== undefined) volume.secret.defaultMode ??= mode0644
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= mode0644
  if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= mode0644
    setDownwardDefaults(volume.downwardAPI.items)
  }
  if (volume.projected !== undefined) setProjectedDefaults(volume.projected)
  if (volume.ephemeral?.volumeClaimTemplate !== undefined) setClaimSpecDefaults(volume.ephemeral.volumeClaimTemplate.spec)
  setNetworkVolumeDefaults(volume)
}

// In-tree network volumes: long out of use, but their defaults are part of stored objects.
function setNetworkVolumeDefaults(volume: Volume): void {
  if (volume.iscsi !== undefined) volume.iscsi.iscsiInterface ||= 'default'
  if (volume.rbd !== undefined) {
    volume.rbd.pool ||= 'rbd'
    volume.rbd.user ||= 'admin'
    volume.rbd.keyring ||= '/etc/ceph/keyring'
  }
  if (volume.azureDisk !== undefined) {
    volume.azureDisk.cachingMode ??= 'ReadWrite'
    volume.azureDisk.kind ??= 'Shared'
    volume.azureDisk.fsType ??= 'ext4'
    volume.azureDisk.readOnly ??= false
  }
  if (volume.scaleIO !== undefined) {
    volume.scaleIO.storageMode ||= 'ThinProvisioned'
    volume.scaleIO.fsType ||= 'xfs'
  }
}

function setProjectedDefaults(projected: ProjectedVolumeSource): void {
  projected.defaultMode ??= mode0644
  for (const source of projected.sources ?? []) {
    setDownwardDefaults(source.downwardAPI?.items)
    if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600
  }
}

function setDownwardDefaults(items: NonNullable<Volume['downwardAPI']>['items']): void {
  for (const item of items ?? []) {
    if (item.fieldRef !== undefined) item.fieldRef.apiVersion ||= 'v1'
    if (item.resourceFieldRef !== undefined) item.resourceFieldRef.divisor ??= '0'
  }
}

function requestsFromLimits({ resources }: Container): void {
  if (resources.limits === undefined) return
  resources.requests ??= {}
  for (const [name, limit] of Object.entries(resources.limits)) resources.requests[name] ??= limit
}

function hostPortsFromContainerPorts(spec: PodSpec): void {
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    for (const port of container.ports ?? []) port.hostPort ||= port.containerPort
  }
}

// KEP-2837: requests of the pod as a whole follow its containers' requests, else its limits; huge pages cannot be overcommitted.
function setPodLevelDefaults(pod: Pod): void {
  const { resources } = pod.spec
  if (resources === undefined) return
  const wanted = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].every(({ resources: own }) => validAmounts(own))
  if (!wanted || !validAmounts(resources)) return
  const limits = resources.limits ?? {}
  const fromContainers = containerRequests(pod)
  const hugePages = hugePagesOf(fromContainers, resources)
  for (const [name, amount] of Object.entries(hugePages)) limits[name] ??= amount
  if (Object.keys(limits).length === 0) return
  resources.limits = limits
  const requests = resources.requests ?? {}
  for (const [name, amount] of Object.entries(fromContainers)) {
    if (isPodLevelResource(name) && !name.startsWith('hugepages-')) requests[name] ??= formatQuantity(amount)
  }
  for (const [name, limit] of Object.entries(limits)) if (isPodLevelResource(name)) requests[name] ??= limit
  if (Object.keys(requests).length > 0) resources.requests = requests
}

function hugePagesOf(
  fromContainers: Resources,
  resources: { requests?: Record<string, string>; limits?: Record<string, string> },
): Record<string, string> {
  const podLevelSet = Object.keys(resources.requests ?? {}).length > 0 || Object.keys(resources.limits ?? {}).length > 0
  if (!podLevelSet) return {}
  const out: Record<string, string> = {}
  for (const [name, amount] of Object.entries(fromContainers)) {
    if (name.startsWith('hugepages-') && resources.requests?.[name] === undefined) out[name] = formatQuantity(amount)
  }
  return out
}

function validAmounts(resources: { requests?: Record<string, string>; limits?: Record<string, string> }): boolean {
  return [...Object.values(resources.requests ?? {}), ...Object.values(resources.limits ?? {})].every(isQuantity)
}

/** Amounts finer than a thousandth are rounded up, in place. */
export function roundToMilli(amounts: Record<string, string> | undefined): void {
  for (const [name, text] of Object.entries(amounts ?? {})) {
    if (!isQuantity(text)) continue
    const quantity = parseQuantity(text)
    const milli = newQuantity(quantityAt(quantity, -3), quantity.format, -3)
    amounts![name] = compareQuantities(milli, quantity) === 0 ? canonicalQuantity(text) : formatQuantity(milli)
  }
}
