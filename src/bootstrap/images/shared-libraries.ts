// Reads which shared libraries an ELF executable needs, and finds them in directories: what `ldd` tells, without running anything.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the dynamic section of an executable or library asks for. `interpreter` is the loader's path, absent in libraries. */
export interface DynamicNeeds {
  readonly interpreter: string | undefined
  readonly libraries: readonly string[]
}

const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3]
const [DT_NULL, DT_NEEDED, DT_STRTAB] = [0, 1, 5]

/** Reads the needs of a 64-bit little-endian ELF file ("Tool Interface Standard", program headers and dynamic section). */
export function readDynamicNeeds(bytes: Buffer): DynamicNeeds {
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) throw new Error('not a 64-bit little-endian ELF file')
  const u64 = (at: number): number => Number(bytes.readBigUInt64LE(at))
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const at = u64(32) + index * bytes.readUInt16LE(54)
    return { type: bytes.readUInt32LE(at), offset: u64(at + 8), address: u64(at + 16), size: u64(at + 32) }
  })
  const text = (at: number): string => bytes.toString('utf8', at, bytes.indexOf(0, at))
  const interp = segments.find((segment) => segment.type === PT_INTERP)
  const interpreter = interp === undefined ? undefined : text(interp.offset)
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC)
  if (dynamic === undefined) return { interpreter, libraries: [] }
  const entries: { tag: number; value: number }[] = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size && u64(at) !== DT_NULL; at += 16) {
    entries.push({ tag: u64(at), value: u64(at + 8) })
  }
  const address = entries.find((entry) => entry.tag === DT_STRTAB)?.value ?? 0
  const holder = segments.find(
    (segment) => segment.type === PT_LOAD && address >= segment.address && address < segment.address + segment.size,
  )
  if (holder === undefined) throw new Error('the string table of the ELF file is in no segment')
  const strings = address - holder.address + holder.offset
  return { interpreter, libraries: entries.filter((entry) => entry.tag === DT_NEEDED).map((entry) => text(strings + entry.value)) }
}

/**
 * All libraries that `program` needs, directly or through others, and its loader: file name (for the loader its full path) to the file
 * found in one of `directories`. Throws when one is in none of them.
 */
export async function findLibraries(program: string, directories: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const locate = (name: string): string => {
    const path = directories.map((directory) => join(directory, name)).find((candidate) => existsSync(candidate))
    if (path === undefined) throw new Error(`${program} needs ${name}, which is in none of ${directories.join(', ')}`)
    return path
  }
  // Libraries name the loader too, without its path.
  const isThere = (name: string): boolean => found.has(name) || [...found.keys()].some((path) => path.endsWith(`/${name}`))
  const waiting = [program]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const { interpreter, libraries } = readDynamicNeeds(await readFile(path))
    if (interpreter !== undefined) found.set(interpreter, locate(interpreter.slice(interpreter.lastIndexOf('/') + 1)))
    for (const name of libraries) {
      if (isThere(name)) continue
      const library = locate(name)
      found.set(name, library)
      waiting.push(library)
    }
  }
  return found
}
