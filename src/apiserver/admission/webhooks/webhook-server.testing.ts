// A webhook over HTTPS for tests: answers each path by a function, and remembers what it was asked.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { systemClock } from '#base/clock'
import { createCa, issueCertificate } from '#platform/x509'

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
export type Review = any

export interface WebhookServer {
  readonly port: number
  /** For `clientConfig.caBundle`. */
  readonly caBundle: string
  readonly asked: { readonly path: string; readonly query: string; readonly request: Review }[]
  /** Sets the answer of a path: a response without uid, or undefined for none at all. It may be some time in coming. */
  answer(path: string, respond: (request: Review) => unknown, afterMs?: number): void
  clientConfig(path: string): { url: string; caBundle: string }
  close(): Promise<void>
}

export async function startWebhookServer(dnsNames: readonly string[] = [], host = '127.0.0.1'): Promise<WebhookServer> {
  const nowMs = systemClock.now()
  const ca = createCa({ commonName: 'webhooks', days: 1, nowMs })
  const serving = issueCertificate({ ca, commonName: 'webhook', ips: ['127.0.0.1'], dnsNames, usages: ['server'], days: 1, nowMs })
  const asked: { path: string; query: string; request: Review }[] = []
  const answers = new Map<string, { respond: (request: Review) => unknown; afterMs: number }>()
  const server = createServer({ cert: serving.certificatePem, key: serving.privateKeyPem }, (incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', async () => {
      const { pathname, search } = new URL(incoming.url ?? '', 'https://webhook')
      const { apiVersion, request } = JSON.parse(Buffer.concat(chunks).toString())
      asked.push({ path: pathname, query: search, request })
      const { respond, afterMs = 0 } = answers.get(pathname) ?? {}
      if (afterMs > 0) await systemClock.sleep(afterMs)
      const response = respond?.(request)
      if (response === undefined) return
      if (typeof response === 'number') return outgoing.writeHead(response).end('as you wish')
      if (typeof response === 'string') return outgoing.end(response)
      outgoing.end(JSON.stringify({ apiVersion, kind: 'AdmissionReview', response: { uid: request.uid, ...(response as object) } }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const caBundle = Buffer.from(ca.certificatePem).toString('base64')
  return {
    port,
    caBundle,
    asked,
    answer: (path, respond, afterMs = 0) => void answers.set(path, { respond, afterMs }),
    clientConfig: (path) => ({ url: `https://127.0.0.1:${port}${path}`, caBundle }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
