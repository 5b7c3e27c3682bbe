// Builds a container image without a builder: one tar file that is an OCI image layout and carries docker's manifest.json besides, so
// that containerd (`ctr images import`), Docker (`docker load`) and skopeo all take it. The same input gives the same digest.
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { ArchivedImage } from './image-archive.ts'
import type { Architecture } from './pause-binary.ts'
import { type FileSource, type TarEntry, writeTar } from './tar.ts'

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
  /** What is said here replaces what the base says, but Env, Labels and ExposedPorts add to it. */
  readonly process: ImageProcess
  /** An image whose layers come first. */
  readonly base?: ArchivedImage
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
  readonly source: FileSource
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly diffId: string
  readonly history: object
}

interface ImageConfig {
  readonly architecture: string
  readonly config?: ImageProcess
  readonly history?: readonly { readonly empty_layer?: boolean }[]
  readonly rootfs: { readonly diff_ids: readonly string[] }
}

const epoch = '1970-01-01T00:00:00Z'

/** Writes the image's archive to `path`, whole or not at all. Layers pass through files beside it, never through memory. */
export async function buildImage(spec: ImageSpec, path: string): Promise<BuiltImage> {
  const work = `${path}.work-${process.pid}`
  await mkdir(work, { recursive: true })
  try {
    const base = spec.base === undefined ? undefined : await readBase(spec.base, spec.architecture)
    const layers: Blob[] = [...(base?.layers ?? [])]
    for (const [index, layer] of spec.layers.entries()) layers.push(await writeLayer(layer, spec, join(work, String(index))))
    const process = base === undefined ? spec.process : overBase(base.process, spec.process)
    const built = await writeArchive({ ...spec, process }, layers, join(work, 'image.tar'))
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
  return {
    source: { path },
    mediaType: `application/vnd.oci.image.layer.v1.tar${spec.compression === 'gzip' ? '+gzip' : ''}`,
    size: (await stat(path)).size,
    digest: stored.digest('hex'),
    diffId: plain.digest('hex'),
    history: { created: epoch, created_by: 'navarch', comment: layer.comment },
  }
}

async function readBase(base: ArchivedImage, architecture: Architecture): Promise<{ layers: Blob[]; process: ImageProcess }> {
  const [configBlob, ...layerBlobs] = base.blobs
  const chunks: Uint8Array[] = []
  for await (const chunk of configBlob!.read()) chunks.push(chunk)
  const config = JSON.parse(Buffer.concat(chunks).toString()) as ImageConfig
  if (config.architecture !== architecture) throw new Error(`${base.reference} is for ${config.architecture}, not for ${architecture}`)
  const history = (config.history ?? []).filter((entry) => entry.empty_layer !== true)
  const layers = layerBlobs.map((blob, index): Blob => {
    const { digest, size, mediaType } = blob
    const diffId = config.rootfs.diff_ids[index]!.replace('sha256:', '')
    return {
      source: blob,
      digest: digest.replace('sha256:', ''),
      size,
      mediaType: ociLayerType(mediaType),
      diffId,
      history: history[index] ?? {},
    }
  })
  return { layers, process: config.config ?? {} }
}

// The same bytes under the name that an OCI manifest gives them.
function ociLayerType(mediaType: string): string {
  if (mediaType === 'application/vnd.docker.image.rootfs.diff.tar.gzip') return 'application/vnd.oci.image.layer.v1.tar+gzip'
  return mediaType === 'application/vnd.docker.image.rootfs.diff.tar' ? 'application/vnd.oci.image.layer.v1.tar' : mediaType
}

function overBase(base: ImageProcess, own: ImageProcess): ImageProcess {
  const names = new Set(own.Env?.map((variable) => variable.split('=', 1)[0]))
  const inherited = (base.Env ?? []).filter((variable) => !names.has(variable.split('=', 1)[0]))
  // Arguments for the base's entrypoint mean nothing to another one.
  const arguments_ = own.Entrypoint !== undefined && own.Cmd === undefined ? { Cmd: undefined } : {}
  return {
    ...base,
    ...own,
    ...arguments_,
    Env: [...inherited, ...(own.Env ?? [])],
    Labels: { ...base.Labels, ...own.Labels },
    ExposedPorts: { ...base.ExposedPorts, ...own.ExposedPorts },
  }
}

async function writeArchive(spec: ImageSpec, layers: readonly Blob[], path: string): Promise<Pick<BuiltImage, 'digest' | 'configDigest'>> {
  const config = json({
    architecture: spec.architecture,
    config: spec.process,
    created: epoch,
    history: layers.map((layer) => layer.history),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.diffId}`) },
  })
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${sha256(config)}`, size: config.length },
    layers: layers.map((layer) => ({ mediaType: layer.mediaType, digest: `sha256:${layer.digest}`, size: layer.size })),
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
  const blobs = new Map(layers.map((layer) => [layer.digest, layer.source]))
  await pipeline(
    writeTar([
      file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
      file('index.json', index),
      file('manifest.json', forDocker),
      { kind: 'directory', path: 'blobs' },
      { kind: 'directory', path: 'blobs/sha256' },
      file(blobPath(sha256(manifest)), manifest),
      file(blobPath(sha256(config)), config),
      ...[...blobs].map(([digest, source]): TarEntry => ({ kind: 'file', path: blobPath(digest), source })),
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
