// Keeps the catalog of kinds in step with the CustomResourceDefinitions: accepts their names, serves their versions, and empties
// those that go away.
import { ApiError } from '#api/errors'
import type { CustomResourceDefinitionNames } from '#api/generated/apiextensions-v1'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { stringifyJson } from '#api/schema/stringify'
import type { Clock } from '#base/clock'
import type { WebhookClient } from '../admission/webhooks/call-webhook.ts'
import type { MutableKindCatalog } from '../kind-catalog.ts'
import { internalCall } from '../registry/call.ts'
import type { Registries } from '../registry/registries.ts'
import { cloneJson } from '../registry/written.ts'
import type { CacheFeed } from '../watch-cache/cache-feed.ts'
import type { ConversionMeasures } from './conversion-metrics.ts'
import { customKind } from './custom-kind.ts'
import { cleanupFinalizer } from './definition-hooks.ts'
import { joinFamily } from './family.ts'
import { isEstablished, sameStatus, setCondition, statusOf } from './names.ts'
import { loadPatterns } from './patterns.ts'
import { compileRules } from './rules.ts'
import { createWebhookConverter } from './webhook-converter.ts'

export interface CustomKindsDeps {
  readonly registries: Registries
  readonly catalog: MutableKindCatalog
  readonly feed: CacheFeed
  readonly clock: Clock
  /** Asks the webhooks that convert objects. */
  readonly webhooks: WebhookClient
  readonly newUid: () => string
  /** Where conversions are counted and timed; absent: nowhere. */
  readonly measures?: ConversionMeasures
  readonly log?: (message: string, error?: unknown) => void
}

export interface CustomKinds {
  /** Resolves once the definitions that were there at the start are served. */
  readonly ready: Promise<void>
  close(): void
}

interface ServedDefinition {
  /** What the kinds were made of. */
  readonly signature: string
  readonly ids: readonly string[]
  readonly storage: Kind
}

function namesText({ plural, singular, kind, listKind, shortNames, categories }: CustomResourceDefinitionNames): string {
  return JSON.stringify([plural, singular, kind, listKind, shortNames, categories])
}

// Objects with finalizers go in their own time: looked for again after this.
const lookAgainMs = 1_000
const failedAgainMs = 5_000

/** Begins once the definitions are loaded. */
export function runCustomKinds(deps: CustomKindsDeps): CustomKinds {
  const { registries, catalog, feed, clock, webhooks, newUid, measures, log } = deps
  const registry = registries.of(CustomResourceDefinition)
  const served = new Map<string, ServedDefinition>()
  const stop = new AbortController()
  const call = internalCall('kube-apiserver', { signal: stop.signal })
  let running = false
  let again = false

  const builtIn = new Set(catalog.all().flatMap(({ custom, apiVersion }) => (custom ? [] : [apiVersion])))
  // Whether a built-in kind has its place.
  const isTaken = ({ id, apiVersion, kind }: Kind): boolean =>
    catalog.byId(id)?.custom === false || catalog.findByKind(apiVersion, kind)?.custom === false

  const pass = async (): Promise<void> => {
    const definitions = registry.cache.candidates({}).map((object) => object.object())
    const present = new Set(definitions.map(({ metadata }) => metadata.name))
    for (const [name, known] of served) if (!present.has(name)) withdraw(name, known)
    let wait = 0
    for (const definition of definitions) {
      if (stop.signal.aborted) return
      try {
        const waitMs = await reconcile(definition, definitions)
        if (waitMs > 0) wait = wait === 0 ? waitMs : Math.min(wait, waitMs)
      } catch (error) {
        log?.(`cannot serve the custom resource definition ${definition.metadata.name}`, error)
        wait = failedAgainMs
      }
    }
    if (wait > 0) clock.after(wait, schedule, { background: true })
  }

  // Milliseconds after which to look again; 0: when something changes.
  const reconcile = async (definition: CustomResourceDefinition, all: readonly CustomResourceDefinition[]): Promise<number> => {
    if (definition.metadata.deletionTimestamp !== undefined) {
      if (!definition.metadata.finalizers?.includes(cleanupFinalizer)) return 0
      // One that was never served has no objects; its name may be another's.
      if (isEstablished(definition)) await publish(definition)
      return empty(definition)
    }
    const status = statusOf(definition, all, clock.now())
    const accepted: CustomResourceDefinition = { ...definition, status }
    if (isEstablished(accepted)) await publish(accepted)
    if (!sameStatus(definition.status, status)) await writeStatus(definition, all)
    return 0
  }

  const publish = async (definition: CustomResourceDefinition): Promise<void> => {
    const { name, uid } = definition.metadata
    const { spec, status } = definition
    const signature = `${uid} ${stringifyJson(spec)} ${namesText(status.acceptedNames)}`
    const known = served.get(name)
    if (known?.signature === signature) return
    const kinds: Kind[] = []
    for (const version of spec.versions) {
      const schema = version.schema?.openAPIV3Schema
      const checked = schema !== undefined && version.served
      if (schema !== undefined) await loadPatterns(schema)
      kinds.push(customKind(definition, version, checked ? await compileRules(schema) : undefined))
    }
    if (stop.signal.aborted) return
    const storage = kinds.find((kind) => kind.strategy.storedAs === undefined)!
    const webhook = spec.conversion?.strategy === 'Webhook' ? spec.conversion.webhook : undefined
    const asking = { client: webhooks, newUid, ...(measures === undefined ? {} : { measures }) }
    joinFamily(kinds, storage, webhook === undefined ? undefined : createWebhookConverter(asking, webhook, name))
    // What is built in has its versions of groups for itself, whatever definitions say.
    const shown = kinds.filter(
      ({ version, apiVersion }) => !builtIn.has(apiVersion) && spec.versions.some((one) => one.served && one.name === version),
    )
    if (isTaken(storage)) {
      for (const id of known?.ids ?? []) catalog.remove(id)
      served.set(name, { signature, ids: [], storage })
      return
    }
    // The storage version comes first: the others are stored as it.
    catalog.add(storage)
    for (const kind of shown) if (kind !== storage) catalog.add(kind)
    registries.of(storage)
    for (const id of known?.ids ?? []) if (id !== storage.id && !shown.some((kind) => kind.id === id)) catalog.remove(id)
    if (!shown.includes(storage)) catalog.hide(storage.id)
    served.set(name, { signature, ids: [storage, ...shown].map(({ id }) => id), storage })
  }

  const withdraw = (name: string, { ids, storage }: ServedDefinition): void => {
    for (const id of ids) catalog.remove(id)
    feed.remove(storage)
    served.delete(name)
  }

  const writeStatus = (definition: CustomResourceDefinition, all: readonly CustomResourceDefinition[]): Promise<unknown> =>
    registry.update(
      { namespace: '', name: definition.metadata.name },
      {
        subresource: 'status',
        createIfMissing: false,
        make: (old) => ({ ...cloneJson(old!), status: statusOf(old!, all, clock.now()) }),
      },
      call,
    )

  const tellTermination = async (
    { metadata, status }: CustomResourceDefinition,
    ongoing: 'True' | 'False',
    reason: string,
    message: string,
  ): Promise<void> => {
    const known = status.conditions?.find(({ type }) => type === 'Terminating')
    if (known?.reason === reason && known.message === message) return
    const make = (old: CustomResourceDefinition | undefined): CustomResourceDefinition => {
      const next = cloneJson(old!)
      next.status.conditions ??= []
      setCondition(next.status.conditions, 'Terminating', ongoing, reason, message, clock.now())
      return next
    }
    await registry.update({ namespace: '', name: metadata.name }, { subresource: 'status', createIfMissing: false, make }, call)
  }

  const empty = async (definition: CustomResourceDefinition): Promise<number> => {
    const storage = isEstablished(definition) ? served.get(definition.metadata.name)?.storage : undefined
    if (storage !== undefined) {
      await tellTermination(definition, 'True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress')
      const { left, failure } = await removeObjects(storage)
      if (failure !== undefined) {
        await tellTermination(definition, 'True', 'InstanceDeletionFailed', `could not issue all deletes: ${failure}`)
        return failedAgainMs
      }
      if (left > 0) return lookAgainMs
      await tellTermination(definition, 'False', 'InstanceDeletionCompleted', 'removed all instances')
    } else await tellTermination(definition, 'False', 'NeverEstablished', 'resource was never established')
    await registry.update(
      { namespace: '', name: definition.metadata.name },
      {
        subresource: '',
        createIfMissing: false,
        make(old) {
          const next = cloneJson(old!)
          next.metadata.finalizers = next.metadata.finalizers?.filter((finalizer) => finalizer !== cleanupFinalizer) ?? []
          return next
        },
      },
      call,
    )
    return 0
  }

  // How many are left, and why one of them could not be deleted.
  const removeObjects = async (kind: Kind): Promise<{ left: number; failure: string | undefined }> => {
    const objects = registries.of(kind)
    await objects.cache.untilReady(stop.signal)
    let failure: string | undefined
    for (const { namespace, name } of objects.cache.candidates({})) {
      try {
        await objects.delete({ namespace, name }, {}, call)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        if (error.reason !== 'NotFound') failure ??= error.message
      }
    }
    return { left: objects.cache.size, failure }
  }

  const run = async (): Promise<void> => {
    if (running) {
      again = true
      return
    }
    running = true
    try {
      do {
        again = false
        await pass()
      } while (again && !stop.signal.aborted)
    } finally {
      running = false
    }
  }
  const schedule = (): void => {
    if (stop.signal.aborted) return
    run().catch((error: unknown) => log?.('cannot look through the custom resource definitions', error))
  }

  const ready = registry.cache.untilReady(stop.signal).then(run)
  const unsubscribe = registry.cache.onChange(schedule)
  return {
    ready,
    close() {
      stop.abort()
      unsubscribe()
    },
  }
}
