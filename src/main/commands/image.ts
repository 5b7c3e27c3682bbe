// `navarch image …`: images in the node's engine, without internet.
import { existsSync } from 'node:fs'
import { systemClock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import type { Engine } from '#bootstrap/engine/engine'
import { importImages, listImages } from '#bootstrap/engine/engine-images'
import { Failure } from '../failure.ts'
import { existingCluster } from './existing-cluster.ts'

/** The engine of the cluster's node; fails for the simulated one, which holds no images. */
export function nodeEngine(config: ClusterConfig, paths: ClusterPaths): Engine {
  if (config.engine === 'docker') return { kind: 'docker', endpoint: config.dockerHost ?? '' }
  if (config.engine === 'fake') throw new Failure('the fake engine holds no images: every image is there')
  if (config.privateEngine) return { kind: 'containerd', endpoint: `unix://${privateContainerdPaths(paths.dataDir).socket}`, private: true }
  return { kind: 'containerd', endpoint: config.criEndpoint ?? '', private: false }
}

export async function importFiles(files: readonly string[], options: { dataDir: string }): Promise<void> {
  const { config, paths } = existingCluster(options.dataDir)
  for (const file of files) if (!existsSync(file)) throw new Failure(`there is no file ${file}`)
  const engine = nodeEngine(config, paths)
  for (const file of files) {
    const [result] = await importImages(engine, [file], { clock: systemClock })
    process.stdout.write(result?.already ? `there already: ${file}\n` : `imported ${file}\n`)
  }
}

export async function list(options: { dataDir: string; output: 'text' | 'json' }): Promise<void> {
  const { config, paths } = existingCluster(options.dataDir)
  const images = await listImages(nodeEngine(config, paths), { clock: systemClock })
  if (options.output === 'json') {
    process.stdout.write(`${JSON.stringify(images, null, 2)}\n`)
    return
  }
  const rows = images.flatMap(({ id, tags, digests, bytes }) =>
    (tags.length > 0 ? tags : [digests[0] ?? '']).map((name) => [
      name,
      id.replace('sha256:', '').slice(0, 12),
      `${(bytes / 1e6).toFixed(1)} MB`,
    ]),
  )
  const table = [['IMAGE', 'ID', 'SIZE'], ...rows]
  const width = Math.max(...table.map(([name = '']) => name.length))
  for (const [name = '', id = '', size = ''] of table) process.stdout.write(`${name.padEnd(width)}  ${id.padEnd(12)}  ${size}\n`)
}
