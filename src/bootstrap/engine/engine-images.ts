// Images in a node's engine, without a registry: brought in from archives, and listed.
import type { Clock } from '#base/clock'
import { runCommand } from '#platform/process'
import { readImageArchive } from '../images/image-archive.ts'
import { dockerRequest } from './docker-request.ts'
import { type Engine, socketPath } from './engine.ts'
import { readFields } from './protobuf-fields.ts'
import { unaryCall } from './unary-call.ts'

/** An image as its engine shows it. `id` is the digest of its configuration. */
export interface EngineImage {
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly bytes: number
}

const importTimeoutMs = 600_000
const listTimeoutMs = 30_000

/** What became of one archive. */
export interface ImportedArchive {
  readonly file: string
  /** Whether the engine had all of its images already, under their names. */
  readonly already: boolean
}

/** Brings archives (OCI layouts or `docker save` files) into the engine, one after the other, without those whose images it has. */
export async function importImages(
  engine: Engine,
  files: readonly string[],
  options: { readonly clock: Clock },
): Promise<readonly ImportedArchive[]> {
  const present = new Set((await listImages(engine, options)).flatMap(({ id, tags }) => tags.map((tag) => `${tag} ${id}`)))
  const results: ImportedArchive[] = []
  for (const file of files) {
    // An archive that we cannot read is for the engine to judge.
    const images = await readImageArchive(file).catch(() => [])
    // The first blob of an image is its configuration, whose digest engines take for its id.
    const already = images.length > 0 && images.every(({ reference, blobs }) => present.has(`${reference} ${blobs[0]!.digest}`))
    if (!already && engine.kind === 'docker') await loadIntoDocker(engine.endpoint, file, options.clock)
    else if (!already) await loadIntoContainerd(socketPath(engine.endpoint), file)
    results.push({ file, already })
  }
  return results
}

/** All images of the engine that have a name, by their first tag. */
export async function listImages(engine: Engine, options: { readonly clock: Clock }): Promise<readonly EngineImage[]> {
  const images =
    engine.kind === 'docker' ? await dockerImages(engine.endpoint, options.clock) : await criImages(engine.endpoint, options.clock)
  const name = (image: EngineImage): string => image.tags[0] ?? image.digests[0] ?? ''
  return images.filter((image) => name(image) !== '').sort((a, b) => (name(a) < name(b) ? -1 : 1))
}

async function loadIntoContainerd(socket: string, file: string): Promise<void> {
  const { code, stderr } = await runCommand('ctr', ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', file])
  if (code !== 0) throw new Error(`${file}: ${stderr.trim()}`)
}

async function loadIntoDocker(endpoint: string, file: string, clock: Clock): Promise<void> {
  const call = { method: 'POST', path: '/images/load?quiet=1', bodyFile: file } as const
  const { status, body } = await dockerRequest(endpoint, call, { clock, timeoutMs: importTimeoutMs })
  // Docker answers 200 before it has read the archive; what went wrong is a message in the stream that follows.
  const trouble = body
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { error?: string; message?: string })
    .find((message) => message.error !== undefined || (status !== 200 && message.message !== undefined))
  if (status !== 200 || trouble !== undefined)
    throw new Error(`${file}: ${trouble?.error ?? trouble?.message ?? `Docker answered ${status}`}`)
}

async function dockerImages(endpoint: string, clock: Clock): Promise<EngineImage[]> {
  const { status, body } = await dockerRequest(endpoint, { method: 'GET', path: '/images/json' }, { clock, timeoutMs: listTimeoutMs })
  if (status !== 200) throw new Error(`Docker answered ${status} when asked for its images`)
  const listed = JSON.parse(body.toString()) as { Id: string; RepoTags?: string[] | null; RepoDigests?: string[] | null; Size: number }[]
  const named = (names: string[] | null | undefined): string[] => (names ?? []).filter((name) => !name.startsWith('<none>'))
  return listed.map((image) => ({ id: image.Id, tags: named(image.RepoTags), digests: named(image.RepoDigests), bytes: image.Size }))
}

// runtime.v1.ListImagesResponse: images = 1; Image: id = 1, repo_tags = 2, repo_digests = 3, size = 4.
async function criImages(endpoint: string, clock: Clock): Promise<EngineImage[]> {
  const options = { clock, timeoutMs: listTimeoutMs }
  const answer = await unaryCall(socketPath(endpoint), '/runtime.v1.ImageService/ListImages', new Uint8Array(), options)
  return readFields(answer)
    .filter((field) => field.number === 1)
    .map((field) => {
      const image = readFields(field.bytes)
      const texts = (number: number): string[] => image.filter((entry) => entry.number === number).map((entry) => entry.bytes.toString())
      return {
        id: texts(1)[0] ?? '',
        tags: texts(2),
        digests: texts(3),
        bytes: Number(image.find((entry) => entry.number === 4)?.value ?? 0n),
      }
    })
}
