// Builds the images of the catalogue into `.cache/images`, unless what they are made of has not changed since.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildImage } from '../src/bootstrap/images/build-image.ts'
import { imageCatalog, imagePackages } from '../src/bootstrap/images/catalog.ts'
import { architectureOf } from '../src/bootstrap/images/pause-binary.ts'

const root = join(import.meta.dirname, '..')
const packages = join(root, '.cache/debian')
const target = join(root, '.cache/images')

const inputs = createHash('sha256').update(`${process.version} ${process.arch}`)
const code = join(root, 'src/bootstrap/images')
for (const name of (await readdir(code)).sort())
  if (!name.endsWith('.test.ts')) inputs.update(name).update(await readFile(join(code, name)))
for (const name of imagePackages) inputs.update(await readFile(join(packages, name, '.package')))
const stamp = inputs.digest('hex')

if ((await readFile(join(target, '.inputs'), 'utf8').catch(() => '')) === stamp) {
  console.log('unchanged')
} else {
  await rm(join(target, '.inputs'), { force: true })
  await mkdir(target, { recursive: true })
  const built: string[] = []
  for (const spec of await imageCatalog({ packages, architecture: architectureOf(process.arch) })) {
    const name = spec.reference.slice(spec.reference.lastIndexOf('/') + 1)
    await buildImage(spec, join(target, `${name.replace(':', '-')}.tar`))
    built.push(name)
  }
  await writeFile(join(target, '.inputs'), stamp)
  console.log(`built ${built.join(' ')}`)
}
