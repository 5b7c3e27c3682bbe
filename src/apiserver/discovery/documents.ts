// Discovery documents, derived from the kinds that are served: groups, versions, resources; one by one, and aggregated in one
// answer (KEP-3352). Pure.
import { createHash } from 'node:crypto'
import type { APIGroupDiscovery, APIResourceDiscovery, APISubresourceDiscovery } from '#api/generated/apidiscovery-v2'
import type { APIGroup, APIResource } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import type { RemoteVersion } from '../aggregation/aggregator.ts'
import { builtInPriority, customPriority } from '../aggregation/priorities.ts'

/** A document of discovery. */
export interface Discovered {
  readonly kind: string
  readonly apiVersion?: string
  readonly [name: string]: unknown
}

/** One version: its kinds, or what another server says of it. */
export interface ServedVersion {
  readonly version: string
  readonly kinds: readonly Kind[]
  readonly remote?: RemoteVersion
}

/** The served versions of one group, the preferred one first. */
export interface ServedGroup {
  /** Empty for the core group. */
  readonly group: string
  readonly versions: readonly ServedVersion[]
}

/**
 * Groups by priority, those of equal priority by name; versions of what this server has by Kubernetes' version priority, another server's
 * by their own priorities. The group of APIServices comes first, as in Kubernetes.
 */
export function servedGroups(kinds: readonly Kind[], remotes: readonly RemoteVersion[] = []): ServedGroup[] {
  const groups = ownGroups(kinds)
  const priorities = new Map<string, number>()
  for (const { group, versions } of groups) {
    const [first] = versions
    const { groupPriorityMinimum } = first?.kinds[0]?.custom ? customPriority : builtInPriority(group, first?.version ?? '')
    priorities.set(group, group === 'apiregistration.k8s.io' ? Number.POSITIVE_INFINITY : groupPriorityMinimum)
  }
  for (const remote of remotes) addRemote(groups, priorities, remote)
  return groups.sort((a, b) => priorities.get(b.group)! - priorities.get(a.group)! || (a.group < b.group ? -1 : 1))
}

interface MutableGroup extends ServedGroup {
  versions: ServedVersion[]
}

// Whom an APIService names has the version, whoever had it before.
function addRemote(groups: MutableGroup[], priorities: Map<string, number>, remote: RemoteVersion): void {
  const { group, discovery, groupPriorityMinimum } = remote
  const entry: ServedVersion = { version: discovery.version, kinds: [], remote }
  let found = groups.find((candidate) => candidate.group === group)
  if (found === undefined) {
    found = { group, versions: [] }
    groups.push(found)
  }
  priorities.set(group, Math.max(priorities.get(group) ?? 0, groupPriorityMinimum))
  found.versions = [...found.versions.filter(({ version }) => version !== entry.version), entry].sort(
    (a, b) => versionPriorityOf(group, b) - versionPriorityOf(group, a) || compareVersions(b.version, a.version),
  )
}

function versionPriorityOf(group: string, { version, kinds, remote }: ServedVersion): number {
  if (remote !== undefined) return remote.versionPriority
  return (kinds[0]?.custom ? customPriority : builtInPriority(group, version)).versionPriority
}

function ownGroups(kinds: readonly Kind[]): MutableGroup[] {
  const groups = new Map<string, Map<string, Kind[]>>()
  for (const kind of kinds) {
    const versions = groups.get(kind.group) ?? new Map<string, Kind[]>()
    groups.set(kind.group, versions)
    versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind])
  }
  return [...groups].map(([group, versions]) => {
    const list = [...versions].map(([version, ofVersion]) => ({ version, kinds: ofVersion }))
    return { group, versions: list.sort((a, b) => compareVersions(b.version, a.version)) }
  })
}

/** Kubernetes' order of versions: stable above beta above alpha, then by number; others last, by name. Greater: preferred. */
export function compareVersions(a: string, b: string): number {
  const left = versionRank(a)
  const right = versionRank(b)
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return left[i]! - right[i]!
  return a < b ? 1 : a > b ? -1 : 0
}

function versionRank(version: string): readonly number[] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
  if (match === null) return [-1, 0, 0]
  const [, major, stage, minor] = match
  return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor ?? 0)]
}

export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** A group with its versions, as /apis lists it. */
export function groupDocument({ group, versions }: ServedGroup): Omit<APIGroup, 'apiVersion' | 'kind'> {
  const list = versions.map(({ version }) => ({ groupVersion: groupVersion(group, version), version }))
  return { name: group, versions: list, preferredVersion: list[0]! }
}

/** The resources of one version, as /api/v1 and /apis/<group>/<version> list them. */
export function resourceList(group: string, version: string, kinds: readonly Kind[]): Discovered {
  const resources: Partial<APIResource>[] = []
  for (const kind of [...kinds].sort(byResource)) {
    resources.push({
      name: kind.resource,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: [...kind.verbs].sort(),
      ...(kind.shortNames.length > 0 ? { shortNames: [...kind.shortNames] } : {}),
      ...(kind.categories.length > 0 ? { categories: [...kind.categories] } : {}),
      ...(kind.verbs.includes('get') && kind.verbs.includes('create') ? { storageVersionHash: storageVersionHash(kind) } : {}),
    })
    for (const { name, kind: answers, group: otherGroup, version: otherVersion, verbs } of kind.subresources) {
      resources.push({
        name: `${kind.resource}/${name}`,
        singularName: '',
        namespaced: kind.namespaced,
        ...(otherGroup !== undefined || otherVersion !== undefined ? { group: otherGroup ?? '', version: otherVersion ?? version } : {}),
        kind: answers,
        verbs: [...verbs].sort(),
      })
    }
  }
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources }
}

// Which version is stored, as an opaque hash: storage migrators compare it.
function storageVersionHash({ group, version, kind, strategy }: Kind): string {
  const [storedGroup = group, storedVersion = version] = strategy.storedAs?.split('/') ?? []
  const stored = `${storedGroup === 'core' ? '' : storedGroup}/${storedVersion}/${kind}`
  return createHash('sha256').update(stored).digest().subarray(0, 8).toString('base64')
}

function byResource(a: Kind, b: Kind): number {
  return a.resource < b.resource ? -1 : a.resource > b.resource ? 1 : 0
}

/** One group of an APIGroupDiscoveryList. */
export function aggregatedGroup({ group, versions }: ServedGroup): Omit<APIGroupDiscovery, 'apiVersion' | 'kind'> {
  return {
    metadata: (group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null }) as never,
    versions: versions.map(({ version, kinds, remote }) => {
      if (remote !== undefined) return remote.discovery
      return { version, resources: [...kinds].sort(byResource).map(aggregatedResource), freshness: 'Current' }
    }),
  }
}

function aggregatedResource(kind: Kind): APIResourceDiscovery {
  const { group, version } = kind
  const subresources: APISubresourceDiscovery[] = kind.subresources.map((subresource) => ({
    subresource: subresource.name,
    responseKind: { group: subresource.group ?? group, version: subresource.version ?? version, kind: subresource.kind },
    verbs: [...subresource.verbs].sort(),
  }))
  return {
    resource: kind.resource,
    responseKind: { group, version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: [...kind.verbs].sort(),
    ...(kind.shortNames.length > 0 ? { shortNames: [...kind.shortNames] } : {}),
    ...(kind.categories.length > 0 ? { categories: [...kind.categories] } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}
