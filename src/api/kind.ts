// `Kind<T>`: everything the system knows about one API kind, as a value. A CustomResourceDefinition yields the same value
// at run time. Routes, discovery, table columns, field selectors and storage keys are derived from it, never listed twice.
import type { FieldError } from './errors.ts'
import { type ResourceFacts, resources, type SubresourceFacts } from './generated/resources.ts'
import type { KubeObject } from './object.ts'
import type { PublishedSchema } from './openapi/custom-definition.ts'
import { builtinSchema } from './schema/builtin.ts'
import type { StructSchema } from './schema/schema.ts'

/** One column of the Table that `kubectl get` prints. */
export interface Column<T = KubeObject> {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  readonly description?: string
  /** 0: always; 1: with `-o wide`. */
  readonly priority: number
  /** The cell. `nowMs` is for ages. */
  cell(object: T, nowMs: number): string | number | boolean | null
}

/** What is true of a row: that the work it stands for is done. */
export interface RowCondition {
  readonly type: 'Completed'
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
}

// Written as a method, so that a Kind<Pod> is a Kind: every reader gets the objects of its own kind only.
interface FieldReader<T> {
  read(object: T): string
}

/** What a kind's functions may know of the request. */
export interface WriteContext {
  readonly nowMs: number
  /** Name of the authenticated user; some kinds record it (certificate signing requests). */
  readonly user: {
    readonly name: string
    readonly uid?: string
    readonly groups: readonly string[]
    readonly extra?: Readonly<Record<string, string[]>>
  }
  /** Empty for the main resource, else `status`, `scale`, … */
  readonly subresource: string
  /** A warning for the client, where preparing an object finds what its warnings can no longer see. */
  readonly warn?: (text: string) => void
}

/**
 * How one kind behaves. All functions are pure in their arguments; `object` is a private, mutable copy. The registry calls them:
 *
 *   create: decode → setDefaults → mutating admission → prepareForCreate → validate + validateCreate → validating admission → write
 *   update: decode → setDefaults → mutating admission → prepareForUpdate → validate + validateUpdate → validating admission → write
 *   status: decode → setDefaults → (everything but status and the allowed metadata is taken from old) → prepareForStatusUpdate → validateStatusUpdate → write
 *
 * The registry itself does what is common: metadata of create and update, its validation, generation bumps (when anything
 * outside metadata and status changed), resetting `status` on create/update when the kind has the status subresource.
 */
export interface Strategy<T extends KubeObject> {
  /** Fills what the user left out. Must be idempotent. */
  setDefaults?(object: T): void
  prepareForCreate?(object: T, context: WriteContext): void
  prepareForUpdate?(object: T, old: T, context: WriteContext): void
  prepareForStatusUpdate?(object: T, old: T, context: WriteContext): void
  validate?(object: T, context: WriteContext): FieldError[]
  /** What holds for a new object only; `validate` holds always. */
  validateCreate?(object: T, context: WriteContext): FieldError[]
  validateUpdate?(object: T, old: T, context: WriteContext): FieldError[]
  validateStatusUpdate?(object: T, old: T, context: WriteContext): FieldError[]
  /** How names are checked; default: DNS subdomain. */
  validateName?(name: string, prefix: boolean): string[]
  /** Field paths whose change is refused with `field is immutable`. */
  readonly immutable?: readonly string[]
  /** Warnings (HTTP Warning header) for a create or update. */
  warnings?(object: T, old: T | undefined): string[]
  /**
   * Whether two new objects are equal but for metadata, and the same in all of metadata that validate, validateCreate and warnings
   * look at, which then say of one what they say of the other. Asked of objects that are made again and again from one template;
   * absent: each is looked at.
   */
  alike?(object: T, other: T): boolean
  /**
   * Whether `validate` says of one object what it says of the other, when the two have the very same content: all but metadata and
   * status. Absent: when these are the same too, as far as clients set them.
   */
  sameForValidation?(object: T, other: T): boolean
  /**
   * Nothing of an object after metadata is changed where it stands when it is as in one that is valid already: neither by
   * `setDefaults`, which then is not even asked unless something but metadata and status is another, nor in preparing an update. Updates
   * then share with the stored object what they leave alone.
   */
  readonly sharesContent?: boolean
  /** A create may set the status although the kind has the status subresource: nodes. */
  readonly keepsStatusOnCreate?: boolean
  /** An update may create the object (PUT to a name that is not there): leases, events, endpoints and few others. */
  readonly allowCreateOnUpdate?: boolean
  /** PUT without resourceVersion is allowed (most kinds). Default true. */
  readonly allowUnconditionalUpdate?: boolean
  /**
   * Grace period in seconds for a DELETE that asked for `requested` (undefined: not said); undefined: delete at once.
   * Pods only, among the built-in kinds.
   */
  gracePeriod?(object: T, requested: number | undefined): number | undefined
  /** Default for deletions that don't say: `background` for nearly all, `orphan` for legacy ones. */
  readonly defaultPropagation?: 'background' | 'orphan'
  readonly columns?: readonly Column<T>[]
  /** What a table says of the object beside its cells. */
  rowConditions?(object: T): readonly RowCondition[]
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields?: Readonly<Record<string, FieldReader<T>['read']>>
  /** How a field selector for any other field is refused. Default: `field label not supported: x`. */
  unsupportedField?(field: string): string
  /** metadata.generation is kept (spec'd kinds). Default: true when the schema has `spec`. */
  readonly hasGeneration?: boolean
  /** Where `scale` reads and writes. */
  readonly scale?: {
    readonly specReplicas: string
    readonly statusReplicas: string
    /** The selector as text, for HPA. */
    selector(object: T): string
  }
  /** For a second version of a kind stored in another: conversion to and from the storage version. Default: only apiVersion differs. */
  readonly convert?: { toStorage(object: T): KubeObject; fromStorage(object: KubeObject): T }
  /** `group/version/plural` id of the kind that it is stored as, when not itself. */
  readonly storedAs?: string
}

export interface Kind<T extends KubeObject = KubeObject> {
  /** `apps/v1/deployments`; the core group is called `core` here. */
  readonly id: string
  readonly group: string
  readonly version: string
  /** `apps/v1`, or `v1`. */
  readonly apiVersion: string
  readonly kind: string
  readonly listKind: string
  /** The plural: `deployments`. What the API conventions call the resource. */
  readonly resource: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly verbs: readonly string[]
  readonly subresources: readonly SubresourceFacts[]
  /** Compiled on first use. */
  readonly schema: () => StructSchema
  readonly strategy: Strategy<T>
  /** Key prefix in the store, without trailing slash: `/registry/deployments`. As Kubernetes lays it out in etcd. */
  readonly storagePrefix: string
  readonly custom: boolean
  /** The schema of a custom kind as its definition has it, for OpenAPI documents. */
  readonly published?: PublishedSchema
  /** Only in the type: ties Kind<T> to T. */
  readonly objectType?: T
}

// Where Kubernetes' etcd layout differs from the plural (kubernetes/kubernetes: storage factory's special paths).
const storagePrefixes: Readonly<Record<string, string>> = {
  'core/v1/replicationcontrollers': '/registry/controllers',
  'core/v1/endpoints': '/registry/services/endpoints',
  'core/v1/services': '/registry/services/specs',
  'core/v1/nodes': '/registry/minions',
  'networking.k8s.io/v1/ingresses': '/registry/ingress',
  'networking.k8s.io/v1/ingressclasses': '/registry/ingressclasses',
  'policy/v1/poddisruptionbudgets': '/registry/poddisruptionbudgets',
  'apiextensions.k8s.io/v1/customresourcedefinitions': '/registry/apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/v1/apiservices': '/registry/apiregistration.k8s.io/apiservices',
}

/** A built-in kind: facts by `<group or core>/<version>/<plural>`, behaviour by hand. */
export function defineKind<T extends KubeObject>(id: string, strategy: Strategy<T> = {}): Kind<T> {
  const facts = resources[id]
  if (facts === undefined) throw new Error(`assertion failed: no API resource ${id}`)
  return kindFromFacts(id, facts, strategy)
}

function kindFromFacts<T extends KubeObject>(id: string, facts: ResourceFacts, strategy: Strategy<T>): Kind<T> {
  const apiVersion = facts.group === '' ? facts.version : `${facts.group}/${facts.version}`
  let schema: StructSchema | undefined
  return {
    id,
    group: facts.group,
    version: facts.version,
    apiVersion,
    kind: facts.kind,
    listKind: facts.listKind ?? `${facts.kind}List`,
    resource: facts.resource,
    singular: facts.singular,
    shortNames: facts.shortNames,
    categories: facts.categories,
    namespaced: facts.namespaced,
    verbs: facts.verbs,
    subresources: facts.subresources,
    schema: () => {
      schema ??= builtinSchema(apiVersion, facts.kind)
      return schema
    },
    strategy,
    storagePrefix: storagePrefixes[strategy.storedAs ?? id] ?? `/registry/${facts.resource}`,
    custom: false,
  }
}

/** The store's key of an object. Names were checked before they come here. */
export function storageKey(kind: Kind, namespace: string, name: string): string {
  return kind.namespaced ? `${kind.storagePrefix}/${namespace}/${name}` : `${kind.storagePrefix}/${name}`
}

/** A column whose cell is computed. */
export function column<T>(
  name: string,
  cell: Column<T>['cell'],
  options: Partial<Pick<Column<T>, 'type' | 'format' | 'priority' | 'description'>> = {},
): Column<T> {
  return { name, type: options.type ?? 'string', priority: options.priority ?? 0, cell, ...options }
}
