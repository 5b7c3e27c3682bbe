// APIServices of what this server serves itself. They say so to whoever reads them, and give groups and versions their place in
// discovery. Those of built-in versions are brought into being at the start, those of custom resources come and go with them.
import { isDeepStrictEqual } from 'node:util'
import { isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { APIService } from '#api/kinds/apiregistration/api-service'
import type { Manifest } from '#api/object'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'
import type { KindCatalog, LocalReader } from '../request.ts'
import { runWhenChanged } from '../run-when-changed.ts'
import { builtInPriority, customPriority } from './priorities.ts'

/** Says that the server made the object, and whether it goes on looking after it (`true`) or did so at its start (`onstart`). */
export const automanagedLabel = 'kube-aggregator.kubernetes.io/automanaged'

const ownGroup = 'apiregistration.k8s.io'

type LocalService = Manifest<APIService> & {
  metadata: { name: string; labels: Record<string, string> }
  spec: APIService['spec']
}

/** The APIServices that there should be for these kinds, by name. The group of APIServices themselves has none. */
export function localApiServices(kinds: readonly Kind[]): Map<string, LocalService> {
  const wanted = new Map<string, LocalService>()
  for (const { group, version, custom } of kinds) {
    const name = `${version}.${group}`
    if (group === ownGroup || wanted.has(name)) continue
    const priority = custom ? customPriority : builtInPriority(group, version)
    wanted.set(name, {
      metadata: { name, labels: { [automanagedLabel]: custom ? 'true' : 'onstart' } },
      spec: { ...(group === '' ? {} : { group }), version, ...priority },
    })
  }
  return wanted
}

/** One round: creates what is missing, brings back what was changed, removes what is served no more. Others' objects stay as they are. */
export async function registerLocalServices(reader: LocalReader, client: Client, kinds: readonly Kind[], first: boolean): Promise<void> {
  const wanted = localApiServices(kinds)
  const writes: Promise<unknown>[] = []
  for (const [name, manifest] of wanted) {
    const current = reader.get(APIService, '', name)
    const managed = manifest.metadata.labels[automanagedLabel]
    // What is made at the start is an administrator's to change or remove afterwards.
    if (managed === 'onstart' && !first) continue
    if (current === undefined) writes.push(client.create(APIService, manifest))
    else if (current.metadata.labels?.[automanagedLabel] !== undefined && !sameSpec(current, manifest)) {
      writes.push(client.update(APIService, { ...current, spec: manifest.spec } as Manifest<APIService>))
    }
  }
  for (const { metadata, spec } of reader.list(APIService)) {
    const managed = metadata.labels?.[automanagedLabel]
    const spurious = managed === 'true' ? !isDefined(reader, spec) : managed === 'onstart' && first
    if (spurious && !wanted.has(metadata.name)) writes.push(client.delete(APIService, { namespace: '', name: metadata.name }))
  }
  for (const result of await Promise.allSettled(writes)) {
    if (result.status === 'rejected' && !['AlreadyExists', 'NotFound'].some((reason) => isApiError(result.reason, reason as never))) {
      throw result.reason
    }
  }
}

// At a start custom resources are served one after another: what is defined and not served yet keeps its APIService.
function isDefined(reader: LocalReader, { group, version }: APIService['spec']): boolean {
  return reader
    .list(CustomResourceDefinition)
    .some(({ spec }) => spec.group === group && spec.versions.some(({ name, served }) => served && name === version))
}

function sameSpec({ spec }: APIService, manifest: LocalService): boolean {
  const { group = '', ...rest } = spec
  const { group: wantedGroup = '', ...wantedRest } = manifest.spec
  return group === wantedGroup && isDeepStrictEqual({ ...rest }, { ...wantedRest })
}

/** Runs until the signal aborts. */
export async function runLocalServices(deps: {
  readonly catalog: KindCatalog
  readonly reader: LocalReader
  readonly client: Client
  readonly clock: Clock
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}): Promise<void> {
  const { catalog, reader, client, clock, onError, signal } = deps
  let first = true
  await runWhenChanged({
    clock,
    subscribe: (changed) => [
      catalog.onChange(changed),
      ...[APIService, CustomResourceDefinition].map((kind) => reader.onChange(kind, changed)),
    ],
    async round() {
      await registerLocalServices(reader, client, catalog.all(), first)
      first = false
      return undefined
    },
    onError,
    signal,
  })
}
