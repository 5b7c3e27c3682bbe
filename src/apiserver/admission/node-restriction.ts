// NodeRestriction: what a node's own credential may write. It keeps a node that was taken over from reaching others: its pods,
// its lease, its Node object (but not the labels and taints that attract workloads), its certificates and tokens for its pods, and nothing else.

import { notFound } from '#api/errors'
import type { TokenRequest } from '#api/generated/authentication-v1'
import type { Pod as PodV1, Volume } from '#api/generated/core-v1'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { Lease } from '#api/kinds/coordination/lease'
import { Node } from '#api/kinds/core/node'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { ResourceSlice } from '#api/kinds/resource/resource-slice'
import { CSIDriver } from '#api/kinds/storage/csi-driver'
import { CSINode } from '#api/kinds/storage/csi-node'
import { mirrorPodAnnotation } from '#api/pods'
import { semanticEqual } from '#api/validation/field-errors'
import { type Eventual, whenThere } from '#base/eventual'
import { parseCertificateRequest } from '#platform/x509'
import type { Authorizer } from '../authz/authorizer.ts'
import { podReferences } from '../authz/node.ts'
import type { LocalReader, User } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

const userPrefix = 'system:node:'
const nodesGroup = 'system:nodes'
const leaseNamespace = 'kube-node-lease'

export interface NodeRestrictionDeps {
  readonly reader: LocalReader
  /** Whether a node may have tokens for audiences that its pod does not name; made after admission. */
  readonly authorizer: () => Authorizer
}

export function nodeRestriction({ reader, authorizer }: NodeRestrictionDeps): AdmissionPlugin {
  const rules: Readonly<Record<string, (request: AdmissionRequest, node: string) => Eventual<void>>> = {
    [Pod.id]: (request, node) => checkPod(reader, request, node),
    [Node.id]: checkNode,
    [PersistentVolumeClaim.id]: checkClaim,
    [ServiceAccount.id]: (request, node) => checkToken(reader, authorizer, request, node),
    [Lease.id]: checkLease,
    [CSINode.id]: checkCsiNode,
    [ResourceSlice.id]: checkResourceSlice,
    [CertificateSigningRequest.id]: checkCertificateRequest,
  }
  return {
    name: 'NodeRestriction',
    handles: (operation, kind) => operation !== 'CONNECT' && rules[kind.id] !== undefined,
    admit(request) {
      const node = nodeOf(request.user)
      if (node === undefined) return
      if (node === '') throw admissionForbidden(request, `could not determine node from user ${JSON.stringify(request.user.name)}`)
      return rules[request.kind.id]!(request, node)
    },
  }
}

/** The node that a user is; empty when it is in the nodes' group without being one; undefined for everybody else. */
function nodeOf({ name, groups }: User): string | undefined {
  const named = name.startsWith(userPrefix)
  if (!groups.includes(nodesGroup)) return undefined
  return named ? name.slice(userPrefix.length) : ''
}

function checkPod(reader: LocalReader, request: AdmissionRequest, node: string): void {
  const refuse = (why: string): never => {
    throw admissionForbidden(request, why)
  }
  const { operation, subresource } = request
  if (subresource === 'status') {
    if (operation !== 'UPDATE') refuse(`unexpected operation "${operation}"`)
    return checkPodStatus(request, node)
  }
  if (subresource === 'eviction') {
    const pod = reader.get(Pod, request.namespace, request.name)
    if (pod === undefined) throw notFound(Pod, request.name)
    if (pod.spec.nodeName !== node) refuse(`node ${node} can only evict pods with spec.nodeName set to itself`)
    return
  }
  if (subresource !== '') refuse(`unexpected pod subresource "${subresource}", only 'status' and 'eviction' are allowed`)
  if (operation === 'CREATE') return checkMirrorPod(reader, request, node)
  if (operation !== 'DELETE') refuse(`unexpected operation "${operation}", node "${node}" can only create and delete mirror pods`)
  if ((request.old as Pod).spec.nodeName !== node) refuse(`node "${node}" can only delete pods with spec.nodeName set to itself`)
}

function checkPodStatus(request: AdmissionRequest, node: string): void {
  const pod = request.object as Pod
  const old = request.old as Pod
  if (old.spec.nodeName !== node) {
    throw admissionForbidden(request, `node "${node}" can only update pod status for pods with spec.nodeName set to itself`)
  }
  if (!semanticEqual(pod.metadata.labels, old.metadata.labels)) {
    throw admissionForbidden(request, `node "${node}" cannot update labels through pod status`)
  }
  if (!semanticEqual(pod.status.resourceClaimStatuses, old.status.resourceClaimStatuses)) {
    throw admissionForbidden(request, `node "${node}" cannot update resource claim statues`)
  }
  if (!semanticEqual(pod.status.extendedResourceClaimStatus, old.status.extendedResourceClaimStatus)) {
    throw admissionForbidden(request, `node "${node}" cannot update extended resource claim status`)
  }
}

function checkMirrorPod(reader: LocalReader, request: AdmissionRequest, node: string): void {
  const pod = request.object as Pod
  const refuse = (why: string): never => {
    throw admissionForbidden(request, why)
  }
  if (pod.metadata.annotations?.[mirrorPodAnnotation] === undefined) {
    refuse(`pod does not have "${mirrorPodAnnotation}" annotation, node "${node}" can only create mirror pods`)
  }
  if (pod.spec.nodeName !== node) refuse(`node "${node}" can only create pods with spec.nodeName set to itself`)
  const owners = pod.metadata.ownerReferences ?? []
  if (owners.length > 1) refuse(`node "${node}" can only create pods with a single owner reference set to itself`)
  const [owner] = owners
  if (owner === undefined || owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    return refuse(`node "${node}" can only create pods with an owner reference set to itself`)
  }
  if (owner.controller !== true) refuse(`node "${node}" can only create pods with a controller owner reference set to itself`)
  if (owner.blockOwnerDeletion === true) refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`)
  const own = reader.get(Node, '', node)
  if (own === undefined) throw notFound(Node, node)
  if (own.metadata.uid !== owner.uid) refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${own.metadata.uid}`)
  const reached = whatItReaches(pod)
  if (reached !== undefined) refuse(`node "${node}" can not create pods that reference ${reached}`)
}

// The first kind of API object that the pod would get at through the node.
function whatItReaches(pod: PodV1): string | undefined {
  const { spec } = pod
  if (spec.serviceAccountName) return 'serviceaccounts'
  const references = [...podReferences(pod)]
  for (const kind of ['secret', 'configmap'] as const) if (references.some((one) => one.startsWith(`${kind}/`))) return `${kind}s`
  if ((spec.resourceClaims?.length ?? 0) > 0) return 'resourceclaims'
  for (const volume of spec.volumes ?? []) {
    const reached = reachedByVolume(volume)
    if (reached !== undefined) return reached
  }
  return undefined
}

function reachedByVolume(volume: Volume): string | undefined {
  for (const [source, reached] of Object.entries(volumesThatReach)) if (Object.hasOwn(volume, source)) return reached
  for (const projected of volume.projected?.sources ?? []) {
    for (const [source, reached] of Object.entries(projectionsThatReach)) if (Object.hasOwn(projected, source)) return reached
  }
  return undefined
}

const volumesThatReach = {
  configMap: 'configmaps (via configmap volumes)',
  secret: 'secrets (via secret volumes)',
  csi: 'csidrivers (via CSI volumes)',
  glusterfs: 'endpoints (via glusterFS volumes)',
  persistentVolumeClaim: 'persistentvolumeclaims',
  ephemeral: 'persistentvolumeclaims (via ephemeral volumes)',
  azureFile: 'secrets (via azureFile volumes)',
}
const projectionsThatReach = {
  configMap: 'configmaps (via projected volumes)',
  secret: 'secrets (via projected volumes)',
  serviceAccountToken: 'serviceaccounts (via projected volumes)',
  clusterTrustBundle: 'clustertrustbundles',
  podCertificate: 'podcertificates',
}

function checkNode(request: AdmissionRequest, node: string): void {
  const refuse = (why: string): never => {
    throw admissionForbidden(request, why)
  }
  const name = request.name || request.object?.metadata.name || ''
  if (name !== node) refuse(`node "${node}" is not allowed to modify node "${name}"`)
  if (request.operation === 'DELETE') return
  const object = request.object as Node
  if (request.operation === 'CREATE') {
    if (object.spec.configSource !== undefined) refuse(`node "${node}" is not allowed to create pods with a non-nil configSource`)
    const labels = forbiddenLabels(object.metadata.labels, undefined)
    if (labels.length > 0) refuse(`node "${node}" is not allowed to set the following labels: ${labels.join(', ')}`)
    if ((object.metadata.ownerReferences?.length ?? 0) > 0) refuse(`node "${node}" is not allowed to set ownerReferences`)
    return
  }
  const old = request.old as Node
  if (object.spec.configSource !== undefined && !semanticEqual(object.spec.configSource, old.spec.configSource)) {
    refuse(`node "${node}" cannot update configSource to a new non-nil configSource`)
  }
  if (!semanticEqual(object.spec.taints, old.spec.taints)) refuse(`node "${node}" is not allowed to modify taints`)
  const labels = forbiddenLabels(object.metadata.labels, old.metadata.labels)
  if (labels.length > 0) refuse(`is not allowed to modify labels: ${labels.join(', ')}`)
  if (!semanticEqual(object.metadata.ownerReferences, old.metadata.ownerReferences)) {
    refuse(`node "${node}" is not allowed to modify ownerReferences`)
  }
}

type Labels = Readonly<Record<string, string>> | undefined

const kubeletLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.kubernetes.io/region',
  'failure-domain.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
])
const kubeletLabelDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io']

function forbiddenLabels(labels: Labels, old: Labels): string[] {
  const changed = new Set([...Object.keys(labels ?? {}), ...Object.keys(old ?? {})].filter((name) => labels?.[name] !== old?.[name]))
  return [...changed].filter(isForbiddenLabel).sort()
}

function isForbiddenLabel(label: string): boolean {
  const slash = label.indexOf('/')
  const domain = slash < 0 ? '' : label.slice(0, slash)
  if (within(domain, 'node-restriction.kubernetes.io')) return true
  if (!within(domain, 'kubernetes.io') && !within(domain, 'k8s.io')) return false
  return !kubeletLabels.has(label) && !kubeletLabelDomains.some((known) => within(domain, known))
}

function within(domain: string, parent: string): boolean {
  return domain === parent || domain.endsWith(`.${parent}`)
}

function checkClaim(request: AdmissionRequest, node: string): void {
  if (request.subresource !== 'status' || request.operation !== 'UPDATE') {
    throw admissionForbidden(request, 'may only update PVC status')
  }
  if (semanticEqual(reportable(request.object as PersistentVolumeClaim), reportable(request.old as PersistentVolumeClaim))) return
  throw admissionForbidden(request, `node "${node}" is not allowed to update fields other than status.capacity and status.conditions`)
}

// A claim without what a node may report of it.
function reportable({ metadata, status, ...rest }: PersistentVolumeClaim): object {
  const { resourceVersion: _version, managedFields: _fields, ...meta } = metadata
  const {
    capacity: _capacity,
    conditions: _conditions,
    allocatedResourceStatuses: _statuses,
    allocatedResources: _resources,
    ...kept
  } = status ?? {}
  return { ...rest, metadata: meta, status: kept }
}

function checkToken(reader: LocalReader, authorizer: () => Authorizer, request: AdmissionRequest, node: string): Eventual<void> {
  if (request.operation !== 'CREATE' || request.subresource !== 'token') return
  const refuse = (why: string): never => {
    throw admissionForbidden(request, why)
  }
  const { spec } = request.object as TokenRequest
  const ref = spec.boundObjectRef
  if (ref === undefined || ref.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name)
    return refuse('node requested token not bound to a pod')
  if (!ref.uid) refuse('node requested token with a pod binding without a uid')
  const pod = reader.get(Pod, request.namespace, ref.name)
  if (pod === undefined) throw notFound(Pod, ref.name)
  if (pod.metadata.uid !== ref.uid) {
    refuse(
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    )
  }
  if (pod.spec.nodeName !== node) refuse('node requested token bound to a pod scheduled on a different node')
  if (pod.spec.serviceAccountName !== request.name) refuse('node requested token of a service account that the pod does not use')
  const audiences = spec.audiences ?? []
  if (audiences.length > 1) refuse('node may only request 0 or 1 audiences')
  const [audience = ''] = audiences
  if (namesAudience(reader, pod, audience)) return
  const { user, namespace, name } = request
  const target = { group: '', version: 'v1', resource: audience, subresource: '', namespace, name, path: '' }
  const decision = authorizer().authorize({ user, verb: 'request-serviceaccounts-token-audience', isResource: true, ...target })
  return whenThere(decision, ({ verdict }) => {
    if (verdict === 'allow') return
    const who = `${user.name} is not authorized to request tokens for this audience`
    refuse(`audience ${JSON.stringify(audience)} not found in pod spec volume, ${who}`)
  })
}

// Audiences of projected tokens, and those that the drivers of the pod's volumes ask for.
function namesAudience(reader: LocalReader, pod: PodV1, audience: string): boolean {
  const namespace = pod.metadata.namespace ?? ''
  const driverOfClaim = (claimName: string): string | undefined => {
    const claim = reader.get(PersistentVolumeClaim, namespace, claimName)
    return reader.get(PersistentVolume, '', claim?.spec.volumeName ?? '')?.spec.csi?.driver
  }
  return (pod.spec.volumes ?? []).some(({ name, projected, ephemeral, persistentVolumeClaim, csi }) => {
    const tokens = projected?.sources?.map(({ serviceAccountToken }) => serviceAccountToken) ?? []
    if (tokens.some((token) => token !== undefined && (token.audience ?? '') === audience)) return true
    const claim = ephemeral === undefined ? persistentVolumeClaim?.claimName : `${pod.metadata.name}-${name}`
    const driver = claim === undefined ? csi?.driver : driverOfClaim(claim)
    if (driver === undefined) return false
    return reader.get(CSIDriver, '', driver)?.spec.tokenRequests?.some((token) => token.audience === audience) ?? false
  })
}

function checkLease(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name || ''
  if (request.namespace !== leaseNamespace) {
    throw admissionForbidden(request, `can only access leases in the "${leaseNamespace}" system namespace`)
  }
  if (name !== node) throw admissionForbidden(request, 'can only access node lease with the same name as the requesting node')
}

function checkCsiNode(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name || ''
  if (name !== node) throw admissionForbidden(request, 'can only access CSINode with the same name as the requesting node')
}

function checkResourceSlice(request: AdmissionRequest, node: string): void {
  const { operation } = request
  if (operation === 'UPDATE') return
  const slice = (operation === 'CREATE' ? request.object : request.old) as ResourceSlice
  if (slice.spec.nodeName === node) return
  throw admissionForbidden(request, `can only ${operation.toLowerCase()} ResourceSlice with the same NodeName as the requesting node`)
}

const kubeletSigners = new Set(['kubernetes.io/kubelet-serving', 'kubernetes.io/kube-apiserver-client-kubelet'])

function checkCertificateRequest(request: AdmissionRequest, node: string): void {
  if (request.operation !== 'CREATE') return
  const { spec } = request.object as CertificateSigningRequest
  if (!kubeletSigners.has(spec.signerName)) return
  let commonName: string
  try {
    ;({ commonName } = parseCertificateRequest(Buffer.from(spec.request, 'base64').toString('utf8')))
  } catch (error) {
    throw admissionForbidden(request, `unable to parse csr: ${(error as Error).message}`)
  }
  if (commonName !== userPrefix + node) {
    throw admissionForbidden(request, `can only create a node CSR with CN=${userPrefix}${node}`)
  }
}
