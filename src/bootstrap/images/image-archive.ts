// Reads image archives: OCI image layouts in a tar, and what `docker save` wrote before it wrote those.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Bytes in the archive: a blob with its digest and media type. */
export interface ArchiveBlob {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  /** Reads the blob, from the start, as often as it is called. */
  read(): AsyncIterable<Uint8Array>
}

/** One image of an archive, ready to be sent to a registry. */
export interface ArchivedImage {
  readonly reference: string
  readonly manifest: Buffer
  readonly manifestMediaType: string
  readonly blobs: readonly ArchiveBlob[]
}

interface TarFile {
  readonly offset: number
  readonly size: number
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
}

const jsonBytesMax = 4 << 20
const filesMax = 100_000
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'

/** The images of the archive at `path`, in its order. Fails with a sentence that names the file when it is no image archive. */
export async function readImageArchive(path: string): Promise<readonly ArchivedImage[]> {
  const handle = await open(path)
  try {
    const archive = { path, handle, files: await listTar(handle, path) }
    if (archive.files.has('index.json')) return await ociImages(archive)
    if (archive.files.has('manifest.json')) return await dockerImages(archive)
    throw new Error(`${path} is not an image archive: it has neither index.json nor manifest.json`)
  } finally {
    await handle.close()
  }
}

interface Archive {
  readonly path: string
  readonly handle: FileHandle
  readonly files: ReadonlyMap<string, TarFile>
}

async function ociImages(archive: Archive): Promise<ArchivedImage[]> {
  const index = await readJson<{ manifests: Descriptor[] }>(archive, 'index.json')
  const images: ArchivedImage[] = []
  for (const entry of index.manifests) {
    const annotations = entry.annotations ?? {}
    const reference = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'] ?? ''
    if (entry.mediaType !== ociManifest && entry.mediaType !== dockerManifest) {
      throw new Error(`${archive.path}: ${reference || entry.digest} is for several platforms, which cannot be sent as one image`)
    }
    const manifest = await readAt(archive, blobPath(entry.digest))
    const { config, layers } = JSON.parse(manifest.toString()) as { config: Descriptor; layers: Descriptor[] }
    const blobs = [config, ...layers].map((blob) => archiveBlob(archive, blobPath(blob.digest), blob))
    images.push({ reference, manifest, manifestMediaType: entry.mediaType, blobs })
  }
  return images
}

async function dockerImages(archive: Archive): Promise<ArchivedImage[]> {
  const listed = await readJson<{ Config: string; RepoTags?: string[]; Layers: string[] }[]>(archive, 'manifest.json')
  const images: ArchivedImage[] = []
  for (const { Config, RepoTags, Layers } of listed) {
    const config = await digested(archive, Config, 'application/vnd.docker.container.image.v1+json')
    const layers: ArchiveBlob[] = []
    for (const name of Layers) layers.push(await digested(archive, name, 'application/vnd.docker.image.rootfs.diff.tar'))
    const describe = ({ mediaType, digest, size }: ArchiveBlob): Descriptor => ({ mediaType, digest, size })
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: dockerManifest, config: describe(config), layers: layers.map(describe) }),
    )
    images.push({ reference: RepoTags?.[0] ?? '', manifest, manifestMediaType: dockerManifest, blobs: [config, ...layers] })
  }
  return images
}

async function digested(archive: Archive, name: string, mediaType: string): Promise<ArchiveBlob> {
  const hash = createHash('sha256')
  const { size } = locate(archive, name)
  for await (const chunk of archiveBlob(archive, name, { mediaType, digest: '', size }).read()) hash.update(chunk)
  return archiveBlob(archive, name, { mediaType, digest: `sha256:${hash.digest('hex')}`, size })
}

function archiveBlob(archive: Archive, name: string, { mediaType, digest, size }: Descriptor): ArchiveBlob {
  const { path } = archive
  const file = locate(archive, name)
  if (file.size !== size) throw new Error(`${path}: ${name} has ${file.size} bytes instead of ${size}`)
  const read = (): AsyncIterable<Uint8Array> =>
    size === 0 ? emptyBytes() : createReadStream(path, { start: file.offset, end: file.offset + size - 1, highWaterMark: 1 << 18 })
  return { mediaType, digest, size, read }
}

async function* emptyBytes(): AsyncGenerator<Uint8Array> {}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

function locate(archive: Archive, name: string): TarFile {
  const file = archive.files.get(name)
  if (file === undefined) throw new Error(`${archive.path} holds no ${name}`)
  return file
}

async function readAt(archive: Archive, name: string): Promise<Buffer> {
  const { offset, size } = locate(archive, name)
  if (size > jsonBytesMax) throw new Error(`${archive.path}: ${name} is larger than ${jsonBytesMax} bytes`)
  const bytes = Buffer.alloc(size)
  await archive.handle.read(bytes, 0, size, offset)
  return bytes
}

async function readJson<T>(archive: Archive, name: string): Promise<T> {
  return JSON.parse((await readAt(archive, name)).toString()) as T
}

/** Where each regular file of the tar lies. Names longer than ustar holds come from pax headers or GNU's long-name entries. */
async function listTar(handle: FileHandle, path: string): Promise<Map<string, TarFile>> {
  const files = new Map<string, TarFile>()
  const header = Buffer.alloc(512)
  let longName: string | undefined
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(header, 0, 512, at)
    if (bytesRead < 512 || header[0] === 0) return files
    const text = (start: number, length: number): string => header.toString('utf8', start, start + length).replace(/\0.*$/s, '')
    const size = tarNumber(header.subarray(124, 136))
    if (text(257, 5) !== 'ustar' || !Number.isSafeInteger(size) || files.size >= filesMax)
      throw new Error(`${path} is not an image archive`)
    const type = text(156, 1)
    const offset = at + 512
    if (type === 'x' || type === 'L') {
      const body = Buffer.alloc(Math.min(size, 1 << 16))
      await handle.read(body, 0, body.length, offset)
      longName = type === 'L' ? body.toString().replace(/\0.*$/s, '') : /(?:^|\n)\d+ path=([^\n]*)\n/.exec(body.toString())?.[1]
    } else {
      const prefix = text(345, 155)
      const name = longName ?? (prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`)
      longName = undefined
      if (type === '0' || type === '') files.set(name.replace(/^\.\//, ''), { offset, size })
    }
    at = offset + Math.ceil(size / 512) * 512
  }
}

// Octal digits; or, in archives with files of more than 8 GiB, a binary number whose first bit is set.
function tarNumber(field: Buffer): number {
  if ((field[0]! & 0x80) !== 0) return Number(field.readBigUInt64BE(4))
  return Number.parseInt(field.toString('latin1').replace(/\0.*$/s, '').trim() || '0', 8)
}
