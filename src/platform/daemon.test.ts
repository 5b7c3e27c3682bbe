import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { bootId, runningProcess, startDaemon, stopProcess } from './daemon.ts'
import { isRunning } from './process.ts'

const dir = mkdtempSync(join(tmpdir(), 'daemon-test-'))
afterAll(() => rmSync(dir, { recursive: true }))

function spec(name: string, script: string) {
  const files = { pidFile: join(dir, `${name}.pid`), logFile: join(dir, 'logs', `${name}.log`) }
  return { program: 'sh', args: ['-c', script], title: `navarch-${name}`, ...files }
}

describe('a daemon', () => {
  test('runs in a session of its own under its title and is found again by its pid file', async () => {
    const daemon = spec('found', 'while :; do sleep 0.05; done')
    const identity = await startDaemon(daemon)
    expect(runningProcess(daemon.pidFile)).toEqual(identity)
    expect(readFileSync(`/proc/${identity.pid}/cmdline`, 'utf8').split('\0')[0]).toBe('navarch-found')
    const session = readFileSync(`/proc/${identity.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[3]
    expect(Number(session)).toBe(identity.pid)
    await stopProcess(identity, { clock, graceMs: 5_000 })
    expect(runningProcess(daemon.pidFile)).toBeUndefined()
    await stopProcess(identity, { clock, graceMs: 0 })
  })

  test('that does not end when asked is killed', async () => {
    const identity = await startDaemon(spec('stubborn', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'))
    while (!readFileSync(join(dir, 'logs/stubborn.log'), 'utf8').includes('ready')) await clock.sleep(5)
    await stopProcess(identity, { clock, graceMs: 20 })
    expect(isRunning(identity)).toBe(false)
  })

  test('whose program does not exist is an error that names it', async () => {
    await expect(startDaemon({ ...spec('none', ''), program: '/nowhere/program' })).rejects.toThrow('cannot start /nowhere/program: spawn')
  })

  test('begins a new log when the old one has grown too large', async () => {
    const daemon = { ...spec('log', 'echo new'), logBytesMax: 10 }
    await stopProcess(await startDaemon(daemon), { clock, graceMs: 5_000 })
    truncateSync(daemon.logFile, 11)
    await stopProcess(await startDaemon(daemon), { clock, graceMs: 5_000 })
    expect(statSync(`${daemon.logFile}.1`).size).toBe(11)
  })
})

describe('a pid file names nobody', () => {
  const own = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')[19]
  test.each([
    ['when another process has the number now', `${process.pid} ${Number(own) - 1} ${bootId()}`],
    ['after the machine was started anew', `${process.pid} ${own} 00000000-0000-0000-0000-000000000000`],
    ['when the number is free', `4194305 1 ${bootId()}`],
    ['when it is empty', ''],
  ])('%s', (_, text) => {
    const path = join(dir, 'other.pid')
    writeFileSync(path, text)
    expect(runningProcess(path)).toBeUndefined()
  })

  test('when it is missing', () => {
    expect(runningProcess(join(dir, 'missing.pid'))).toBeUndefined()
  })
})
