// The target of an autoscaler: any kind with a scale subresource. Which resource a kind is comes from discovery, for a while.
import { isApiError } from '#api/errors'
import type { CrossVersionObjectReference } from '#api/generated/autoscaling-v2'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'

export interface Scale {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string }
  readonly spec?: { readonly replicas?: number }
  readonly status?: { readonly replicas?: number; readonly selector?: string }
}

export interface FoundScale {
  readonly scale: Scale
  readonly path: string
}

export interface ScaleTargets {
  /** Throws in the words of FailedGetScale. */
  get(client: Client, namespace: string, target: CrossVersionObjectReference): Promise<FoundScale>
  /** Plural and group of a kind, as in `ingresses.networking.k8s.io`. */
  resourceOf(client: Client, reference: CrossVersionObjectReference): Promise<string>
}

interface Mapping {
  readonly base: string
  readonly resource: string
}

// A kind that has come or gone is noticed after this long.
const discoveryMsMax = 30_000
const groupsMax = 256
const updateAttemptsMax = 5

export function createScaleTargets(clock: Clock): ScaleTargets {
  const known = new Map<string, { readonly atMs: number; readonly mappings: ReadonlyMap<string, readonly Mapping[]> }>()

  async function mappingsOf(client: Client, { apiVersion = '', kind }: CrossVersionObjectReference): Promise<readonly Mapping[]> {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
    const cached = known.get(group)
    const isFresh = cached !== undefined && clock.monotonic() - cached.atMs < discoveryMsMax
    const mappings = isFresh ? cached.mappings : await discover(client, group)
    if (!isFresh) {
      if (known.size >= groupsMax) known.clear()
      known.set(group, { atMs: clock.monotonic(), mappings })
    }
    const found = mappings.get(kind)
    if (found === undefined) throw new Error(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`)
    return found
  }

  return {
    async get(client, namespace, target) {
      if ((target.apiVersion ?? '').split('/').length > 2) {
        throw new InvalidTarget(`unexpected GroupVersion string: ${target.apiVersion}`)
      }
      let first: unknown
      for (const { base, resource } of await mappingsOf(client, target)) {
        const path = `${base}/namespaces/${namespace}/${resource}/${target.name}/scale`
        try {
          return { path, scale: (await client.raw('GET', path)) as Scale }
        } catch (error) {
          first ??= error
        }
      }
      throw first
    },
    async resourceOf(client, reference) {
      const [{ resource } = { resource: '' }] = await mappingsOf(client, reference)
      const group = reference.apiVersion?.includes('/') ? reference.apiVersion.split('/')[0] : ''
      return group ? `${resource}.${group}` : resource
    },
  }
}

/** The reference itself is wrong. */
export class InvalidTarget extends Error {
  override readonly name = 'InvalidTarget'
}

/** Kinds of a group to their resources, the preferred version first. */
async function discover(client: Client, group: string): Promise<Map<string, Mapping[]>> {
  const mappings = new Map<string, Mapping[]>()
  for (const base of group === '' ? ['/api/v1'] : await versionsOf(client, group)) {
    const { resources = [] } = (await client.raw('GET', base)) as { resources?: { name: string; kind: string }[] }
    for (const { name, kind } of resources) {
      if (name.includes('/')) continue
      mappings.set(kind, [...(mappings.get(kind) ?? []), { base, resource: name }])
    }
  }
  return mappings
}

async function versionsOf(client: Client, group: string): Promise<string[]> {
  try {
    const { versions, preferredVersion } = (await client.raw('GET', `/apis/${group}`)) as {
      versions: { version: string }[]
      preferredVersion?: { version: string }
    }
    const names = [...(preferredVersion === undefined ? [] : [preferredVersion.version]), ...versions.map(({ version }) => version)]
    return [...new Set(names)].map((version) => `/apis/${group}/${version}`)
  } catch (error) {
    if (isApiError(error, 'NotFound')) return []
    throw error
  }
}

/** Sets the count, again on the newest scale when somebody else was faster. */
export async function setReplicas(client: Client, { path, scale }: FoundScale, replicas: number): Promise<void> {
  let current = scale
  for (let attempt = 1; ; attempt++) {
    try {
      await client.raw('PUT', path, { ...current, spec: { ...current.spec, replicas } })
      return
    } catch (error) {
      if (!isApiError(error, 'Conflict') || attempt >= updateAttemptsMax) throw error
      current = (await client.raw('GET', path)) as Scale
    }
  }
}
