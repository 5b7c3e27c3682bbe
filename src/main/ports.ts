// Ports of this machine.
import { createServer } from 'node:net'
import { Failure } from './failure.ts'

/** Whether nobody listens on the port. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((found) => {
    const server = createServer()
    server.once('error', () => found(false))
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => found(true)))
  })
}

/** The first free port from `first` on, among a hundred. */
export async function freePort(first: number, what: string): Promise<number> {
  for (let port = first; port < first + 100; port++) if (await isFree(port)) return port
  throw new Failure(`no port from ${first} to ${first + 99} is free for ${what}`)
}
