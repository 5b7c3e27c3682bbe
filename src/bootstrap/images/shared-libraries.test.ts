import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pauseBinary } from './pause-binary.ts'
import { findLibraries, readDynamicNeeds } from './shared-libraries.ts'

const shell = realpathSync('/bin/ls')

describe('the libraries an executable needs', () => {
  test('are those that ldd names, with the loader', async () => {
    const ldd = execFileSync('ldd', [shell], { encoding: 'utf8' })
    const paths = [...ldd.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!)
    const found = await findLibraries(shell, [...new Set(paths.map((path) => dirname(path)))])
    const names = (list: string[]): string[] => list.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort()
    expect(names([...found.keys()])).toEqual(names(paths))
  })

  test('are none for a static executable', () => {
    expect(readDynamicNeeds(Buffer.from(pauseBinary('amd64')))).toEqual({ interpreter: undefined, libraries: [] })
  })

  test('are named when they cannot be found', async () => {
    await expect(findLibraries(shell, ['/nowhere'])).rejects.toThrow(`${shell} needs `)
  })

  test('are not looked for in what is no ELF file', () => {
    expect(() => readDynamicNeeds(readFileSync('/etc/passwd'))).toThrow('not a 64-bit little-endian ELF file')
  })
})
