// One line of a container log file: `<RFC 3339 with nanoseconds> <stream> <tags> <content>` (the CRI's logging format).

export interface LogLine {
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  /** The text goes on in the next line of this stream. */
  readonly partial: boolean
  readonly content: Buffer
}

const space = 0x20

/** `line` without its newline. Undefined when it is not one: a write that was cut short. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const timeEnd = line.indexOf(space)
  const streamEnd = timeEnd < 0 ? -1 : line.indexOf(space, timeEnd + 1)
  const tagEnd = streamEnd < 0 ? -1 : line.indexOf(space, streamEnd + 1)
  if (tagEnd < 0) return undefined
  const stream = line.toString('latin1', timeEnd + 1, streamEnd)
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  const tags = line.toString('latin1', streamEnd + 1, tagEnd).split(':')
  return { time: line.toString('latin1', 0, timeEnd), stream, partial: tags[0] === 'P', content: line.subarray(tagEnd + 1) }
}
