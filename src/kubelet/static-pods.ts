// Static pods: manifests in a directory of the node, run whether or not the API is there; the API gets a mirror of each to look at
// (documentation: "Create static Pods"). Every pod gets its uid from its manifest, so a changed manifest is another pod.
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { isApiError } from '#api/errors'
import type { Node, Pod as PodV1 } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { keyOf } from '#api/object'
import { configHashAnnotation, configSourceAnnotation, isMirrorPod, isStaticPod, mirrorPodAnnotation } from '#api/pods'
import type { Clock, Timer } from '#base/clock'
import type { Client } from '#client/client'
import type { Informer } from '#client/informer'
import type { Log } from './deps.ts'
import type { PodWorkers } from './pod-workers/pod-workers.ts'

const fileBytesMax = 1024 * 1024
const filesMax = 500
const rereadEveryMs = 20_000
// Editors write a file in several steps.
const settleMs = 100

export interface StaticPodsDeps {
  readonly manifestDir: string
  readonly nodeName: string
  readonly client: Client
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly workers: Pick<PodWorkers, 'add' | 'all' | 'get'>
  /** The pods that the API binds to this node, mirrors among them. */
  readonly informer: Informer<PodV1>
  readonly node: () => Node | undefined
  /** A mirror came, went or was exchanged: the status goes there from now on. */
  readonly onMirror: (podUid: string) => void
}

export interface StaticPods {
  /** Reads the directory once; afterwards every static pod has its worker. */
  start(): Promise<void>
  /** Follows the directory and the mirrors until the signal aborts. */
  run(): Promise<void>
  /** The uid under which the API knows a static pod; undefined while it has no mirror. */
  mirrorUid(pod: PodV1): string | undefined
}

export function createStaticPods(deps: StaticPodsDeps): StaticPods {
  const { client, clock, informer, log, manifestDir, nodeName, signal, workers } = deps
  /** By uid. */
  let wanted = new Map<string, PodV1>()

  async function read(): Promise<Map<string, PodV1>> {
    const pods = new Map<string, PodV1>()
    const names = await readdir(manifestDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    for (const name of names.filter((n) => !n.startsWith('.') && /\.(ya?ml|json)$/.test(n)).slice(0, filesMax)) {
      try {
        const text = await readFile(join(manifestDir, name), 'utf8')
        if (text.length > fileBytesMax) throw new Error(`the manifest is larger than ${fileBytesMax} bytes`)
        const pod = staticPod(text, name, nodeName)
        pods.set(pod.metadata.uid, pod)
      } catch (error) {
        log.warn('a static pod manifest cannot be used', { file: name, error: error instanceof Error ? error.message : String(error) })
      }
    }
    return pods
  }

  async function sync(): Promise<void> {
    wanted = await read()
    const leaving = workers.all().filter((w) => isStaticPod(w.pod) && !wanted.has(w.pod.metadata.uid))
    for (const worker of leaving) worker.gone()
    for (const pod of wanted.values()) {
      if (workers.get(pod.metadata.uid) !== undefined) continue
      // Of one name only one runs: the new one waits until the old one has gone.
      const before = leaving.filter((w) => keyOf(w.pod) === keyOf(pod)).map((w) => w.done)
      void Promise.all(before).then(() => {
        if (wanted.has(pod.metadata.uid) && !signal.aborted) workers.add(pod)
      })
    }
    await mirror()
  }

  function mirrorOf(pod: PodV1): PodV1 | undefined {
    const found = informer.get(keyOf(pod))
    return found !== undefined && isMirrorPod(found) ? found : undefined
  }

  /** Makes the API's mirrors equal the static pods. */
  async function mirror(): Promise<void> {
    const node = deps.node()
    if (!informer.synced || node === undefined) return
    const byKey = new Map([...wanted.values()].map((pod) => [keyOf(pod), pod]))
    for (const found of informer.list()) {
      const pod = byKey.get(keyOf(found))
      const hash = pod?.metadata.annotations?.[configHashAnnotation]
      if (isMirrorPod(found) && found.metadata.annotations?.[mirrorPodAnnotation] !== hash) await removeMirror(found)
    }
    for (const pod of wanted.values()) if (informer.get(keyOf(pod)) === undefined) await createMirror(pod, node)
  }

  async function removeMirror({ metadata }: PodV1): Promise<void> {
    const key = { namespace: metadata.namespace ?? '', name: metadata.name }
    await client.delete(Pod, key, { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } }).catch((error) => {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
    })
  }

  async function createMirror(pod: PodV1, node: Node): Promise<void> {
    const { uid: _uid, resourceVersion: _version, creationTimestamp: _created, ...metadata } = pod.metadata
    const annotations = { ...metadata.annotations, [mirrorPodAnnotation]: metadata.annotations?.[configHashAnnotation] ?? '' }
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node.metadata.uid, controller: true }
    const { status: _status, ...rest } = pod
    await client.create(Pod, { ...rest, metadata: { ...metadata, annotations, ownerReferences: [owner] } }).catch((error) => {
      if (!isApiError(error, 'AlreadyExists')) log.warn('creating a mirror pod failed', { pod: keyOf(pod), error: String(error) })
    })
  }

  return {
    start: sync,
    mirrorUid: (pod) => mirrorOf(pod)?.metadata.uid,
    async run() {
      let wake: () => void = () => undefined
      let due: Timer | undefined
      const soon = (): void => {
        due ??= clock.after(settleMs, () => {
          due = undefined
          wake()
        })
      }
      informer.subscribe(({ type, object, old }) => {
        // Our own reports on a mirror come back here; only another mirror is news.
        if (!isMirrorPod(object) || (type === 'updated' && old?.metadata.uid === object.metadata.uid)) return
        const pod = [...wanted.values()].find((p) => keyOf(p) === keyOf(object))
        if (pod !== undefined && type !== 'deleted') deps.onMirror(pod.metadata.uid)
        soon()
      })
      void informer.untilSynced(signal).then(soon, () => undefined)
      const watcher = watchDirectory(manifestDir, soon)
      try {
        while (!signal.aborted) {
          await new Promise<void>((resolve) => {
            const timer = clock.after(rereadEveryMs, resolve, { background: true })
            signal.addEventListener('abort', () => resolve(), { once: true })
            wake = () => {
              timer.cancel()
              resolve()
            }
          })
          if (!signal.aborted) await sync().catch((error) => log.warn('following static pods failed', { error: String(error) }))
        }
      } finally {
        due?.cancel()
        watcher?.close()
      }
    },
  }
}

function watchDirectory(directory: string, onChange: () => void): { close(): void } | undefined {
  try {
    return watch(directory, { persistent: false }, onChange).on('error', () => undefined)
  } catch {
    // Not there (yet): it is read now and then.
    return undefined
  }
}

/** The pod of a manifest, completed as Kubernetes' node agent completes it. Throws when it is none. */
export function staticPod(text: string, fileName: string, nodeName: string): PodV1 {
  const manifest = parse(text, { maxAliasCount: 100 }) as Partial<PodV1> | null
  if (manifest?.kind !== 'Pod' || manifest.apiVersion !== 'v1') throw new Error('the manifest is not a v1 Pod')
  if (!manifest.metadata?.name || !Array.isArray(manifest.spec?.containers)) throw new Error('the manifest has no name or no containers')
  const hash = createHash('sha256').update(`${nodeName}\n${fileName}\n${text}`).digest('hex').slice(0, 32)
  const pod: PodV1 = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...manifest.metadata,
      name: `${manifest.metadata.name}-${nodeName}`.toLowerCase(),
      namespace: manifest.metadata.namespace ?? 'default',
      uid: hash,
      resourceVersion: '',
      creationTimestamp: '',
      annotations: { ...manifest.metadata.annotations, [configHashAnnotation]: hash, [configSourceAnnotation]: 'file' },
    },
    spec: {
      ...manifest.spec,
      nodeName,
      tolerations: [...(manifest.spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    } as PodV1['spec'],
    status: { phase: 'Pending' },
  }
  Pod.strategy.setDefaults?.(pod)
  return pod
}
