// `navarch image build` and `navarch image push`: images as archives, made from a directory and sent to a registry. Neither needs an engine.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { buildImage } from '#bootstrap/images/build-image'
import { directoryLayer } from '#bootstrap/images/directory-layer'
import { type ArchivedImage, readImageArchive } from '#bootstrap/images/image-archive'
import { architectureOf } from '#bootstrap/images/pause-binary'
import { pushImage, splitReference } from '#bootstrap/images/push-image'
import { Failure, usageFailure } from '../failure.ts'
import { importFiles } from './image.ts'

export interface BuildOptions {
  readonly dataDir: string
  readonly tag: string
  readonly output?: string
  readonly from?: string
  readonly to: string
  readonly entrypoint?: readonly string[]
  readonly cmd?: readonly string[]
  readonly env?: readonly string[]
  readonly user?: string
  readonly workdir?: string
  readonly expose?: readonly string[]
}

/** Makes an image of a directory, and writes it to a file or brings it into the node's engine. */
export async function build(directory: string, options: BuildOptions): Promise<void> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) throw new Failure(`there is no directory ${directory}`)
  checkReference(options.tag, '--tag')
  for (const variable of options.env ?? []) {
    if (!/^[^=]+=/.test(variable)) throw usageFailure(`--env ${variable}: write NAME=VALUE`)
  }
  const base = options.from === undefined ? undefined : await onlyImage(options.from)
  const ports = (options.expose ?? []).map((port) => [/\//.test(port) ? port : `${port}/tcp`, {}] as const)
  const spec = {
    reference: options.tag,
    architecture: architectureOf(process.arch),
    base,
    layers: [await directoryLayer(directory, options.to)],
    process: {
      ...(options.entrypoint && { Entrypoint: options.entrypoint }),
      ...(options.cmd && { Cmd: options.cmd }),
      ...(options.env && { Env: options.env }),
      ...(options.user && { User: options.user }),
      ...(options.workdir && { WorkingDir: options.workdir }),
      ...(ports.length > 0 && { ExposedPorts: Object.fromEntries(ports) }),
    },
  }
  if (options.output !== undefined) {
    const { digest } = await buildImage(spec, options.output)
    process.stdout.write(`built ${options.tag} (${digest}) as ${options.output}\n`)
    return
  }
  const work = await mkdtemp(join(tmpdir(), 'navarch-image-'))
  try {
    const { digest, path } = await buildImage(spec, join(work, 'image.tar'))
    process.stdout.write(`built ${options.tag} (${digest})\n`)
    await importFiles([path], options)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

export interface PushCommandOptions {
  readonly username?: string
  readonly passwordStdin?: boolean
  readonly plainHttp?: boolean
  readonly ca?: string
}

/** Sends the image in an archive to a registry. */
export async function push(file: string, reference: string, options: PushCommandOptions): Promise<void> {
  checkReference(reference, 'the image')
  if ((options.username === undefined) !== (options.passwordStdin !== true))
    throw usageFailure('--username and --password-stdin go together')
  const image = await onlyImage(file)
  const password = options.passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : ''
  await pushImage(image, {
    reference,
    ...(options.username !== undefined && { credentials: { username: options.username, password } }),
    ...(options.plainHttp !== undefined && { plainHttp: options.plainHttp }),
    ...(options.ca !== undefined && { ca: readFileSync(options.ca, 'utf8') }),
  })
  process.stdout.write(`pushed ${reference}\n`)
}

function checkReference(reference: string, what: string): void {
  try {
    splitReference(reference)
  } catch {
    throw usageFailure(`${what}: ${reference} is not a full name such as registry.example/team/web:v1`)
  }
}

async function onlyImage(file: string): Promise<ArchivedImage> {
  if (!existsSync(file)) throw new Failure(`there is no file ${file}`)
  const images = await readImageArchive(file)
  if (images.length !== 1) throw new Failure(`${file} holds ${images.length} images instead of one`)
  return images[0]!
}
