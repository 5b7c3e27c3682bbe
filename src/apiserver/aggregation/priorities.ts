// Where groups and versions stand in discovery, and so which of two resources of one name kubectl takes: Kubernetes' numbers for what
// the server serves itself. Higher comes first.

export interface ApiPriority {
  readonly groupPriorityMinimum: number
  readonly versionPriority: number
}

const groups: Readonly<Record<string, number>> = {
  '': 18_000,
  apps: 17_800,
  'events.k8s.io': 17_750,
  'authentication.k8s.io': 17_700,
  'authorization.k8s.io': 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  'certificates.k8s.io': 17_300,
  'networking.k8s.io': 17_200,
  policy: 17_100,
  'rbac.authorization.k8s.io': 17_000,
  'storage.k8s.io': 16_800,
  'apiextensions.k8s.io': 16_700,
  'admissionregistration.k8s.io': 16_700,
  'scheduling.k8s.io': 16_600,
  'coordination.k8s.io': 16_500,
  'node.k8s.io': 16_300,
  'discovery.k8s.io': 16_200,
  'resource.k8s.io': 16_200,
  'flowcontrol.apiserver.k8s.io': 16_100,
  'internal.apiserver.k8s.io': 16_000,
  'storagemigration.k8s.io': 15_800,
}

const versions: Readonly<Record<string, number>> = { '/v1': 1, 'autoscaling/v2': 30, 'flowcontrol.apiserver.k8s.io/v1': 21 }

/** What CustomResourceDefinitions' groups and versions get; below everything built in. */
export const customPriority: ApiPriority = { groupPriorityMinimum: 1_000, versionPriority: 100 }

/** The priorities of a built-in version of a group. */
export function builtInPriority(group: string, version: string): ApiPriority {
  const stable = /^v\d+$/.test(version)
  return {
    groupPriorityMinimum: groups[group] ?? 15_000,
    versionPriority: versions[`${group}/${version}`] ?? (stable ? 15 : version.includes('beta') ? 9 : 1),
  }
}
