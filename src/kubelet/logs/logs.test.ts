import { appendFile, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import type { ContainerRuntime, ContainerStatus } from '../runtimes/runtime.ts'
import { parseLogLine } from './log-line.ts'
import { type LogOptions, readLog } from './read-log.ts'
import { rotateLogs } from './rotate-logs.ts'

let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nvt-logs-'))
  path = join(dir, '0.log')
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z`
const line = (second: number, text: string, stream = 'stdout', tag = 'F'): string => `${at(second)} ${stream} ${tag} ${text}\n`
const never = new Promise<void>(() => undefined)

async function read(options: Partial<LogOptions> = {}): Promise<string> {
  let text = ''
  const following = { signal: new AbortController().signal, ended: never }
  for await (const part of readLog(path, { follow: false, timestamps: false, ...options }, following)) text += part.toString()
  return text
}

describe('readLog', () => {
  const log = line(1, 'one') + line(2, 'two', 'stderr') + line(3, 'thr', 'stdout', 'P') + line(4, 'ee') + line(5, 'four')

  test.each([
    ['everything, partial lines joined', {}, 'one\ntwo\nthree\nfour\n'],
    ['with timestamps, one for a joined line', { timestamps: true }, `${at(1)} one\n${at(2)} two\n${at(3)} three\n${at(5)} four\n`],
    ['the last lines', { tailLines: 2 }, 'ee\nfour\n'],
    ['more lines than there are', { tailLines: 100 }, 'one\ntwo\nthree\nfour\n'],
    ['none', { tailLines: 0 }, ''],
    ['since a time', { sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) }, 'three\nfour\n'],
    ['so many bytes', { limitBytes: 6 }, 'one\ntw'],
    ['one stream', { stream: 'stderr' as const }, 'two\n'],
  ])('%s', async (_, options, text) => {
    await writeFile(path, log)
    expect(await read(options)).toBe(text)
  })

  test('rotated files come first, compressed ones too; the tail reaches back into them', async () => {
    await writeFile(`${path}.20260101-000001.gz`, gzipSync(line(1, 'one') + line(2, 'two')))
    await writeFile(`${path}.20260101-000002`, line(3, 'three'))
    await writeFile(path, line(4, 'four'))
    expect(await read()).toBe('one\ntwo\nthree\nfour\n')
    expect(await read({ tailLines: 3 })).toBe('two\nthree\nfour\n')
    expect(await read({ tailLines: 1 })).toBe('four\n')
  })

  test('a missing file is an empty log', async () => {
    expect(await read()).toBe('')
  })

  test('following: what is written later, across a rotation, until the end', async () => {
    await writeFile(path, line(1, 'one'))
    let end: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    let text = ''
    const until = async (wanted: string): Promise<void> => {
      for (let i = 0; i < 5_000 && text !== wanted; i++) await systemClock.sleep(1)
      expect(text).toBe(wanted)
    }
    const reading = (async () => {
      for await (const part of readLog(path, { follow: true, timestamps: false }, { signal: new AbortController().signal, ended }))
        text += part
    })()
    await until('one\n')
    await appendFile(path, line(2, 'two'))
    await until('one\ntwo\n')
    await appendFile(path, line(3, 'three'))
    await rename(path, `${path}.20260101-000003`)
    await writeFile(path, line(4, 'four'))
    await until('one\ntwo\nthree\nfour\n')
    end()
    await reading
  })
})

test.each([
  ['2026-01-01T00:00:00Z stdout F hello world', { stream: 'stdout', partial: false, content: 'hello world' }],
  ['2026-01-01T00:00:00Z stderr P:x ', { stream: 'stderr', partial: true, content: '' }],
  ['garbage', undefined],
  ['2026-01-01T00:00:00Z elsewhere F x', undefined],
])('parseLogLine: %s', (text, wanted) => {
  const parsed = parseLogLine(Buffer.from(text))
  expect(parsed && { stream: parsed.stream, partial: parsed.partial, content: parsed.content.toString() }).toEqual(wanted)
})

describe('rotateLogs', () => {
  const container = (): ContainerStatus => ({ id: 'c', name: 'app', state: 'running', logPath: path }) as ContainerStatus
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

  test('a log that is too big is renamed; older ones are compressed, the oldest go', async () => {
    const clock = new FakeClock(Date.UTC(2026, 0, 1))
    const runtime = { reopenLog: () => writeFile(path, '') } as unknown as ContainerRuntime
    for (let i = 0; i < 5; i++) {
      await writeFile(path, 'x'.repeat(100))
      await rotateLogs({ runtime, clock, log, maxBytes: 100, maxFiles: 4 }, [container()])
      await clock.advance(1_000)
    }
    expect((await readdir(dir)).sort()).toEqual(['0.log', '0.log.20260101-000002.gz', '0.log.20260101-000003.gz', '0.log.20260101-000004'])
  })

  test('a small log stays, and so does one that the engine would not open anew', async () => {
    const clock = new FakeClock(0)
    const runtime = { reopenLog: () => Promise.reject(new Error('away')) } as unknown as ContainerRuntime
    await writeFile(path, 'x'.repeat(100))
    await rotateLogs({ runtime, clock, log, maxBytes: 101, maxFiles: 4 }, [container()])
    await rotateLogs({ runtime, clock, log, maxBytes: 100, maxFiles: 4 }, [container()])
    expect(await readdir(dir)).toEqual(['0.log'])
  })
})
