// Sees to it that a node's engine has the image every pod starts with. It is made here, so no registry is needed.
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import { ensureDirectory } from '#platform/files'
import { buildImage } from '../images/build-image.ts'
import { pauseImage } from '../images/catalog.ts'
import { architectureOf } from '../images/pause-binary.ts'
import type { Engine } from './engine.ts'
import { importImages } from './engine-images.ts'

/** Brings the pause image into the engine unless it is there, and returns its name. The archive is kept in `imagesDir`. */
export async function ensureSandboxImage(engine: Engine, options: { readonly imagesDir: string; readonly clock: Clock }): Promise<string> {
  const image = pauseImage(architectureOf(process.arch))
  const file = join(options.imagesDir, 'pause-1.tar')
  await ensureDirectory(options.imagesDir)
  await buildImage(image, file)
  await importImages(engine, [file], options)
  return image.reference
}
