// A file without gaps from one with many: row by row through LMDB's ordinary writes. LMDB's own compacting copy would be faster,
// but the binding's free-space bookkeeping ends the process (an assertion in mdb_page_alloc) on files made by it.
import { type Environment, openEnvironment, type Table, type TableSet } from './environment.ts'

const rowsPerCommit = 512
const bytesPerCommit = 2 ** 20

/** Writes all that `from` holds to a new file at `path`; not flushed. Takes one turn per commit. */
export async function copyEnvironment(from: Environment, path: string, mapBytes: number): Promise<void> {
  const to = await openEnvironment({ path, mapBytes, unflushed: true })
  const transaction = from.transaction()
  try {
    for (const name of ['log', 'values', 'keys', 'graves', 'meta'] as const satisfies readonly (keyof TableSet)[]) {
      const rows = (from[name] as Table<unknown, unknown>).getRange({ start: undefined, transaction })
      await copyRows(rows, to[name] as Table<unknown, unknown>, to)
    }
  } finally {
    transaction.done()
    await to.close()
  }
}

async function copyRows(
  rows: Iterable<{ key: unknown; value: unknown }>,
  to: Table<unknown, unknown>,
  { commit }: Environment,
): Promise<void> {
  let waiting: { key: unknown; value: unknown }[] = []
  let bytes = 0
  const write = (): Promise<void> => {
    const batch = waiting
    waiting = []
    bytes = 0
    return commit(() => {
      for (const { key, value } of batch) to.put(key, value)
    })
  }
  for (const row of rows) {
    waiting.push(row)
    bytes += Buffer.isBuffer(row.value) ? row.value.length : 0
    if (waiting.length >= rowsPerCommit || bytes >= bytesPerCommit) await write()
  }
  if (waiting.length > 0) await write()
}
