import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { architectureOf, pauseBinary } from './pause-binary.ts'

const dir = mkdtempSync(join(tmpdir(), 'pause-test-'))
const program = join(dir, 'pause')
writeFileSync(program, pauseBinary(architectureOf(process.arch)), { mode: 0o755 })
afterAll(() => rmSync(dir, { recursive: true }))

/** Starts the program and waits until it waits: SIGCHLD (17) is ignored from then on. */
async function started(): Promise<ChildProcess> {
  const child = spawn(program)
  await once(child, 'spawn')
  for (let tries = 0; tries < 5_000; tries++) {
    const ignored = /SigIgn:\s*([0-9a-f]+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? '0'
    const state = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.[0]
    if ((BigInt(`0x${ignored}`) & (1n << 16n)) !== 0n && state === 'S') return child
    await new Promise(setImmediate)
  }
  throw new Error('pause does not get as far as waiting')
}

describe('the pause program', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 on %s', async (signal) => {
    const child = await started()
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('goes on waiting after it was stopped and continued', async () => {
    const child = await started()
    child.kill('SIGSTOP')
    child.kill('SIGCONT')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('is an executable of less than a kilobyte for either architecture, whose stack is not executable', () => {
    for (const [architecture, machine] of [
      ['amd64', 62],
      ['arm64', 183],
    ] as const) {
      const bytes = Buffer.from(pauseBinary(architecture))
      expect(bytes.length).toBeLessThan(1024)
      expect(bytes.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
      expect(bytes.readUInt16LE(18)).toBe(machine)
      expect(bytes.readUInt32LE(124)).toBe(6)
    }
  })
})
