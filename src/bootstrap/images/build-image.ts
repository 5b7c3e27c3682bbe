// Builds a container image without a builder: one tar file that is an OCI image layout and carries docker's manifest.json besides, so
// that containerd (`ctr images import`), Docker (`docker load`) and skopeo all take it. The same input gives the same digest.
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Architecture } from './pause-binary.ts'
import { type TarEntry, writeTar } from './tar.ts'

/** The process an image starts, in the words of the OCI image specification ("config"). */
export interface ImageProcess {
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Env?: readonly string[]
  readonly WorkingDir?: string
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>
  readonly StopSignal?: string
  readonly Labels?: Readonly<Record<string, string>>
}

/** One layer: files that are laid over the layers before it. */
export interface ImageLayer {
  readonly comment: string
  readonly entries: readonly TarEntry[]
}

/** What an image is made of. `reference` is its full name with a tag, such as `navarch.local/web:v1`. */
export interface ImageSpec {
  readonly reference: string
  readonly architecture: Architecture
  readonly layers: readonly ImageLayer[]
  readonly process: ImageProcess
  /** How layers are stored; 'none' when left out: archives on the same disk gain nothing from compression. */
  readonly compression?: 'none' | 'gzip'
}

/** A finished archive. `digest` is that of the image's manifest, `configDigest` what engines show as the image's id. */
export interface BuiltImage {
  readonly reference: string
  readonly path: string
  readonly digest: string
  readonly configDigest: string
}

interface Blob {
  readonly path: string
  readonly digest: string
  readonly size: number
  readonly diffId: string
}

const epoch = '1970-01-01T00:00:00Z'

/** Writes the image's archive to `path`, whole or not at all. Layers pass through files beside it, never through memory. */
export async function buildImage(spec: ImageSpec, path: string): Promise<BuiltImage> {
  const work = `${path}.work-${process.pid}`
  await mkdir(work, { recursive: true })
  try {
    const layers: Blob[] = []
    for (const [index, layer] of spec.layers.entries()) layers.push(await writeLayer(layer, spec, join(work, String(index))))
    const built = await writeArchive(spec, layers, join(work, 'image.tar'))
    await mkdir(dirname(path), { recursive: true })
    await rename(join(work, 'image.tar'), path)
    return { reference: spec.reference, path, ...built }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function writeLayer(layer: ImageLayer, spec: ImageSpec, path: string): Promise<Blob> {
  const plain = createHash('sha256')
  const stored = createHash('sha256')
  async function* hashed(source: AsyncIterable<Uint8Array>, hash: typeof plain): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk)
      yield chunk
    }
  }
  const archive = hashed(writeTar(layer.entries), plain)
  const sink = createWriteStream(path)
  if (spec.compression === 'gzip') {
    await pipeline(archive, createGzip(), (zipped: AsyncIterable<Uint8Array>) => hashed(zipped, stored), sink)
  } else await pipeline(archive, (same: AsyncIterable<Uint8Array>) => hashed(same, stored), sink)
  return { path, size: (await stat(path)).size, digest: stored.digest('hex'), diffId: plain.digest('hex') }
}

async function writeArchive(spec: ImageSpec, layers: readonly Blob[], path: string): Promise<Pick<BuiltImage, 'digest' | 'configDigest'>> {
  const config = json({
    architecture: spec.architecture,
    config: spec.process,
    created: epoch,
    history: spec.layers.map((layer) => ({ created: epoch, created_by: 'navarch', comment: layer.comment })),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.diffId}`) },
  })
  const mediaType = `application/vnd.oci.image.layer.v1.tar${spec.compression === 'gzip' ? '+gzip' : ''}`
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${sha256(config)}`, size: config.length },
    layers: layers.map((layer) => ({ mediaType, digest: `sha256:${layer.digest}`, size: layer.size })),
  })
  const index = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: `sha256:${sha256(manifest)}`,
        size: manifest.length,
        annotations: { 'io.containerd.image.name': spec.reference, 'org.opencontainers.image.ref.name': spec.reference },
        platform: { architecture: spec.architecture, os: 'linux' },
      },
    ],
  })
  const blobPath = (digest: string): string => `blobs/sha256/${digest}`
  const forDocker = json([
    {
      Config: blobPath(sha256(config)),
      RepoTags: [spec.reference],
      Layers: layers.map((layer) => blobPath(layer.digest)),
    },
  ])
  const file = (name: string, bytes: Uint8Array | string): TarEntry => ({ kind: 'file', path: name, source: { bytes } })
  const blobs = new Map(layers.map((layer) => [layer.digest, layer.path]))
  await pipeline(
    writeTar([
      file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
      file('index.json', index),
      file('manifest.json', forDocker),
      { kind: 'directory', path: 'blobs' },
      { kind: 'directory', path: 'blobs/sha256' },
      file(blobPath(sha256(manifest)), manifest),
      file(blobPath(sha256(config)), config),
      ...[...blobs].map(([digest, source]): TarEntry => ({ kind: 'file', path: blobPath(digest), source: { path: source } })),
    ]),
    createWriteStream(path),
  )
  return { digest: `sha256:${sha256(manifest)}`, configDigest: `sha256:${sha256(config)}` }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
