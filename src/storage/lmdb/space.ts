// Room for the next commit, taken from the disk before LMDB asks for it. A disk that fills up in the middle of a commit loses
// nothing, but LMDB's binding damages its heap on that path, and a store without any room cannot even delete. So the file is kept
// longer than its contents: growth fails here, where it is harmless, and what is left over lets deletions and sweeping go on.
import { execFile } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isFull } from './errors.ts'

export interface SpaceOptions {
  readonly path: string
  /** Bytes from the file's start to the end of the last page ever used. */
  readonly extentBytes: () => number
  /** Bytes of pages that hold something. */
  readonly usedBytes: () => number
  /** The file is never made longer than this. */
  readonly limitBytes: number
}

const stepBytesMin = 2 ** 20
const stepBytesMax = 16 * 2 ** 20
const reserveBytesMin = 4 * 2 ** 20
const zeros = Buffer.alloc(2 ** 18)

/** The file's length, kept ahead of its contents. Used between commits only. */
export class Space {
  readonly #options: SpaceOptions
  readonly #file: FileHandle

  static async open(options: SpaceOptions): Promise<Space> {
    return new Space(options, await open(options.path, 'r+'))
  }

  private constructor(options: SpaceOptions, file: FileHandle) {
    this.#options = options
    this.#file = file
  }

  /** How many bytes a commit may take. Takes more from the disk when that is less than `wantedBytes`, as far as there is more. */
  async available(wantedBytes: number): Promise<number> {
    const extent = this.#options.extentBytes()
    const size = fstatSync(this.#file.fd).size
    if (size - extent >= wantedBytes) return size - extent
    const step = Math.min(Math.max(extent / 8, stepBytesMin), stepBytesMax)
    const target = Math.min(extent + wantedBytes + step, this.#options.limitBytes)
    const headroom = Math.max(0, (await this.#extend(Math.max(size, extent), target)) - extent)
    if (headroom >= wantedBytes) return headroom
    // Pages that were given up can be used again, except those that a reader still looks at or that lie apart.
    return headroom + Math.max(0, extent - this.#options.usedBytes()) / 2
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  // The blocks must be there; a hole would not do. Reserving costs no writing but needs the system's tool, since Node has no call
  // for it, and a file system that can; zeros always do, and come as far as there is room. Returns how far it came.
  async #extend(size: number, target: number): Promise<number> {
    let end = size
    if (target - size >= reserveBytesMin && (await reserve(this.#options.path, size, target - size))) return target
    while (end < target) {
      try {
        const { bytesWritten } = await this.#file.write(zeros, 0, Math.min(zeros.length, target - end), end)
        end += bytesWritten
      } catch (error) {
        if (isFull(error)) break
        throw error
      }
    }
    return end
  }
}

// fallocate(1) of util-linux. Whatever fails here is tried with zeros.
function reserve(path: string, offset: number, length: number): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('fallocate', ['--offset', String(offset), '--length', String(length), path], (error) => resolve(error === null))
  })
}
