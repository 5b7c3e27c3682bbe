// A file whose contents are looked at again whenever they may have changed. Its directory is watched, because files are most often
// replaced rather than written to, and because volumes swap a link beside them.
import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock'

export interface WatchedFileDeps {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Told when the file cannot be read, or its directory not be watched. */
  readonly onError: (error: unknown) => void
}

// Programs write a file in several steps.
const restMs = 200
// Where nothing can be watched, and for links that lead elsewhere.
const lookMs = 60_000

/** Calls back with the file's text whenever it is another one than before, until the signal aborts. */
export function watchFileText(path: string, before: string, changed: (text: string) => void, deps: WatchedFileDeps): void {
  const { clock, signal, onError } = deps
  let last = before
  let resting = false
  let timer: { cancel(): void } | undefined
  const look = (): void => {
    if (signal.aborted) return
    timer?.cancel()
    timer = clock.after(lookMs, look, { background: true })
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      onError(error)
      return
    }
    if (text === last) return
    last = text
    changed(text)
  }
  const soon = (): void => {
    if (resting || signal.aborted) return
    resting = true
    clock.after(
      restMs,
      () => {
        resting = false
        look()
      },
      { background: true },
    )
  }
  let watcher: FSWatcher | undefined
  try {
    watcher = watch(dirname(path), { persistent: false }, soon)
    watcher.on('error', onError)
  } catch (error) {
    onError(error)
  }
  timer = clock.after(lookMs, look, { background: true })
  signal.addEventListener(
    'abort',
    () => {
      watcher?.close()
      timer?.cancel()
    },
    { once: true },
  )
}
