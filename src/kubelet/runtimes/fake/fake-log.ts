// The log file of a fake container.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock'
import { LogSplitter, type LogStream, logTime } from '../cri-log.ts'

export interface FakeLog {
  write(stream: LogStream, data: Buffer): void
  reopen(): void
  close(): void
}

/** Opens (or goes on with) the file. Synchronous: the engine it belongs to is. */
export function openFakeLog(path: string, clock: Clock): FakeLog {
  const splitters = { stdout: new LogSplitter('stdout'), stderr: new LogSplitter('stderr') }
  mkdirSync(dirname(path), { recursive: true })
  let file = openSync(path, 'a', 0o640)
  const put = (lines: Buffer[]): void => {
    for (const line of lines) writeSync(file, line)
  }
  return {
    write: (stream, data) => put(splitters[stream].push(data, logTime(clock.now()))),
    reopen() {
      closeSync(file)
      file = openSync(path, 'a', 0o640)
    },
    close() {
      for (const splitter of Object.values(splitters)) put(splitter.end(logTime(clock.now())))
      closeSync(file)
    },
  }
}
