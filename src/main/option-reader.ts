// Options as they were said: one by one, by type, with what is wrong told in one line.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseGoDuration } from '#api/go-duration'
import { usageFailure } from './failure.ts'
import { serverOptions } from './server-options-table.ts'

/** One option's value, the directory that paths in it are beside, and where it was said. */
export interface Said {
  readonly value: string | readonly string[]
  readonly base: string
  readonly where: string
}

export class OptionReader {
  readonly #said: ReadonlyMap<string, Said>

  constructor(said: ReadonlyMap<string, Said>) {
    this.#said = said
  }

  has(name: string): boolean {
    const value = this.#said.get(name)?.value
    return value !== undefined && value !== ''
  }

  /** Whether it was said at all, be it with its default. */
  said(name: string): boolean {
    return this.#said.has(name)
  }

  where(name: string): string {
    return this.#said.get(name)?.where ?? `--${name}`
  }

  text(name: string): string {
    const value = this.#said.get(name)?.value
    return typeof value === 'string' ? value : serverOptions.find((known) => known.name === name)!.default
  }

  texts(name: string): readonly string[] {
    const value = this.#said.get(name)?.value
    return typeof value === 'object' ? value : []
  }

  list(name: string): string[] {
    return this.text(name)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  }

  number(name: string, min: number, max: number): number {
    const text = this.text(name)
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw usageFailure(`${this.where(name)} ${text}: give a whole number from ${min} to ${max}`)
    }
    return value
  }

  durationMs(name: string, minMs: number): number {
    const text = this.text(name)
    let ms: number
    try {
      ms = parseGoDuration(text)
    } catch {
      throw usageFailure(`${this.where(name)} ${text}: give a time such as 30s, 5m or 1h30m`)
    }
    if (ms < minMs) throw usageFailure(`${this.where(name)} ${text}: give at least ${minMs / 1000}s`)
    return ms
  }

  boolean(name: string): boolean {
    const text = this.text(name)
    if (text !== 'true' && text !== 'false') throw usageFailure(`${this.where(name)} ${text}: give true or false`)
    return text === 'true'
  }

  file(name: string): string | undefined {
    return this.has(name) ? this.#contents(name, this.text(name)) : undefined
  }

  files(name: string): string[] {
    return this.texts(name).map((path) => this.#contents(name, path))
  }

  path(name: string): string {
    return resolve(this.#said.get(name)!.base, this.text(name))
  }

  #contents(name: string, path: string): string {
    const { base, where } = this.#said.get(name)!
    try {
      return readFileSync(resolve(base, path), 'utf8')
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      throw usageFailure(`${where} ${path}: ${code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`}`)
    }
  }
}
