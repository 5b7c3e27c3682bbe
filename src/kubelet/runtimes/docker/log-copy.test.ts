// Copying Docker's output into a log file: what is read, where it goes on, and that nothing is lost or doubled on the way.
import { appendFile, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { silentLogger } from '#platform/log'
import { RuntimeError } from '../runtime.ts'
import type { DockerClient } from './client.ts'
import { framedLogLines, terminalLogLines } from './log-lines.ts'
import { startLogPump } from './log-pump.ts'
import { findPosition, type LogPosition, writeCheckpoint } from './log-resume.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-log-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const at = (n: number): string =>
  `2026-01-01T00:00:${String(Math.floor(n / 1000)).padStart(2, '0')}.${String(n % 1000).padStart(3, '0')}000000Z`

function frame(stream: 1 | 2, text: string): Buffer {
  const head = Buffer.alloc(8)
  head[0] = stream
  head.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([head, Buffer.from(text)])
}

describe('lines', () => {
  test('every frame is a line of its stream; one without newline goes on; frames may come in pieces', () => {
    const lines = framedLogLines()
    const bytes = Buffer.concat([
      frame(1, `${at(1)} hello\n`),
      frame(2, `${at(2)} part`),
      frame(2, `${at(2)} of it\n`),
      frame(1, `${at(3)} \n`),
    ])
    const out: string[] = []
    for (const byte of bytes) out.push(...lines.push(Buffer.from([byte])).map(String))
    expect(out).toEqual([`${at(1)} stdout F hello\n`, `${at(2)} stderr P part\n`, `${at(2)} stderr F of it\n`, `${at(3)} stdout F \n`])
  })

  test('a terminal’s output has no frames; pieces of a long line have the longest length', () => {
    const lines = terminalLogLines()
    const long = 'y'.repeat(16_384)
    const out = [...lines.push(Buffer.from(`${at(1)} a\r\n${at(2)} ${long}`)), ...lines.push(Buffer.from(`${at(2)} tail\n${at(3)} b\n`))]
    expect(out.map(String)).toEqual([
      `${at(1)} stdout F a\r\n`,
      `${at(2)} stdout P ${long}\n`,
      `${at(2)} stdout F tail\n`,
      `${at(3)} stdout F b\n`,
    ])
  })
})

describe('the position of a log', () => {
  const path = (): string => join(dir, 'log')
  const checkpoint = (): string => join(dir, 'checkpoint')
  const find = async (): Promise<LogPosition | undefined> => {
    const file = await open(path(), 'a+')
    try {
      return await findPosition(file, checkpoint())
    } finally {
      await file.close()
    }
  }
  const line = (n: number, text: string): string => `${at(n)} stdout F ${text}\n`

  test('is the last line, and how often the file has it', async () => {
    await writeFile(path(), line(1, 'a') + line(2, 'b') + line(3, 'c') + line(2, 'b'))
    expect(await find()).toEqual({ line: Buffer.from(line(2, 'b')), count: 2 })
  })

  test('leaves out, and off, a line that a crash cut short', async () => {
    await writeFile(path(), line(1, 'a') + line(2, 'cut').slice(0, 20))
    expect(await find()).toEqual({ line: Buffer.from(line(1, 'a')), count: 1 })
    expect(await readFile(path(), 'utf8')).toBe(line(1, 'a'))
  })

  test('is found behind megabytes of equal lines', async () => {
    const equal = line(5, 'x'.repeat(16_000))
    await writeFile(path(), line(1, 'a'.repeat(300_000)) + equal.repeat(100))
    expect(await find()).toEqual({ line: Buffer.from(equal), count: 100 })
  })

  test('of a new file is that of the one before it, and equal lines on both sides count together', async () => {
    await writeCheckpoint(checkpoint(), { line: Buffer.from(line(1, 'a')), count: 3 })
    expect(await find()).toEqual({ line: Buffer.from(line(1, 'a')), count: 3 })
    await writeFile(path(), line(1, 'a').repeat(2))
    expect(await find()).toEqual({ line: Buffer.from(line(1, 'a')), count: 5 })
    await writeFile(path(), line(1, 'a') + line(2, 'b'))
    expect(await find()).toEqual({ line: Buffer.from(line(2, 'b')), count: 1 })
  })

  test('of nothing is nothing', async () => {
    expect(await find()).toBeUndefined()
  })
})

/** A Docker that holds messages and answers the two calls that a pump makes. `breakAfter`: bytes until a following answer breaks. */
class FakeDocker {
  messages: { n: number; stream: 1 | 2; text: string }[] = []
  running = false
  readonly breaks: number[] = []
  calls: string[] = []

  readonly client = {
    call: async () => ({ State: { Running: this.running } }),
    stream: async (_method: string, _path: string, { query }: { query: Record<string, unknown> }) => {
      const since = query['since'] === undefined ? 0 : Number(query['since']) * 1000 - Date.UTC(2026, 0, 1)
      this.calls.push(`${query['follow'] ? 'follow' : 'read'} ${query['since'] === undefined ? 'all' : Math.round(since)}`)
      const all = this.messages.filter((m) => m.n >= since).map((m) => frame(m.stream, `${at(m.n)} ${m.text}`))
      const bytes = Buffer.concat(all)
      const breakAfter = query['follow'] ? this.breaks.shift() : undefined
      if (breakAfter === undefined) return Readable.from([bytes]) as unknown as IncomingMessage
      return Readable.from(
        (async function* () {
          yield bytes.subarray(0, breakAfter)
          throw new RuntimeError('unavailable', 'broken')
        })(),
      ) as unknown as IncomingMessage
    },
  } as unknown as DockerClient
}

describe('the pump', () => {
  const pump = (docker: FakeDocker, clock: FakeClock) =>
    startLogPump({
      client: docker.client,
      containerId: 'c1',
      path: join(dir, 'pod/c/0.log'),
      checkpointPath: join(dir, 'checkpoint'),
      tty: false,
      clock,
      log: silentLogger,
    })
  const written = async (): Promise<string[]> =>
    (await readFile(join(dir, 'pod/c/0.log'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((l) => l.slice(31))
  const ended = async (running: { done: Promise<void> }, clock: FakeClock): Promise<void> => {
    let over = false
    void running.done.then(() => {
      over = true
    })
    while (!over) {
      await clock.advance(500)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const expected = (docker: FakeDocker): string[] =>
    docker.messages.map((m) => `${m.stream === 1 ? 'stdout' : 'stderr'} ${m.text.endsWith('\n') ? 'F' : 'P'} ${m.text.trimEnd()}`)

  test('copies everything once, with a second look after the end', async () => {
    const docker = new FakeDocker()
    const clock = new FakeClock()
    docker.messages = [1, 2, 3].map((n) => ({ n, stream: 1, text: `line ${n}\n` }))
    await ended(pump(docker, clock), clock)
    expect(await written()).toEqual(expected(docker))
    expect(docker.calls).toEqual(['follow all', 'read -997'])
  })

  test('goes on after breaks at any byte, over equal messages and times out of order', async () => {
    const messages = Array.from({ length: 40 }, (_, i) => ({
      n: 2_000 + i * 10 + (i % 3 === 0 ? 25 : 0),
      stream: (i % 5 === 0 ? 2 : 1) as 1 | 2,
      text: i % 7 < 4 ? 'same' : `line ${i}\n`,
    }))
    for (const m of messages) if (m.text === 'same') m.n = 2_100
    for (let seed = 1; seed <= 25; seed++) {
      const docker = new FakeDocker()
      const clock = new FakeClock()
      docker.messages = messages
      docker.breaks.push(seed * 37, (seed * 101) % 1_700, (seed * 53) % 900, 0)
      await rm(join(dir, 'pod'), { recursive: true, force: true })
      await ended(pump(docker, clock), clock)
      expect(await written(), `seed ${seed}`).toEqual(expected(docker))
    }
  })

  test('a new pump goes on where the last one stopped, in the file after a rotation too', async () => {
    const docker = new FakeDocker()
    const clock = new FakeClock()
    docker.messages = [1, 2].map((n) => ({ n, stream: 1, text: `line ${n}\n` }))
    await ended(pump(docker, clock), clock)
    const second = pump(docker, clock)
    await second.ready
    await rename(join(dir, 'pod/c/0.log'), join(dir, 'pod/c/0.log.old'))
    await second.reopen()
    await ended(second, clock)
    docker.messages.push({ n: 3, stream: 1, text: 'line 3\n' })
    await ended(pump(docker, clock), clock)
    expect(await written()).toEqual(['stdout F line 3'])
  })

  test('what Docker has thrown away is skipped, what came after it is not', async () => {
    const docker = new FakeDocker()
    const clock = new FakeClock()
    docker.messages = [{ n: 1_000, stream: 1, text: 'old\n' }]
    await ended(pump(docker, clock), clock)
    docker.messages = [5_000, 9_000].map((n) => ({ n, stream: 1, text: `new ${n}\n` }))
    await ended(pump(docker, clock), clock)
    expect(await written()).toEqual(['stdout F old', 'stdout F new 5000', 'stdout F new 9000'])
  })

  test('a half-written line of a crash is written again, whole', async () => {
    const docker = new FakeDocker()
    const clock = new FakeClock()
    docker.messages = [1, 2].map((n) => ({ n, stream: 1, text: `line ${n}\n` }))
    await ended(pump(docker, clock), clock)
    docker.messages.push({ n: 3, stream: 1, text: 'line 3\n' })
    await appendFile(join(dir, 'pod/c/0.log'), `${at(3)} stdout F li`)
    await ended(pump(docker, clock), clock)
    expect(await written()).toEqual(expected(docker))
  })
})
