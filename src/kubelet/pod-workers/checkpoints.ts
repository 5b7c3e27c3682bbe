// The pods this node runs, as last seen from the API, on disk: what an agent goes by that starts while the API is away, and
// what tells it how to end a pod that was deleted meanwhile. One file for each pod, readable by root alone.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '#api/generated/core-v1'

const fileBytesMax = 4 * 1024 * 1024

export interface Checkpoints {
  /** Writes the pod down when its spec or deletion has changed since the last time. */
  save(pod: Pod): Promise<void>
  remove(podUid: string): Promise<void>
  load(): Promise<Pod[]>
}

export function createCheckpoints(directory: string): Checkpoints {
  const saved = new Map<string, string>()
  let writes = 0
  const path = (podUid: string): string => join(directory, `${podUid}.json`)
  return {
    async save(pod) {
      const { uid, generation, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
      // The phase counts: a pod that has ended must not begin again.
      const version = `${generation} ${deletionTimestamp} ${deletionGracePeriodSeconds} ${pod.status?.phase} ${readyNames(pod)}`
      if (saved.get(uid) === version) return
      saved.set(uid, version)
      // Not synced: the API has it all, and a file torn by a power cut is dropped when it is read.
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const temporary = `${path(uid)}.${++writes}.tmp`
      await writeFile(temporary, JSON.stringify(pod), { mode: 0o600 })
      await rename(temporary, path(uid))
    },
    async remove(podUid) {
      saved.delete(podUid)
      await rm(path(podUid), { force: true })
    },
    async load() {
      const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      const pods: Pod[] = []
      for (const name of names) {
        if (name.endsWith('.tmp')) await rm(join(directory, name), { force: true })
        if (!name.endsWith('.json')) continue
        const pod = await readPod(join(directory, name))
        // A file that cannot be read is worth nothing; the API tells the rest.
        if (pod === undefined || `${pod.metadata.uid}.json` !== name) await rm(join(directory, name), { force: true })
        else pods.push(pod)
      }
      return pods
    },
  }
}

function readyNames(pod: Pod): string {
  return (pod.status?.containerStatuses ?? []).map((c) => `${c.containerID}:${c.ready}`).join(',')
}

async function readPod(path: string): Promise<Pod | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > fileBytesMax) return undefined
    const pod = JSON.parse(text) as Partial<Pod>
    return pod.metadata?.uid === undefined || pod.spec?.containers === undefined ? undefined : (pod as Pod)
  } catch {
    return undefined
  }
}
