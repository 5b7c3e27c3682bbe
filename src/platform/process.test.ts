// Identities from /proc, and commands that are run to their end.
import { describe, expect, test } from 'vitest'
import { isRunning, processIdentity, residentBytes, runChecked, runCommand, signalProcess } from './process.ts'

describe('processes', () => {
  test('this process runs, another with its number at another time does not', () => {
    const self = processIdentity(process.pid)
    expect(self).toBeDefined()
    expect(isRunning(self!)).toBe(true)
    expect(isRunning({ pid: self!.pid, startTicks: self!.startTicks - 1 })).toBe(false)
    expect(signalProcess({ pid: self!.pid, startTicks: 1 }, 'SIGKILL')).toBe(false)
    expect(residentBytes(process.pid)).toBeGreaterThan(1_000_000)
  })

  test('nobody has an impossible number', () => {
    expect(processIdentity(2 ** 30)).toBeUndefined()
  })

  test('a command gets its input and gives its output and exit code', async () => {
    expect(await runCommand('sh', ['-c', 'cat; echo bad >&2; exit 3'], { input: 'hello' })).toEqual({
      code: 3,
      signal: null,
      stdout: 'hello',
      stderr: 'bad\n',
    })
  })

  test('output beyond the bound is cut off', async () => {
    const { stdout } = await runCommand('sh', ['-c', 'yes | head -c 100000'], { outputBytesMax: 10 })
    expect(stdout).toHaveLength(10)
  })

  test('a checked command says what failed', async () => {
    await expect(runChecked('sh', ['-c', 'echo no such thing >&2; exit 2'])).rejects.toThrow('sh -c failed (exit code 2): no such thing')
  })
})
