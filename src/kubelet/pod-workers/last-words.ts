// What a container said at its end: its termination message file, or the tail of its log when it failed and wrote none
// (documentation: "Determine the Reason for Pod Failure").
import { basename, dirname } from 'node:path'
import { tailLog } from '../logs/read-log.ts'
import { marksOf } from '../marks.ts'
import type { ContainerStatus } from '../runtimes/runtime.ts'
import { readFileBeneath } from '../volumes/open-beneath.ts'

const fileBytesMax = 4_096
const logLimits = { bytes: 2_048, lines: 80 } as const

/** Empty when it said nothing. */
export async function lastWords(container: ContainerStatus): Promise<string> {
  const marks = marksOf(container)
  let text = ''
  if (marks.messageFile !== '') {
    const bytes = await readFileBeneath(dirname(marks.messageFile), basename(marks.messageFile), fileBytesMax)
    text = bytes?.toString('utf8') ?? ''
  }
  if (text !== '' || marks.messagePolicy !== 'FallbackToLogsOnError' || container.exitCode === 0) return text
  const tail = await tailLog(container.logPath, logLimits.lines)
  return tail.subarray(Math.max(0, tail.length - logLimits.bytes)).toString('utf8')
}
