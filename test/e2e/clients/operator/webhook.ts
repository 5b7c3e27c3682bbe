// The operator's webhooks: one gives a website its image, the other refuses pages that nobody should see and unbounded replicas.
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Website } from './website.ts'

interface Review {
  readonly apiVersion: string
  readonly kind: string
  readonly request: { readonly uid: string; readonly operation: string; readonly object: Website; readonly dryRun?: boolean }
}

export interface WebhookServer {
  readonly url: string
  close(): void
}

export async function serveWebhooks({ key, cert }: { readonly key: string; readonly cert: string }): Promise<WebhookServer> {
  const server: Server = createServer({ key, cert }, (request, response) => {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      const { apiVersion, kind, request: asked } = JSON.parse(text) as Review
      const verdict = request.url?.startsWith('/mutate') ? mutate(asked.object) : validate(asked.object)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ apiVersion, kind, response: { uid: asked.uid, ...verdict } }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() }
}

function mutate({ spec, metadata }: Website): object {
  const patch: object[] = []
  if (spec.image === undefined) patch.push({ op: 'add', path: '/spec/image', value: 'navarch.local/web:v1' })
  if (metadata?.labels === undefined) patch.push({ op: 'add', path: '/metadata/labels', value: { admitted: 'yes' } })
  return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
}

function validate({ spec, metadata }: Website): object {
  // What is going away may always be changed: its finalizers have to go.
  if (metadata?.deletionTimestamp !== undefined) return { allowed: true }
  if (spec.page.includes('secret')) {
    return { allowed: false, status: { code: 403, reason: 'Forbidden', message: 'pages must not tell secrets' } }
  }
  if ((spec.replicas ?? 1) > 5) return { allowed: false, status: { message: 'at most 5 replicas' } }
  return { allowed: true, ...((spec.replicas ?? 1) === 0 && { warnings: ['a site without replicas is not reachable'] }) }
}
