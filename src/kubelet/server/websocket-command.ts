// exec and attach over WebSocket channels: stdin 0, stdout 1, stderr 2, error 3, resize 4.
import type { WebSocket } from 'ws'
import type { RemoteStreams } from './remote-command.ts'
import type { RemoteStatus } from './remote-status.ts'
import { openChannels } from './websocket-channels.ts'

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const

export interface CommandStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

export function websocketCommand(socket: WebSocket, protocol: string, wanted: CommandStreams): RemoteStreams {
  const channels = openChannels(socket, protocol)
  let onResize: ((columns: number, rows: number) => void) | undefined
  let size: { columns: number; rows: number } | undefined
  channels.onMessage(channel.resize, (data) => {
    const parsed = parseSize(data.toString('utf8'))
    if (parsed === undefined) return
    size = parsed
    onResize?.(parsed.columns, parsed.rows)
  })
  // The first protocols say in words what went wrong and nothing otherwise; later ones always send a Status.
  const plainErrors = !protocol.startsWith('v4.') && !protocol.startsWith('v5.')
  return {
    ...(wanted.stdin ? { stdin: channels.readable(channel.stdin) } : {}),
    ...(wanted.stdout ? { stdout: channels.writable(channel.stdout) } : {}),
    ...(wanted.stderr && !wanted.tty ? { stderr: channels.writable(channel.stderr) } : {}),
    onResize(handler) {
      onResize = handler
      if (size !== undefined) handler(size.columns, size.rows)
    },
    async finish(status: RemoteStatus) {
      const text = plainErrors ? (status.status === 'Success' ? '' : (status.message ?? '')) : JSON.stringify(status)
      if (text !== '') await channels.send(channel.error, Buffer.from(text)).catch(() => undefined)
      channels.close()
    },
    signal: channels.signal,
  }
}

/** `{"Width":80,"Height":24}`, as Go writes a terminal's size. */
export function parseSize(text: string): { columns: number; rows: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown }
    const valid = (n: unknown): n is number => typeof n === 'number' && Number.isInteger(n) && n > 0 && n < 65_536
    return valid(Width) && valid(Height) ? { columns: Width, rows: Height } : undefined
  } catch {
    return undefined
  }
}
