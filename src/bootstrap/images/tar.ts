// Writes tar archives (POSIX.1-2001 ustar with pax headers where ustar is too small) that depend on nothing but what goes in:
// no times, no names of the machine's users, entries in the order they are given.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

/** Where a file's bytes come from. */
export type FileSource =
  | { readonly bytes: Uint8Array | string }
  | { readonly path: string }
  | { readonly size: number; read(): AsyncIterable<Uint8Array> }

/** One entry of an archive. `path` is relative, without a leading or trailing slash. Owner and group default to 0. */
export type TarEntry = { readonly path: string; readonly uid?: number; readonly gid?: number } & (
  | { readonly kind: 'directory'; readonly mode?: number }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'file'; readonly mode?: number; readonly source: FileSource }
)

const blockBytes = 512

/** The archive of `entries`, in chunks. A file that changes its size while it is read is an error. */
export async function* writeTar(entries: Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    if (entry.kind === 'directory') yield header(`${entry.path}/`, '5', 0, entry.mode ?? 0o755, '', entry)
    else if (entry.kind === 'symlink') yield header(entry.path, '2', 0, 0o777, entry.target, entry)
    else yield* writeFile(entry)
  }
  yield new Uint8Array(2 * blockBytes)
}

async function* writeFile(entry: TarEntry & { kind: 'file' }): AsyncGenerator<Uint8Array> {
  const { source } = entry
  const mode = entry.mode ?? 0o644
  if ('bytes' in source) {
    const bytes = Buffer.from(source.bytes)
    yield header(entry.path, '0', bytes.length, mode, '', entry)
    yield bytes
    yield padding(bytes.length)
    return
  }
  const { size, chunks, name } = await openSource(source)
  yield header(entry.path, '0', size, mode, '', entry)
  let written = 0
  for await (const chunk of chunks) {
    written += chunk.length
    if (written > size) break
    yield chunk
  }
  if (written !== size) throw new Error(`${name} changed while it was read`)
  yield padding(size)
}

type Streamed = Exclude<FileSource, { readonly bytes: Uint8Array | string }>

async function openSource(source: Streamed): Promise<{ size: number; chunks: AsyncIterable<Uint8Array>; name: string }> {
  if ('read' in source) return { size: source.size, chunks: source.read(), name: 'a stream' }
  const { size } = await stat(source.path)
  return { size, chunks: createReadStream(source.path, { highWaterMark: 1 << 18 }), name: source.path }
}

function padding(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes)
}

function header(path: string, type: string, size: number, mode: number, target: string, owner: { uid?: number; gid?: number }): Uint8Array {
  const extended: Record<string, string> = {}
  if (Buffer.byteLength(path) > 100) extended['path'] = path
  if (Buffer.byteLength(target) > 100) extended['linkpath'] = target
  // Eleven octal digits are what the size field holds.
  if (size > 0o77777777777) extended['size'] = String(size)
  const plain = block(path, type, size, mode, target, owner)
  return Object.keys(extended).length === 0 ? plain : Buffer.concat([paxHeader(extended), plain])
}

function paxHeader(records: Record<string, string>): Uint8Array {
  const body = Buffer.from(Object.entries(records).map(paxRecord).join(''))
  return Buffer.concat([block('pax', 'x', body.length, 0o644, '', {}), body, padding(body.length)])
}

// A record's length counts its own digits.
function paxRecord([key, value]: [string, string]): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + 1
  while (String(length).length + rest !== length) length = String(length).length + rest
  return `${length} ${key}=${value}\n`
}

function block(path: string, type: string, size: number, mode: number, target: string, owner: { uid?: number; gid?: number }): Uint8Array {
  const bytes = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, digits: number): void => {
    bytes.write(value.toString(8).padStart(digits, '0').slice(-digits), at, 'latin1')
  }
  Buffer.from(path).copy(bytes, 0, 0, 100)
  octal(mode, 100, 7)
  octal(owner.uid ?? 0, 108, 7)
  octal(owner.gid ?? 0, 116, 7)
  octal(size, 124, 11)
  octal(0, 136, 11)
  bytes.write(type, 156, 'latin1')
  Buffer.from(target).copy(bytes, 157, 0, 100)
  bytes.write('ustar\x0000', 257, 'latin1')
  octal(0, 329, 7)
  octal(0, 337, 7)
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}
