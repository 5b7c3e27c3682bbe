import type { KubeletDeps } from '../deps.ts'
export async function runServer(deps: KubeletDeps & Record<string, unknown>): Promise<void> {
  deps.onListening?.(deps.port)
  await new Promise<void>((resolve) => deps.signal.addEventListener('abort', () => resolve()))
}
