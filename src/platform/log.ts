// The processes' own log: one JSON object a line, to a file or to standard error. Cheap when a level is off, and never a place
// for secrets: fields whose names suggest one are masked, whatever the caller thought.
import { createWriteStream } from 'node:fs'
import type { Clock } from '#base/clock'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** Whether lines of this level are written; guards costly fields. */
  enabled(level: LogLevel): boolean
  /** A logger whose lines carry these fields as well. */
  with(fields: LogFields): Logger
}

/** Where lines go. `write` must not throw. */
export interface LogSink {
  write(line: string): void
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

// Values under such names are masked. Names, not values: guessing at values would miss most and cost much.
const secretName = /token|password|secret|authorization|cookie|privatekey|credential/i

const lineCharsMax = 16_384

/** A logger that writes lines of at least `level` to `sink`. */
export function createLogger(options: { sink: LogSink; clock: Clock; level?: LogLevel; fields?: LogFields }): Logger {
  const threshold = ranks[options.level ?? 'info']
  const base = options.fields ?? {}
  const emit = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (ranks[level] < threshold) return
    const record: Record<string, unknown> = { time: new Date(options.clock.now()).toISOString(), level, msg: message }
    addFields(record, base)
    if (fields !== undefined) addFields(record, fields)
    options.sink.write(`${encode(record)}\n`)
  }
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    enabled: (level) => ranks[level] >= threshold,
    with: (fields) => createLogger({ ...options, fields: { ...base, ...fields } }),
  }
}

function addFields(record: Record<string, unknown>, fields: LogFields): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    record[name] = secretName.test(name) && typeof value === 'string' ? '<masked>' : value instanceof Error ? describeError(value) : value
  }
}

/** An error as one line: its message, those of its causes, and the stack of the first. */
function describeError(error: Error): Record<string, unknown> {
  const causes: string[] = []
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) causes.push(cause.message)
  const code = (error as NodeJS.ErrnoException).code
  return {
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(causes.length === 0 ? {} : { causes }),
    stack: error.stack?.split('\n').slice(1, 9).join('\n'),
  }
}

function encode(record: Record<string, unknown>): string {
  let line: string
  try {
    line = JSON.stringify(record)
  } catch {
    line = JSON.stringify({ time: record['time'], level: record['level'], msg: record['msg'], fields: '<not serializable>' })
  }
  if (line.length <= lineCharsMax) return line
  return JSON.stringify({ time: record['time'], level: record['level'], msg: String(record['msg']).slice(0, 1024), fields: '<too long>' })
}

/** Lines to standard error. */
export const stderrSink: LogSink = {
  write: (line) => {
    process.stderr.write(line)
  },
}

/** Lines appended to a file (mode 0600); lines beyond `bufferBytesMax` that the disk did not take in time are dropped and counted. */
export function fileSink(path: string, bufferBytesMax = 1_048_576): LogSink & { close(): Promise<void> } {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 })
  let dropped = 0
  // A log that cannot be written must not take the process with it.
  stream.on('error', () => undefined)
  return {
    write(line) {
      if (stream.writableLength > bufferBytesMax) {
        dropped++
        return
      }
      if (dropped > 0) stream.write(`${JSON.stringify({ level: 'warn', msg: 'log lines dropped', count: dropped })}\n`)
      dropped = 0
      stream.write(line)
    },
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  }
}

/** A logger that says nothing, for tests and libraries. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  enabled: () => false,
  with: () => silentLogger,
}
