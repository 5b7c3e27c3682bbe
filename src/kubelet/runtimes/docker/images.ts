// Images in the Docker engine.
import type { Clock } from '#base/clock'
import { pullErrorCode } from '../pull-error.ts'
import { type ImageInfo, type RegistryAuth, RuntimeError } from '../runtime.ts'
import { type DockerClient, DockerError } from './client.ts'

interface InspectedImage {
  readonly Id: string
  readonly RepoTags?: readonly string[] | null
  readonly RepoDigests?: readonly string[] | null
  readonly Size: number
  readonly Config?: { readonly User?: string } | null
}

export interface DockerImages {
  status(image: string): Promise<ImageInfo | undefined>
  pull(image: string, auth: RegistryAuth | undefined, signal?: AbortSignal): Promise<string>
  list(): Promise<ImageInfo[]>
  remove(image: string): Promise<void>
  /** Bytes of all layers. Costly for the engine: asked at most once a minute. */
  usedBytes(): Promise<number>
  /** What a container of this image id reports as its image: a repository digest, else the id. */
  referenceOf(imageId: string): Promise<string>
}

const usageAgeMaxMs = 60_000
const referencesMax = 1_000

/** The verbs on images. */
export function openDockerImages(client: DockerClient, clock: Clock): DockerImages {
  let usage: { at: number; bytes: number } | undefined
  const references = new Map<string, string>()
  const changed = (): void => {
    usage = undefined
    references.clear()
  }
  const status = async (image: string): Promise<ImageInfo | undefined> => {
    try {
      return infoFrom(await client.call<InspectedImage>('GET', `/images/${pathOf(image)}/json`))
    } catch (error) {
      if (error instanceof DockerError && error.status === 404) return undefined
      throw error
    }
  }
  return {
    status,
    async pull(image, auth, signal) {
      const { name, tag } = splitReference(image)
      const response = await client
        .stream('POST', '/images/create', {
          query: { fromImage: name, tag },
          signal,
          timeoutMs: Number.POSITIVE_INFINITY,
          headers: auth === undefined ? {} : { 'X-Registry-Auth': authHeader(auth) },
        })
        .catch((error: unknown) => {
          throw pullError(error)
        })
      await followPull(response)
      changed()
      const pulled = await status(image)
      if (pulled === undefined) throw new RuntimeError('imagePullFailed', `image "${image}" was pulled but is not there`)
      return pulled.id
    },
    async list() {
      const found = await client.call<InspectedImage[]>('GET', '/images/json')
      return found.map(infoFrom)
    },
    async remove(image) {
      changed()
      try {
        await client.call('DELETE', `/images/${pathOf(image)}`, { query: { force: true } })
      } catch (error) {
        if (!(error instanceof DockerError && error.status === 404)) throw error
      }
    },
    async usedBytes() {
      if (usage === undefined || clock.monotonic() - usage.at > usageAgeMaxMs) {
        const { LayersSize } = await client.call<{ LayersSize?: number }>('GET', '/system/df', { query: { type: 'image' } })
        usage = { at: clock.monotonic(), bytes: LayersSize ?? 0 }
      }
      return usage.bytes
    },
    async referenceOf(imageId) {
      const known = references.get(imageId)
      if (known !== undefined) return known
      const image = await status(imageId)
      const reference = image?.repoDigests[0] ?? imageId
      if (references.size >= referencesMax) references.clear()
      references.set(imageId, reference)
      return reference
    },
  }
}

/** Name and tag (or digest) of a reference; a digest wins, and without either the tag is `latest`. */
export function splitReference(image: string): { name: string; tag: string } {
  const at = image.indexOf('@')
  const named = at < 0 ? image : image.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const name = colon < 0 ? named : named.slice(0, colon)
  if (at >= 0) return { name, tag: image.slice(at + 1) }
  return { name, tag: colon < 0 ? 'latest' : named.slice(colon + 1) }
}

function pullError(error: unknown): unknown {
  if (!(error instanceof DockerError)) return error
  return new RuntimeError(pullErrorCode(error.message), error.message, { cause: error })
}

const progressLineBytesMax = 1_048_576

// The answer is 200 before anything is known; what went wrong comes as one of its lines.
async function followPull(response: AsyncIterable<Buffer>): Promise<void> {
  let rest = ''
  for await (const chunk of response) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > progressLineBytesMax) throw new RuntimeError('imagePullFailed', 'Docker wrote a progress line without end')
    for (const line of lines) check(line)
  }
  check(rest)
}

function check(line: string): void {
  if (line.trim() === '') return
  const { error } = JSON.parse(line) as { error?: string }
  if (error !== undefined) throw new RuntimeError(pullErrorCode(error), error)
}

function authHeader(auth: RegistryAuth): string {
  const { username, password, identityToken, registryToken, serverAddress } = auth
  const body = { username, password, identitytoken: identityToken, registrytoken: registryToken, serveraddress: serverAddress }
  return Buffer.from(JSON.stringify(body)).toString('base64url')
}

/** The reference as a path segment or several; its slashes are Docker's. One that would lead elsewhere is refused. */
function pathOf(image: string): string {
  if (image.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw new RuntimeError('invalid', `couldn't parse image name "${image}": invalid reference format`)
  }
  return image.split('/').map(encodeURIComponent).join('/').replaceAll('%3A', ':').replaceAll('%40', '@')
}

function infoFrom(image: InspectedImage): ImageInfo {
  const user = (image.Config?.User ?? '').split(':')[0] ?? ''
  return {
    id: image.Id,
    repoTags: (image.RepoTags ?? []).filter((t) => t !== '<none>:<none>'),
    repoDigests: (image.RepoDigests ?? []).filter((d) => d !== '<none>@<none>'),
    sizeBytes: image.Size,
    ...(user === '' ? {} : /^\d+$/.test(user) ? { uid: Number(user) } : { username: user }),
    pinned: false,
  }
}
