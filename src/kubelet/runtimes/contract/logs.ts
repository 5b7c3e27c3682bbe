// Contract: log files.
import { rename } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { exited, type RuntimeHarness, readLog, until, withPod } from './harness.ts'

export function describeLogs(get: () => RuntimeHarness): void {
  test('output is written line by line with its stream; what has no newline at the end is there too', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'exit', code: 0, stdout: 'one\n\nünï', stderr: 'bad\n' })
      const lines = await readLog((await exited(h, id)).logPath)
      expect(lines.filter((l) => l.stream === 'stdout').map((l) => l.text)).toEqual(['one', '', 'ünï'])
      expect(lines.filter((l) => l.stream === 'stderr').map((l) => [l.tag, l.text])).toEqual([['F', 'bad']])
    })
  })

  test('a long line is cut into pieces that make the whole again', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'longLine', bytes: 100_000 })
      const lines = await readLog((await exited(h, id)).logPath)
      expect(lines.at(-1)?.tag).toBe('F')
      expect(lines.slice(0, -1).every((l) => l.tag === 'P')).toBe(true)
      expect(lines.length).toBeGreaterThan(1)
      expect(lines.map((l) => l.text).join('')).toBe('x'.repeat(100_000))
    })
  })

  test('after the file was renamed and reopened, new output goes to the new file and none is lost or doubled', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'count', count: 60, everyMs: 20 })
      const { logPath } = (await h.runtime.containerStatus(id))!
      await until(h, 'some lines', async () => (await readLog(logPath)).length >= 5)
      await rename(logPath, `${logPath}.old`)
      await h.runtime.reopenLog(id)
      await until(h, 'the last line', async () => (await readLog(logPath)).at(-1)?.text === 'line 60')
      const all = [...(await readLog(`${logPath}.old`)), ...(await readLog(logPath))]
      expect(all.map((l) => l.text)).toEqual(Array.from({ length: 60 }, (_, i) => `line ${i + 1}`))
    })
  })

  test('restarts of the driver lose and double nothing', async () => {
    const h = get()
    await withPod(h, {}, async (pod) => {
      const id = await pod.run('main', { do: 'count', count: 80, everyMs: 20 })
      const { logPath } = (await h.runtime.containerStatus(id))!
      for (const seen of [5, 25, 45]) {
        await until(h, `line ${seen}`, async () => (await readLog(logPath)).length >= seen)
        await h.reopen()
      }
      await until(h, 'the last line', async () => (await readLog(logPath)).at(-1)?.text === 'line 80')
      expect((await readLog(logPath)).map((l) => l.text)).toEqual(Array.from({ length: 80 }, (_, i) => `line ${i + 1}`))
    })
  })
}
