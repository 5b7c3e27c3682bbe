// A constant load of new connections, which remembers every request that did not go as it should.
import { request } from 'node:http'

export interface LoadResult {
  readonly requests: number
  /** What went wrong, in the order it happened; at most a hundred are kept. */
  readonly failures: readonly string[]
  readonly failureCount: number
  /** How often each answer came, by its text. */
  readonly answers: ReadonlyMap<string, number>
}

const failuresKept = 100

/** Asks `url` over and over, each time on a new connection, `concurrency` at a time, until stopped. */
export function startLoad(url: string, { concurrency = 4 } = {}): { stop(): Promise<LoadResult>; requests(): number } {
  const answers = new Map<string, number>()
  const failures: string[] = []
  let requests = 0
  let failureCount = 0
  let stopping = false
  const fail = (reason: string): void => {
    failureCount += 1
    if (failures.length < failuresKept) failures.push(`request ${requests}: ${reason}`)
  }
  const ask = async (): Promise<void> => {
    while (!stopping) {
      const answer = await get(url).catch((error: Error) => error)
      requests += 1
      if (answer instanceof Error) fail(answer.message)
      else if (answer.status !== 200) fail(`status ${answer.status}: ${answer.body.slice(0, 200)}`)
      else answers.set(answer.body.trim(), (answers.get(answer.body.trim()) ?? 0) + 1)
    }
  }
  const workers = Array.from({ length: concurrency }, ask)
  return {
    requests: () => requests,
    async stop() {
      stopping = true
      await Promise.all(workers)
      return { requests, failures, failureCount, answers }
    },
  }
}

/** One request on a connection of its own. */
export function get(url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, timeout: 30_000, headers: { connection: 'close' } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer for 30 s')))
    sent.on('error', reject)
    sent.end()
  })
}
