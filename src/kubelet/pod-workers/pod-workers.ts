// All pod workers of the node: one for each pod the API binds to it, and one for each pod that only the engine still knows,
// which it brings to its end. Nothing is ended for want of an API object before the API has been heard in full.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod as PodV1 } from '#api/generated/core-v1'
import type { Informer } from '#client/informer'
import { isAlive, type PodEngineState } from '../engine-state.ts'
import { podDirectories } from '../volumes/pod-volumes.ts'
import { PodWorker } from './pod-worker.ts'
import type { WorkerContext } from './worker-context.ts'

export interface PodWorkers {
  get(podUid: string): PodWorker | undefined
  find(namespace: string, name: string): PodWorker | undefined
  all(): readonly PodWorker[]
  /** Pods of the checkpoints that the engine still runs: they go on while the API is away. */
  resume(): Promise<void>
  /** Follows the API's pods; once they are all known, what is not among them ends. */
  follow(informer: Informer<PodV1>): void
  /** A pod from elsewhere than the API's list: static pods. */
  add(pod: PodV1): void
  /** Something of this pod changed in the engine or for its probes. */
  wake(podUid: string): void
  refreshVolumes(podUid: string): void
  /** Calls back whenever something of some pod has changed. Returns unsubscribe. */
  onChange(listener: (podUid: string) => void): () => void
  wakeAll(): void
  /** The agent ends. Resolves when no worker is in the middle of a step. */
  stop(): Promise<void>
  /** Ends what only the engine, the disk or the cgroups still know. Does nothing before the API's pods are known. */
  endOrphans(): Promise<void>
}

export interface PodWorkersDeps {
  readonly context: () => WorkerContext
  readonly podsDir: string
  readonly memoryDir: string
  readonly cgroupChildren: (path: string) => Promise<string[]>
  readonly removeCgroup: (path: string) => Promise<boolean>
}

export function createPodWorkers(deps: PodWorkersDeps): PodWorkers {
  const workers = new Map<string, PodWorker>()
  const listeners = new Set<(podUid: string) => void>()
  let apiKnown = false

  function startWorker(pod: PodV1): PodWorker {
    const worker = new PodWorker(deps.context(), pod)
    workers.set(pod.metadata.uid, worker)
    void worker.done.then(() => {
      if (workers.get(pod.metadata.uid) === worker) workers.delete(pod.metadata.uid)
    })
    return worker
  }

  function add(pod: PodV1): void {
    const worker = workers.get(pod.metadata.uid)
    if (worker === undefined) startWorker(pod).wake()
    else worker.update(pod)
  }

  function adopt(state: PodEngineState): void {
    if (workers.has(state.uid)) return
    deps.context().log.info('ending a pod that the API does not know', { pod: `${state.namespace}/${state.name}`, uid: state.uid })
    startWorker(orphanPod(state)).gone()
  }

  function isKnown(podUid: string): boolean {
    return workers.has(podUid)
  }

  async function removeDirectories(): Promise<void> {
    const context = deps.context()
    const uids = new Set([...(await podDirectories(deps.podsDir)), ...(await podDirectories(deps.memoryDir))])
    for (const uid of uids) {
      if (isKnown(uid) || isInEngine(uid)) continue
      await context.volumes
        .tearDown(uid)
        .catch((error) => context.log.warn('removing the files of a pod failed', { uid, error: String(error) }))
    }
    for (const name of await readdir(context.podLogsDir).catch(() => [])) {
      const uid = name.slice(name.lastIndexOf('_') + 1)
      if (name.split('_').length === 3 && !isKnown(uid) && !isInEngine(uid))
        await rm(join(context.podLogsDir, name), { recursive: true, force: true })
    }
    for (const pod of await context.checkpoints.load()) {
      if (!isKnown(pod.metadata.uid) && !isInEngine(pod.metadata.uid)) await context.checkpoints.remove(pod.metadata.uid)
    }
  }

  function isInEngine(podUid: string): boolean {
    return deps.context().engine.pod({ uid: podUid, name: '', namespace: '' }).sandboxes.length > 0
  }

  async function removeCgroups(): Promise<void> {
    const { options } = deps.context()
    const root = `${options.cgroupRoot === '' || options.cgroupRoot === '/' ? '' : options.cgroupRoot}/kubepods`
    for (const level of ['', '/burstable', '/besteffort']) {
      for (const name of await deps.cgroupChildren(`${root}${level}`)) {
        const uid = /^pod([0-9a-f-]+)$/.exec(name)?.[1]
        if (uid !== undefined && !isKnown(uid) && !isInEngine(uid)) await deps.removeCgroup(`${root}${level}/${name}`)
      }
    }
  }

  async function endOrphans(): Promise<void> {
    if (!apiKnown) return
    for (const state of deps.context().engine.pods()) adopt(state)
    await removeDirectories()
    await removeCgroups()
  }

  return {
    get: (podUid) => workers.get(podUid),
    find: (namespace, name) => {
      const found = [...workers.values()].filter((w) => w.pod.metadata.name === name && w.pod.metadata.namespace === namespace)
      // Of two of the same name the newer one is meant: the other is on its way out.
      return found.sort((a, b) => Number(a.stage === 'terminated') - Number(b.stage === 'terminated')).at(0)
    },
    all: () => [...workers.values()],
    add,
    async resume() {
      const context = deps.context()
      for (const pod of await context.checkpoints.load()) {
        const { uid, name, namespace = '' } = pod.metadata
        if (!workers.has(uid) && isAlive(context.engine.pod({ uid, name, namespace }))) add(pod)
      }
    },
    follow(informer) {
      informer.subscribe(({ type, object, old }) => {
        // A new pod under an old name arrives as an update.
        if (old !== undefined && old.metadata.uid !== object.metadata.uid) workers.get(old.metadata.uid)?.gone()
        if (type === 'deleted') {
          workers.get(object.metadata.uid)?.update(object)
          workers.get(object.metadata.uid)?.gone()
        } else if (!isMirror(object)) add(object)
      })
      void informer.untilSynced(deps.context().signal).then(
        () => {
          apiKnown = true
          const bound = new Set(informer.list().map((p) => p.metadata.uid))
          for (const [uid, worker] of workers) if (!bound.has(uid) && !isStatic(worker.pod)) worker.gone()
          void endOrphans().catch((error) => deps.context().log.warn('looking for what is left over failed', { error: String(error) }))
        },
        () => undefined,
      )
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    wake(podUid) {
      for (const listener of listeners) listener(podUid)
      const worker = workers.get(podUid)
      if (worker !== undefined) worker.wake()
      else if (apiKnown) {
        const state = deps.context().engine.pod({ uid: podUid, name: '', namespace: '' })
        if (isAlive(state)) adopt(state)
      }
    },
    refreshVolumes: (podUid) => workers.get(podUid)?.refreshVolumes(),
    wakeAll: () => {
      for (const worker of workers.values()) worker.wake()
    },
    async stop() {
      await Promise.allSettled([...workers.values()].map((worker) => worker.stop()))
    },
    endOrphans,
  }
}

function isMirror(pod: PodV1): boolean {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined
}

function isStatic(pod: PodV1): boolean {
  const source = pod.metadata.annotations?.['kubernetes.io/config.source']
  return source !== undefined && source !== 'api'
}

/** As much of a pod as the engine's labels tell: enough to end it. */
function orphanPod(state: PodEngineState): PodV1 {
  const names = [...new Set(state.containers.map((c) => c.name))]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: state.name, namespace: state.namespace, uid: state.uid, resourceVersion: '', creationTimestamp: '' },
    spec: {
      containers: names.map((name) => ({
        name,
        image: '',
        resources: {},
        terminationMessagePath: '',
        terminationMessagePolicy: 'File',
        imagePullPolicy: 'Never',
      })),
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'Default',
      securityContext: {},
      schedulerName: '',
    },
    status: {},
  }
}
