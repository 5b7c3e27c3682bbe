// Copying Docker's output into a log file: what is read, where it goes on, and that nothing is lost or doubled on the way.
import { appendFile, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { silentLogger } from '#platform/log'
import { lineFromJson, openJsonLog } from './json-log.ts'
import { startLogPump } from './log-pump.ts'
import { findPosition, type LogPosition, writeCheckpoint } from './log-resume.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-log-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const at = (n: number): string =>
  `2026-01-01T00:00:${String(Math.floor(n / 1000)).padStart(2, '0')}.${String(n % 1000).padStart(3, '0')}000000Z`

const json = (time: string, stream: string, log: string): string => `${JSON.stringify({ log, stream, time })}\n`

describe('a line of Docker’s', () => {
  test.each([
    ['2026-01-01T00:00:00.5Z', 'stdout', 'hello\n', '2026-01-01T00:00:00.500000000Z stdout F hello\n'],
    ['2026-01-01T00:00:00Z', 'stderr', 'part', '2026-01-01T00:00:00.000000000Z stderr P part\n'],
    ['2026-01-01T00:00:00.123456789Z', 'stdout', '\n', '2026-01-01T00:00:00.123456789Z stdout F \n'],
    ['2026-01-01T00:00:00.1Z', 'stdout', 'typed\r\n', '2026-01-01T00:00:00.100000000Z stdout F typed\r\n'],
  ])('%s %s %j', (time, stream, log, line) => {
    expect(lineFromJson(Buffer.from(json(time, stream, log)))?.toString()).toBe(line)
  })
  test('that a crash left half-written is nothing', () => {
    expect(lineFromJson(Buffer.from('{"log":"x'))).toBeUndefined()
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
    await writeFile(path(), line(2, 'b') + line(1, 'a') + line(2, 'b') + line(1, 'a'))
    const file = await open(path(), 'r')
    await writeCheckpoint(checkpoint(), file)
    await file.close()
    await writeFile(path(), '')
    expect(await find()).toEqual({ line: Buffer.from(line(1, 'a')), count: 2 })
    await writeFile(path(), line(2, 'b').repeat(3))
    expect(await find()).toEqual({ line: Buffer.from(line(2, 'b')), count: 5 })
    await writeFile(path(), line(1, 'a') + line(3, 'c'))
    expect(await find()).toEqual({ line: Buffer.from(line(3, 'c')), count: 1 })
  })

  test('of nothing is nothing', async () => {
    expect(await find()).toBeUndefined()
  })
})

interface Message {
  readonly n: number
  readonly stream: 'stdout' | 'stderr'
  readonly log: string
}

/** Docker's side: writes messages and rotates as it does, keeping three files. */
class DockerFiles {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async write(messages: readonly Message[]): Promise<void> {
    await appendFile(this.#path, messages.map((m) => json(at(m.n), m.stream, m.log)).join(''))
  }

  async rotate(): Promise<void> {
    await rm(`${this.#path}.2`, { force: true })
    await rename(`${this.#path}.1`, `${this.#path}.2`).catch(() => undefined)
    await rename(this.#path, `${this.#path}.1`)
    await writeFile(this.#path, '')
  }
}

const lineOf = (m: Message): string => `${at(m.n)} ${m.stream} ${m.log.endsWith('\n') ? 'F' : 'P'} ${m.log.replace(/\n$/, '')}\n`

/** Messages with equal pieces, equal times, and times out of order by less than a second. */
function unruly(count: number): Message[] {
  return Array.from({ length: count }, (_, i) => ({
    n: i % 7 < 4 ? 2_000 + (i - (i % 7)) : 2_000 + i * 2 + (i % 3 === 0 ? 25 : 0),
    stream: i % 5 === 0 ? ('stderr' as const) : ('stdout' as const),
    log: i % 7 < 4 ? 'same' : `line ${i}\n`,
  }))
}

describe('Docker’s files', () => {
  test('are read from the oldest on, over rotations, also more than one between two looks', async () => {
    const path = join(dir, 'c-json.log')
    const docker = new DockerFiles(path)
    const messages = unruly(30)
    const log = openJsonLog(path)
    const got: string[] = []
    const readAll = async (): Promise<void> => {
      for (let lines = await log.next(); lines !== undefined; lines = await log.next()) got.push(...lines.map(String))
    }
    await readAll()
    for (const [i, message] of messages.entries()) {
      await docker.write([message])
      if (i % 4 === 3) await docker.rotate()
      if (i % 7 === 6 || i === 29) await readAll()
    }
    await log.close()
    expect(got).toEqual(messages.map(lineOf))
  })

  test('a later beginning is found without reading what comes before', async () => {
    const path = join(dir, 'c-json.log')
    const messages = Array.from({ length: 20_000 }, (_, i) => ({
      n: i,
      stream: 'stdout' as const,
      log: `line ${i} ${'x'.repeat(i % 300)}\n`,
    }))
    await new DockerFiles(path).write(messages)
    for (const since of [0, 1, 9_999, 15_000, 19_999, 30_000]) {
      const log = openJsonLog(path, at(since))
      const got: string[] = []
      for (let lines = await log.next(); lines !== undefined; lines = await log.next()) got.push(...lines.map(String))
      await log.close()
      const wanted = messages.slice(since).map(lineOf)
      expect(got.slice(got.length - wanted.length)).toEqual(wanted)
      expect(got.length - wanted.length).toBeLessThan(2_000)
    }
  })
})

describe('the pump', () => {
  const source = (): string => join(dir, 'docker/c-json.log')
  const target = (): string => join(dir, 'pod/c/0.log')
  const start = () =>
    startLogPump({ source: source(), path: target(), checkpointPath: join(dir, 'checkpoint'), clock: new FakeClock(), log: silentLogger })
  const written = async (path = target()): Promise<string> => readFile(path, 'utf8').catch(() => '')
  const settle = async (ready: () => Promise<boolean>): Promise<void> => {
    while (!(await ready())) await new Promise((resolve) => setImmediate(resolve))
  }
  beforeEach(() => mkdir(join(dir, 'docker')))

  test('copies what is there and what comes, until told that nothing more will', async () => {
    const docker = new DockerFiles(source())
    const messages = unruly(20)
    await docker.write(messages.slice(0, 10))
    const pump = start()
    await settle(async () => (await written()) === messages.slice(0, 10).map(lineOf).join(''))
    await docker.write(messages.slice(10))
    await pump.finish()
    expect(await written()).toBe(messages.map(lineOf).join(''))
  })

  test('stopped, killed and rotated at any moment, on both sides, it loses and doubles nothing', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seededRandom(seed)
      await Promise.all([rm(join(dir, 'pod'), { recursive: true, force: true }), rm(join(dir, 'docker'), { recursive: true })])
      await rm(join(dir, 'checkpoint'), { force: true })
      await mkdir(join(dir, 'docker'))
      const docker = new DockerFiles(source())
      const messages = unruly(300)
      const old: string[] = []
      let pump = start()
      for (let sent = 0; sent < messages.length; ) {
        const count = 1 + Math.floor(random() * 25)
        await docker.write(messages.slice(sent, sent + count))
        sent += count
        const dice = random()
        if (dice < 0.25) {
          await pump.stop()
          // A crash may leave a line half-written.
          const text = await written()
          if (dice < 0.1 && text !== '') await writeFile(target(), text.slice(0, text.length - 3))
          pump = start()
        } else if (dice < 0.45) {
          await pump.ready
          if (
            await rename(target(), `${target()}.${old.length}`).then(
              () => true,
              () => false,
            )
          )
            old.push(`${target()}.${old.length}`)
          await pump.reopen()
        } else if (dice < 0.6) {
          // The pump keeps up with rotations: Docker's are many megabytes apart.
          await settle(async () =>
            (await Promise.all([...old, target()].map(written))).join('').includes(lineOf(messages[Math.min(sent, messages.length) - 1]!)),
          )
          await docker.rotate()
        }
      }
      await pump.finish()
      expect((await Promise.all([...old, target()].map(written))).join(''), `seed ${seed}`).toBe(messages.map(lineOf).join(''))
    }
  })

  test('what Docker has thrown away is skipped, what came after it is not', async () => {
    const docker = new DockerFiles(source())
    const message = (n: number): Message => ({ n, stream: 'stdout', log: `line ${n}\n` })
    await docker.write([message(1_000)])
    await start().finish()
    await writeFile(source(), '')
    await docker.write([message(5_000), message(9_000)])
    await start().finish()
    expect(await written()).toBe([1_000, 5_000, 9_000].map((n) => lineOf(message(n))).join(''))
  })
})
