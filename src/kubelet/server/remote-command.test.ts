import { Duplex, PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { ProcessStreams } from '../runtimes/runtime.ts'
import { type RemoteStreams, serveRemoteCommand } from './remote-command.ts'
import { failed } from './remote-status.ts'

test('terminal sizes reach the engine one at a time, and the newest is the last', async () => {
  const sizes: string[] = []
  const release: (() => void)[] = []
  let resize: (columns: number, rows: number) => void = () => undefined
  let exit: (code: number) => void = () => undefined
  const io = Duplex.from({ writable: new PassThrough().resume(), readable: new PassThrough().end() })
  const process: ProcessStreams = {
    io,
    exit: new Promise((resolve) => {
      exit = resolve
    }),
    resize: (columns, rows) =>
      new Promise((resolve) => {
        sizes.push(`${columns}x${rows}`)
        release.push(resolve)
      }),
    close: () => undefined,
  }
  const remote: RemoteStreams = {
    onResize: (handler) => {
      resize = handler
    },
    finish: async () => undefined,
    signal: new AbortController().signal,
  }
  const served = serveRemoteCommand(remote, async () => process, 'test')
  await Promise.resolve()
  await Promise.resolve()
  for (const [columns, rows] of [
    [80, 24],
    [90, 55],
    [132, 55],
  ] as const)
    resize(columns, rows)
  expect(sizes).toEqual(['80x24'])
  release.shift()?.()
  await new Promise((resolve) => setImmediate(resolve))
  expect(sizes).toEqual(['80x24', '132x55'])
  release.shift()?.()
  exit(0)
  await served
})

test('what an engine that streams by itself says of a failure is not said twice', () => {
  const doing = 'error executing command in container'
  for (const said of ['no such file', `Internal error occurred: ${doing}: no such file`]) {
    expect(failed(doing, new Error(said)).message).toBe(`Internal error occurred: ${doing}: no such file`)
  }
})
