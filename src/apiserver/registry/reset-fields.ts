// Fields that an endpoint does not write, whatever a client says there: they stay as they were, and nobody gets to own them
// (server-side apply, KEP-555, "reset fields"). What a kind's status endpoint leaves alone besides spec differs; the list is
// Kubernetes', whose strategies each say theirs.
import { type FieldSet, fieldSetOf } from '#api/apply/field-set'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { cloneJson } from './written.ts'

type Path = readonly string[]

const spec: Path = ['f:spec']
const status: Path = ['f:status']
const metadata: Path = ['f:metadata']

// Of the status endpoint, where it is not spec alone.
const ofStatus: ReadonlyMap<string, readonly Path[]> = new Map<string, readonly Path[]>([
  ['apps/deployments', [spec, ['f:metadata', 'f:labels']]],
  ['/pods', [spec, ['f:metadata', 'f:deletionTimestamp'], ['f:metadata', 'f:ownerReferences']]],
  ['certificates.k8s.io/certificatesigningrequests', [spec, ['f:status', 'f:conditions']]],
  ...[
    'admissionregistration.k8s.io/validatingadmissionpolicies',
    'apiregistration.k8s.io/apiservices',
    'flowcontrol.apiserver.k8s.io/flowschemas',
    'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
    'networking.k8s.io/servicecidrs',
    'resource.k8s.io/devicetaintrules',
    'resource.k8s.io/resourceclaims',
    'storage.k8s.io/volumeattachments',
  ].map((name): [string, readonly Path[]] => [name, [metadata, spec]]),
])

const elsewhere: ReadonlyMap<string, readonly Path[]> = new Map<string, readonly Path[]>([
  ['certificates.k8s.io/certificatesigningrequests ', [spec, status]],
  ['certificates.k8s.io/certificatesigningrequests approval', [spec, ['f:status', 'f:certificate']]],
])

const known = new WeakMap<Kind, Map<string, FieldSet | undefined>>()

/** The fields that writes of `subresource` (empty: of the object itself) leave as they are; undefined: none. */
export function resetFields(kind: Kind, subresource: string): FieldSet | undefined {
  let own = known.get(kind)
  if (own === undefined) {
    own = new Map()
    known.set(kind, own)
  }
  if (!own.has(subresource)) {
    const paths = pathsOf(kind, subresource)
    own.set(subresource, paths.length === 0 ? undefined : fieldSetOf(...paths))
  }
  return own.get(subresource)
}

function pathsOf(kind: Kind, subresource: string): readonly Path[] {
  const name = `${kind.group}/${kind.resource}`
  const other = elsewhere.get(`${name} ${subresource}`)
  if (other !== undefined) return other
  if (!kind.subresources.some((one) => one.name === 'status')) return []
  if (subresource !== 'status') return [status]
  return kind.custom ? [metadata, spec] : (ofStatus.get(name) ?? [spec])
}

type Meta = { -readonly [P in keyof KubeObject['metadata']]?: KubeObject['metadata'][P] }

/** Puts back the metadata that the status endpoint of a built-in kind does not write. */
export function keepMetadata(kind: Kind, object: KubeObject, old: KubeObject): void {
  const paths = ofStatus.get(`${kind.group}/${kind.resource}`)
  if (paths === undefined) return
  for (const path of paths) {
    if (path[0] !== 'f:metadata') continue
    if (path.length > 1) put(object, old, path[1]!.slice(2) as keyof Meta)
    else
      for (const field of ['deletionTimestamp', 'generation', 'labels', 'annotations', 'finalizers', 'ownerReferences'] as const)
        put(object, old, field)
  }
}

function put<Name extends keyof Meta>(object: KubeObject, old: KubeObject, name: Name): void {
  const meta = object.metadata as Meta
  const before = (old.metadata as Meta)[name]
  if (before === undefined) delete meta[name]
  else meta[name] = cloneJson(before)
}
