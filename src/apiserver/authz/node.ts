// The Node authorizer: a node reads what its own pods refer to, and its own objects; the rest of its rights are the same for
// every node. A relation is looked up among the pods when it is asked for, so it ends with the pod (KEP-4601).
import type { Pod as PodV1 } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { Pod } from '#api/kinds/core/pod'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { ResourceSlice } from '#api/kinds/resource/resource-slice'
import { VolumeAttachment } from '#api/kinds/storage/volume-attachment'
import { goQuote } from '#api/validation/text'
import type { LocalReader } from '../request.ts'
import { type Attributes, type Decision, type LocalAuthorizer, noOpinion } from './authorizer.ts'
import { nodeRules } from './default-policy.ts'
import { compileRule, matchesResource } from './rules.ts'

const allowed: Decision = { verdict: 'allow', reason: '' }
const readVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch'])

/** The node that a user is: `system:node:<name>` in the group system:nodes. */
export function nodeOf({ name, groups }: Attributes['user']): string | undefined {
  if (!name.startsWith('system:node:') || !groups.includes('system:nodes')) return undefined
  return name.slice('system:node:'.length)
}

export function createNodeAuthorizer(reader: LocalReader): LocalAuthorizer {
  const rules = nodeRules.map(compileRule)
  const references = new WeakMap<object, ReadonlySet<string>>()
  const referencesOf = (pod: PodV1): ReadonlySet<string> => {
    let found = references.get(pod)
    if (found === undefined) {
      found = grantedReferences(pod)
      references.set(pod, found)
    }
    return found
  }
  const related = (node: string, namespace: string, reference: string): boolean =>
    reader.list(Pod, namespace).some((pod) => pod.spec.nodeName === node && referencesOf(pod).has(reference))

  const unrelated = (node: string): Decision => none(unrelatedText(node))
  const ifRelated = (node: string, { namespace, name }: Attributes, reference: string): Decision =>
    related(node, namespace, `${reference}/${name}`) ? allowed : unrelated(node)
  const single = (attributes: Attributes): Decision | undefined =>
    attributes.subresource === '' ? undefined : none('cannot get subresource')

  // Secrets and config maps may be listed and watched one at a time.
  const readReferenced = (node: string, attributes: Attributes, reference: string): Decision => {
    if (!readVerbs.has(attributes.verb)) return none('can only read resources of this type')
    if (attributes.subresource !== '') return none('cannot read subresource')
    if (attributes.namespace === '') return none('can only read namespaced object of this type')
    if (attributes.name === '') return none('No Object name found')
    const decision = ifRelated(node, attributes, reference)
    if (decision.verdict === 'allow' || reference !== 'secret') return decision
    return volumesOf(node).some((volume) => volumeSecrets(volume).has(`${attributes.namespace}/${attributes.name}`)) ? allowed : decision
  }
  const getReferenced = (node: string, attributes: Attributes, reference: string): Decision => {
    if (attributes.verb !== 'get' || attributes.name === '') return none('can only get individual resources of this type')
    return single(attributes) ?? ifRelated(node, attributes, reference)
  }
  const claimOf = (volume: { spec: { claimRef?: { namespace?: string; name?: string } } }): [string, string] => [
    volume.spec.claimRef?.namespace ?? '',
    volume.spec.claimRef?.name ?? '',
  ]
  const volumesOf = (node: string) =>
    reader.list(PersistentVolume).filter((volume) => {
      const [namespace, name] = claimOf(volume)
      return name !== '' && related(node, namespace, `claim/${name}`)
    })

  const special = (node: string, attributes: Attributes): Decision | undefined => {
    const { group, resource, verb, name, subresource } = attributes
    switch (group === '' ? resource : `${group}/${resource}`) {
      case 'secrets':
        return readReferenced(node, attributes, 'secret')
      case 'configmaps':
        return readReferenced(node, attributes, 'configmap')
      case 'persistentvolumeclaims':
        if (subresource === 'status') {
          if (verb === 'update' || verb === 'patch') return ifRelated(node, attributes, 'claim')
          return none('can only get/update/patch this type')
        }
        return getReferenced(node, attributes, 'claim')
      case 'persistentvolumes': {
        if (verb !== 'get') return none('can only get individual resources of this type')
        const volume = reader.get(PersistentVolume, '', name)
        const [namespace, claim] = volume === undefined ? ['', ''] : claimOf(volume)
        return single(attributes) ?? (claim !== '' && related(node, namespace, `claim/${claim}`) ? allowed : unrelated(node))
      }
      case 'storage.k8s.io/volumeattachments':
        if (verb !== 'get') return none('can only get individual resources of this type')
        return single(attributes) ?? (reader.get(VolumeAttachment, '', name)?.spec.nodeName === node ? allowed : unrelated(node))
      case 'resource.k8s.io/resourceclaims':
        return getClaim(node, attributes)
      case 'serviceaccounts':
        if (verb === 'get' && subresource === '') return readReferenced(node, attributes, 'account')
        if (verb !== 'create' || name === '') return none('can only create tokens for individual service accounts')
        if (subresource !== 'token') return none('can only create token subresource of serviceaccount')
        return ifRelated(node, attributes, 'account')
      case 'coordination.k8s.io/leases':
        return ownLease(node, attributes)
      case 'storage.k8s.io/csinodes':
        return own(node, attributes, ['get', 'create', 'update', 'patch', 'delete'], 'CSINode')
      case 'resource.k8s.io/resourceslices':
        return resourceSlice(node, attributes, reader.get(ResourceSlice, '', name)?.spec.nodeName)
      case 'nodes':
        return ownNode(node, attributes)
      case 'pods':
        return ownPods(node, attributes, (podName) => reader.get(Pod, attributes.namespace, podName)?.spec.nodeName === node)
      default:
        return undefined
    }
  }

  const getClaim = (node: string, attributes: Attributes): Decision => {
    const direct = getReferenced(node, attributes, 'resourceclaim')
    if (direct.verdict === 'allow' || attributes.verb !== 'get') return direct
    // A claim made from a template is named in the pod's status.
    const claim = reader.get(ResourceClaim, attributes.namespace, attributes.name)
    const consumer = claim?.status?.reservedFor?.some(
      ({ resource, name }) => resource === 'pods' && reader.get(Pod, attributes.namespace, name)?.spec.nodeName === node,
    )
    return consumer === true ? allowed : direct
  }

  return {
    name: 'node',
    authorize(attributes) {
      const node = nodeOf(attributes.user)
      if (node === undefined) return noOpinion
      if (node === '') return none(`unknown node for user ${goQuote(attributes.user.name)}`)
      if (!attributes.isResource) return noOpinion
      const decision = special(node, attributes)
      if (decision !== undefined) return decision
      return rules.some((rule) => matchesResource(rule, attributes)) ? allowed : noOpinion
    },
  }
}

function none(reason: string): Decision {
  return { verdict: 'none', reason }
}

function unrelatedText(node: string): string {
  return `no relationship found between node '${node}' and this object`
}

function own(node: string, { verb, name, subresource }: Attributes, verbs: readonly string[], what: string): Decision {
  if (!verbs.includes(verb)) return none(`can only ${verbs.slice(0, -1).join(', ')}, or ${verbs.at(-1)} a ${what}`)
  if (subresource !== '') return none(`cannot authorize ${what} subresources`)
  // Admission checks the name of what is created.
  return name === node || verb === 'create' ? allowed : none(`can only access ${what} with the same name as the requesting node`)
}

function ownLease(node: string, attributes: Attributes): Decision {
  const verbs = ['get', 'create', 'update', 'patch', 'delete']
  const elsewhere = verbs.includes(attributes.verb) && attributes.namespace !== 'kube-node-lease'
  if (elsewhere) return none('can only access leases in the "kube-node-lease" system namespace')
  return own(node, attributes, verbs, 'node lease')
}

function ownNode(node: string, { verb, name, subresource, fieldSelector }: Attributes): Decision {
  if (subresource === 'status') return verb === 'update' || verb === 'patch' ? allowed : noOpinion
  if (subresource !== '') return noOpinion
  switch (verb) {
    case 'create':
    case 'update':
    case 'patch':
      // NodeRestriction sees to it that it is the node's own.
      return allowed
    case 'get':
    case 'list':
    case 'watch':
      if (name === node || selects(fieldSelector, 'metadata.name', node)) return allowed
      return none(`node '${node}' cannot read ${name === '' ? 'all nodes' : `'${name}'`}, only its own Node object`)
    default:
      return noOpinion
  }
}

function ownPods(
  node: string,
  { verb, name, subresource, fieldSelector }: Attributes,
  isOwn: (name: string) => boolean,
): Decision | undefined {
  // What is written is checked by NodeRestriction; the static rules say which subresources there are.
  if (subresource !== '') return undefined
  switch (verb) {
    case 'get':
      return isOwn(name) ? allowed : none(unrelatedText(node))
    case 'list':
    case 'watch':
      if (selects(fieldSelector, 'spec.nodeName', node) || (name !== '' && isOwn(name))) return allowed
      return none(`can only list/watch pods with spec.nodeName field selector`)
    default:
      return undefined
  }
}

function resourceSlice(node: string, { verb, subresource, fieldSelector }: Attributes, nodeOfSlice: string | undefined): Decision {
  if (subresource !== '') return none('cannot authorize ResourceSlice subresources')
  switch (verb) {
    case 'create':
      // NodeRestriction compares the node names.
      return allowed
    case 'get':
    case 'update':
    case 'patch':
    case 'delete':
      return nodeOfSlice === node ? allowed : none(unrelatedText(node))
    case 'list':
    case 'watch':
    case 'deletecollection':
      return selects(fieldSelector, 'spec.nodeName', node)
        ? allowed
        : none('can only list/watch/deletecollection resourceslices with nodeName field selector')
    default:
      return none(
        'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
      )
  }
}

// Whether a field selector demands that `field` is `value`.
function selects(selector: string | undefined, field: string, value: string): boolean {
  return selector?.split(',').some((term) => term === `${field}=${value}` || term === `${field}==${value}`) ?? false
}

// Mirror pods refer to nothing: nodes make them themselves.
function grantedReferences(pod: PodV1): ReadonlySet<string> {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] === undefined ? podReferences(pod) : new Set()
}

/** What a pod refers to, as `<what>/<name>` in its namespace. */
export function podReferences(pod: PodV1): ReadonlySet<string> {
  const out = new Set<string>()
  const put = (what: string, name: string | undefined): void => {
    if (name !== undefined && name !== '') out.add(`${what}/${name}`)
  }
  const { spec, metadata } = pod
  put('account', spec.serviceAccountName)
  for (const { name } of spec.imagePullSecrets ?? []) put('secret', name)
  for (const container of [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])]) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      put('configmap', configMapRef?.name)
      put('secret', secretRef?.name)
    }
    for (const { valueFrom } of container.env ?? []) {
      put('configmap', valueFrom?.configMapKeyRef?.name)
      put('secret', valueFrom?.secretKeyRef?.name)
    }
  }
  for (const volume of spec.volumes ?? []) {
    put('configmap', volume.configMap?.name)
    put('secret', volume.secret?.secretName)
    put('claim', volume.persistentVolumeClaim?.claimName)
    if (volume.ephemeral !== undefined) put('claim', `${metadata.name}-${volume.name}`)
    put('secret', volume.csi?.nodePublishSecretRef?.name)
    for (const driver of [volume.iscsi, volume.cephfs, volume.rbd, volume.flexVolume, volume.scaleIO, volume.storageos]) {
      put('secret', driver?.secretRef?.name)
    }
    put('secret', volume.azureFile?.secretName)
    for (const source of volume.projected?.sources ?? []) {
      put('configmap', source.configMap?.name)
      put('secret', source.secret?.name)
    }
  }
  for (const { resourceClaimName } of spec.resourceClaims ?? []) put('resourceclaim', resourceClaimName)
  for (const { resourceClaimName } of pod.status?.resourceClaimStatuses ?? []) put('resourceclaim', resourceClaimName)
  return out
}

interface SecretReference {
  readonly name?: string
  readonly namespace?: string
}

// Secrets that a persistent volume names, as `namespace/name`; its claim's namespace where it says none.
function volumeSecrets({ spec }: { spec: PersistentVolumeSpec }): ReadonlySet<string> {
  const out = new Set<string>()
  const put = (reference: SecretReference | undefined): void => {
    if (reference?.name !== undefined) out.add(`${reference.namespace ?? spec.claimRef?.namespace ?? ''}/${reference.name}`)
  }
  const { csi } = spec
  for (const reference of [csi?.nodeStageSecretRef, csi?.nodePublishSecretRef, csi?.nodeExpandSecretRef]) put(reference)
  for (const driver of [spec.cephfs, spec.rbd, spec.flexVolume, spec.scaleIO, spec.storageos, spec.iscsi]) put(driver?.secretRef)
  if (spec.azureFile?.secretName !== undefined)
    put({
      name: spec.azureFile.secretName,
      ...(spec.azureFile.secretNamespace === undefined ? {} : { namespace: spec.azureFile.secretNamespace }),
    })
  return out
}

type PersistentVolumeSpec = PersistentVolume['spec']
