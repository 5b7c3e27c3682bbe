// Room for the next commit, made sure of before LMDB asks for it. A disk that fills up in the middle of a commit loses nothing, but
// LMDB's binding damages its heap on that path, and a store without any room cannot even delete. So while the disk has plenty, it is
// only looked at; when it gets scarce, the file is kept longer than its contents: growth then fails here, where it is harmless, and
// what is left over lets deletions and sweeping go on.
import { fstatSync, statfsSync } from 'node:fs'
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

// Nobody uses up this much while one commit is written.
const plentyBytes = 256 * 2 ** 20
// With so much more, or with room in the file itself, nobody looks again for a moment: that takes as long as a write does.
const ampleBytes = 4 * 2 ** 30
const trustMs = 100
const stepBytesMin = 2 ** 20
const stepBytesMax = 16 * 2 ** 20
const zeros = Buffer.alloc(2 ** 18)

/** The room of one file. Used between commits only. */
export class Space {
  readonly #options: SpaceOptions
  readonly #file: FileHandle
  // What may still be taken without another look, and until when.
  #trustedBytes = 0
  #trustedUntilMs = Number.NEGATIVE_INFINITY

  static async open(options: SpaceOptions): Promise<Space> {
    return new Space(options, await open(options.path, 'r+'))
  }

  private constructor(options: SpaceOptions, file: FileHandle) {
    this.#options = options
    this.#file = file
  }

  /**
   * How many bytes a commit may take, or `wantedBytes` when there are at least so many. Takes more from the disk when there are
   * less, as far as there is more. `nowMs`: on a clock that only grows.
   */
  async available(wantedBytes: number, nowMs: number): Promise<number> {
    if (nowMs >= this.#trustedUntilMs || wantedBytes > this.#trustedBytes) return this.#look(wantedBytes, nowMs)
    this.#trustedBytes -= wantedBytes
    return wantedBytes
  }

  async #look(wantedBytes: number, nowMs: number): Promise<number> {
    const { path, limitBytes, usedBytes } = this.#options
    const extent = this.#options.extentBytes()
    const size = fstatSync(this.#file.fd).size
    if (size - extent >= wantedBytes) {
      this.#trust(size - extent - wantedBytes, nowMs)
      return size - extent
    }
    const { bavail, bsize } = statfsSync(path)
    const free = bavail * bsize
    const plenty = free >= plentyBytes + wantedBytes
    if (free >= ampleBytes) this.#trust(Math.min(limitBytes - extent, free - ampleBytes) - wantedBytes, nowMs)
    const end = plenty ? limitBytes : await this.#extend(Math.max(size, extent), this.#target(extent, wantedBytes))
    const headroom = Math.max(0, end - extent)
    if (headroom >= wantedBytes) return headroom
    // Pages that were given up can be used again, except those that a reader still looks at or that lie apart.
    return headroom + Math.max(0, extent - usedBytes()) / 2
  }

  #trust(bytes: number, nowMs: number): void {
    this.#trustedBytes = Math.max(0, bytes)
    this.#trustedUntilMs = nowMs + trustMs
  }

  #target(extent: number, wantedBytes: number): number {
    const step = Math.min(Math.max(extent / 8, stepBytesMin), stepBytesMax)
    return Math.min(extent + wantedBytes + step, this.#options.limitBytes)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  // Written rather than reserved by a hole, so that the blocks are there. Returns how far it came.
  async #extend(size: number, target: number): Promise<number> {
    let end = size
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
