// News from the Docker engine: one long answer, a JSON object per event; asked for again from where it broke.
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { RuntimeEvent } from '../runtime.ts'
import type { DockerClient } from './client.ts'
import { clusterLabel, typeLabel } from './marks.ts'

interface DockerEvent {
  readonly Action: string
  readonly timeNano: number
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

const retryMsMin = 200
const retryMsMax = 5_000
const eventBytesMax = 1_048_576

/** Calls `onEvent` for what happens to the cluster's containers until the signal aborts. */
export async function watchDockerEvents(
  { client, cluster, clock, log }: { client: DockerClient; cluster: string; clock: Clock; log: Logger },
  onEvent: (event: RuntimeEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const filters = JSON.stringify({ type: ['container'], label: [`${clusterLabel}=${cluster}`], event: ['start', 'die', 'destroy'] })
  let since = clock.now() / 1000
  let retryMs = retryMsMin
  while (!signal.aborted) {
    try {
      const response = await client.stream('GET', '/events', {
        query: { filters, since: since.toFixed(9) },
        signal,
        timeoutMs: Number.POSITIVE_INFINITY,
      })
      let rest = ''
      for await (const chunk of response as AsyncIterable<Buffer>) {
        retryMs = retryMsMin
        const lines = (rest + chunk.toString()).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > eventBytesMax) throw new Error('an event without end')
        for (const line of lines.filter((l) => l.trim() !== '')) {
          const event = JSON.parse(line) as DockerEvent
          // Events are news, not history: one that comes twice after a break does no harm.
          since = event.timeNano / 1e9
          const news = eventFrom(event)
          if (news !== undefined) onEvent(news)
        }
      }
    } catch (error) {
      if (signal.aborted) return
      log.debug('the Docker event stream broke', { error })
    }
    await clock.sleep(retryMs, signal).catch(() => undefined)
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
}

function eventFrom({ Action, Actor }: DockerEvent): RuntimeEvent | undefined {
  const podUid = Actor.Attributes['io.kubernetes.pod.uid']
  if (podUid === undefined) return undefined
  if (Actor.Attributes[typeLabel] === 'sandbox') return { type: 'sandboxChanged', podUid }
  const type = ({ start: 'containerStarted', die: 'containerExited', destroy: 'containerRemoved' } as const)[Action]
  return type === undefined ? undefined : { type, podUid, containerId: Actor.ID }
}
