// ControllerRevisions: the templates that a StatefulSet or DaemonSet had, numbered, for rollouts and for going back.

import { isApiError } from '#api/errors'
import type { ControllerRevision as RevisionObject } from '#api/generated/apps-v1'
import type { PodTemplateSpec } from '#api/generated/core-v1'
import type { LabelSelector } from '#api/generated/meta-v1'
import { canonicalJson, fnv1a32, safeEncode } from '#api/hash'
import type { Kind } from '#api/kind'
import { ControllerRevision } from '#api/kinds/apps/controller-revision'
import { labelMatcher } from '#api/label-selectors'
import type { KubeObject } from '#api/object'
import type { ReconcileContext } from '#client/controller'
import { claimOwned, nameOf, ownerReference } from './owned-objects.ts'

/** On pods: the revision they were made from. On revisions: their hash, where the kind labels them so. */
export const revisionHashLabel = 'controller-revision-hash'
const hashLabel = 'controller.kubernetes.io/hash'

/** An owner with a template, as far as revisions are concerned. */
export interface Templated extends KubeObject {
  spec: { template: PodTemplateSpec; selector: LabelSelector; revisionHistoryLimit: number }
  status: { collisionCount?: number }
}

export interface RevisionOptions<O extends Templated> {
  readonly kind: Kind<O>
  readonly owner: O
  /** The label that carries the revision's hash; kinds differ in it. */
  readonly label: typeof revisionHashLabel | typeof hashLabel
}

/** What a revision holds: a patch that puts the template in place of another one. */
export function revisionData({ spec }: Templated): Record<string, unknown> {
  return { spec: { template: { ...spec.template, $patch: 'replace' } } }
}

export function templateOf({ data }: RevisionObject): PodTemplateSpec {
  const { $patch: _patch, ...template } = (data as { spec: { template: PodTemplateSpec & { $patch?: string } } }).spec.template
  return template
}

/** Whether the revision holds the owner's present template. */
export function holdsTemplate(revision: RevisionObject, owner: Templated): boolean {
  return canonicalJson(revision.data) === canonicalJson(revisionData(owner))
}

export function byRevision(a: RevisionObject, b: RevisionObject): number {
  if (a.revision !== b.revision) return a.revision - b.revision
  if (a.metadata.creationTimestamp !== b.metadata.creationTimestamp)
    return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}

/** Which revisions may go: the oldest beyond the limit, those in use left alone. */
export function surplusRevisions(revisions: readonly RevisionObject[], inUse: ReadonlySet<string>, limit: number): RevisionObject[] {
  const unused = revisions.filter(({ metadata }) => !inUse.has(metadata.name)).sort(byRevision)
  return unused.slice(0, Math.max(0, unused.length - limit))
}

export interface Revisions {
  /** Of the present template. */
  readonly update: RevisionObject
  /** All of them, the present one included, oldest first. */
  readonly all: readonly RevisionObject[]
  readonly collisionCount: number | undefined
}

/** The owner's revisions, one of the present template among them and newest. Undefined when its name was taken: try again. */
export async function ensureRevisions<O extends Templated>(options: RevisionOptions<O>, context: ReconcileContext): Promise<Revisions> {
  const { kind, owner, label } = options
  const { cache, client } = context
  const claim = { cache, client, ownerKind: kind, owner, kind: ControllerRevision, matches: labelMatcher(owner.spec.selector) }
  const known = [...(await claimOwned(claim))].sort(byRevision)
  const newest = known.at(-1)
  let { collisionCount } = owner.status
  const same = known.filter((revision) => holdsTemplate(revision, owner)).at(-1)
  if (same !== undefined && same === newest) return { update: same, all: known, collisionCount }
  const revision = (newest?.revision ?? 0) + 1
  if (same !== undefined) {
    // Going back: an earlier template becomes the newest.
    const update = await client.update(ControllerRevision, { ...same, revision })
    return { update, all: [...known.filter((other) => other !== same), update], collisionCount }
  }
  for (;;) {
    const hash = hashOf(owner, collisionCount)
    const name = `${owner.metadata.name}-${hash}`
    try {
      const update = await client.create(ControllerRevision, {
        metadata: {
          name,
          namespace: owner.metadata.namespace ?? '',
          labels: { ...owner.spec.template.metadata.labels, [label]: hash },
          ...(owner.metadata.annotations === undefined ? {} : { annotations: withoutApplied(owner.metadata.annotations) }),
          ownerReferences: [ownerReference(kind, owner)],
        },
        data: revisionData(owner),
        revision,
      })
      return { update, all: [...known, update], collisionCount }
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
      const existing = await client.get(ControllerRevision, { namespace: owner.metadata.namespace ?? '', name })
      if (holdsTemplate(existing, owner) && existing.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid))
        return { update: existing, all: [...known.filter((other) => other.metadata.name !== name), existing], collisionCount }
      collisionCount = (collisionCount ?? 0) + 1
    }
  }
}

function hashOf(owner: Templated, collisionCount: number | undefined): string {
  const text = canonicalJson(revisionData(owner))
  return safeEncode(String(fnv1a32(collisionCount === undefined ? text : `${text}#${collisionCount}`)))
}

function withoutApplied({
  'kubectl.kubernetes.io/last-applied-configuration': _applied,
  ...rest
}: Record<string, string>): Record<string, string> {
  return rest
}

/** Of several revisions that hold one template the newest stays; `relabel` brings its pods along before the others go. */
export async function dropTwins(
  owner: Templated,
  { update, all }: Revisions,
  relabel: (twins: readonly RevisionObject[]) => Promise<void>,
  { client }: ReconcileContext,
): Promise<void> {
  const twins = all.filter((revision) => revision.metadata.name !== update.metadata.name && holdsTemplate(revision, owner))
  if (twins.length === 0) return
  await relabel(twins)
  for (const revision of twins) {
    await client.delete(ControllerRevision, nameOf(revision), { preconditions: { uid: revision.metadata.uid } }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }
}

/** Removes the revisions that nobody needs any more. */
export async function dropSurplusRevisions(
  owner: Templated,
  revisions: readonly RevisionObject[],
  inUse: ReadonlySet<string>,
  { client }: ReconcileContext,
): Promise<void> {
  for (const revision of surplusRevisions(revisions, inUse, owner.spec.revisionHistoryLimit)) {
    await client.delete(ControllerRevision, nameOf(revision), { preconditions: { uid: revision.metadata.uid } }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }
}
