// A server that answers TokenReviews and SubjectAccessReviews for tests, and the kubeconfig that leads to it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
export type Review = any

export interface ReviewServer {
  /** Path of a kubeconfig for it. */
  readonly kubeconfig: string
  readonly asked: Review[]
  /** What is answered from now on: a status, or a number for an HTTP status without more. */
  answer(respond: (review: Review) => object | number): void
  close(): Promise<void>
}

export async function startReviewServer(): Promise<ReviewServer> {
  const asked: Review[] = []
  let respond: (review: Review) => object | number = () => 404
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString())
      asked.push(review)
      const status = respond(review)
      if (typeof status === 'number') return outgoing.writeHead(status).end('as you wish')
      return outgoing.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, status }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const directory = mkdtempSync(join(tmpdir(), 'navarch-reviews-'))
  const kubeconfig = join(directory, 'kubeconfig')
  const { port } = server.address() as AddressInfo
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'reviews', cluster: { server: `http://127.0.0.1:${port}/review` } }],
      users: [{ name: 'apiserver', user: {} }],
      contexts: [{ name: 'reviews', context: { cluster: 'reviews', user: 'apiserver' } }],
      'current-context': 'reviews',
    }),
  )
  return {
    kubeconfig,
    asked,
    answer(next) {
      respond = next
    },
    close: () =>
      new Promise((resolve) => {
        rmSync(directory, { recursive: true, force: true })
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
