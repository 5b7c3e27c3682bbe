// One process per data directory. Node has neither flock nor fcntl locks, a pid file outlives its process and means nothing in
// another pid namespace, and an abstract socket is seen only within one network namespace. A listening unix socket in the
// directory itself has none of these faults: whoever shares the directory can ask it, and it dies with its process.
//
// Taking over a dead process's socket file is where two starters could both win. So every contender listens on a file of its own,
// named by its pid and a random word, and only then looks at the others: of two contenders at least one sees the other. A file
// that refuses connections is dead for good, since names are never used again, and is removed. Whoever sees a live one withdraws.
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import { StoreError } from '../store.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

// Two that start at the same moment both withdraw, and try again after different times.
const attemptsMax = 5
const retryMs = 40

/** Takes the directory for this process, or throws StoreError 'locked' that names who has it. The lock ends with the process. */
export async function lockDirectory(dir: string, clock: Clock): Promise<DirectoryLock> {
  const lockDir = join(dir, 'lock')
  await mkdir(lockDir, { recursive: true, mode: 0o700 })
  for (let attempt = 1; ; attempt++) {
    const mine = `${process.pid}-${randomBytes(6).toString('hex')}`
    const release = await listen(lockDir, mine)
    const holder = await liveContender(lockDir, mine)
    if (holder === undefined) return { release }
    await release()
    if (attempt === attemptsMax) throw lockedError(dir, holder)
    await clock.sleep(retryMs + randomBytes(1)[0]! / 2)
  }
}

function lockedError(dir: string, holder: string): StoreError {
  const pid = holder.split('-')[0]
  return new StoreError('locked', `the data directory ${dir} is in use by process ${pid}; stop it first, or use another directory`)
}

async function listen(lockDir: string, name: string): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy())
  await inDirectory(lockDir, (base) => listening(server, `${base}/${name}`))
  server.unref()
  return async () => {
    await new Promise((resolve) => server.close(resolve))
    await unlink(join(lockDir, name)).catch(unlessMissing)
  }
}

async function liveContender(lockDir: string, mine: string): Promise<string | undefined> {
  for (const name of await readdir(lockDir)) {
    if (name === mine) continue
    if (await inDirectory(lockDir, (base) => answers(`${base}/${name}`))) return name
    await unlink(join(lockDir, name)).catch(unlessMissing)
  }
  return undefined
}

// A socket's path must fit in 107 bytes; a data directory's need not. The open directory has a short name.
async function inDirectory<T>(lockDir: string, use: (base: string) => Promise<T>): Promise<T> {
  const directory = await open(lockDir, 'r')
  try {
    return await use(`/proc/self/fd/${directory.fd}`)
  } finally {
    await directory.close()
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

// Only a refusal, or no file any more, says that nobody is there; a full backlog, for one, says that somebody is.
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
