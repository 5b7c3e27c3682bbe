// Whether a TCP port takes a connection.
import { connect } from 'node:net'

/** Resolves once connected; the connection is closed at once. */
export function tcpConnect(host: string, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const abort = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : new Error('i/o timeout'))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve()
    })
    socket.once('error', (error) => {
      signal.removeEventListener('abort', abort)
      reject(error)
    })
  })
}
