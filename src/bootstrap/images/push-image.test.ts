import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { ArchivedImage } from './image-archive.ts'
import { pushImage, splitReference } from './push-image.ts'

const blob = (digest: string, text: string) => ({
  mediaType: '',
  digest,
  size: text.length,
  read: () => Readable.from([Buffer.from(text)]),
})
const image: ArchivedImage = {
  reference: '',
  manifest: Buffer.from('{}'),
  manifestMediaType: 'application/vnd.oci.image.manifest.v1+json',
  blobs: [blob('sha256:aa', 'there already'), blob('sha256:bb', 'new')],
}

/** A registry that has sha256:aa, wants the token "good" and writes down what it is asked. */
async function withRegistry(work: (host: string, seen: string[]) => Promise<void>): Promise<void> {
  const seen: string[] = []
  const server = createServer(async (request, response) => {
    const body = (await buffer(request)).toString()
    const reply = (status: number, headers = {}, text = ''): void => void response.writeHead(status, headers).end(text)
    const { url = '', method } = request
    if (url.startsWith('/token')) {
      seen.push(`${url} ${request.headers.authorization}`)
      return reply(200, {}, JSON.stringify({ token: 'good' }))
    }
    if (request.headers.authorization !== 'Bearer good') {
      const realm = `http://${request.headers.host}/token`
      return reply(401, { 'www-authenticate': `Bearer realm="${realm}",service="tests",scope="repository:t/x:pull"` })
    }
    seen.push(`${method} ${url} ${body}`.trimEnd())
    if (method === 'HEAD') return reply(url.endsWith('aa') ? 200 : 404)
    if (method === 'POST') return reply(202, { location: '/upload/1?state=s' })
    if (url.includes('refused'))
      return reply(400, {}, JSON.stringify({ errors: [{ code: 'MANIFEST_INVALID', message: 'manifest invalid' }] }))
    reply(201)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await work(`127.0.0.1:${(server.address() as AddressInfo).port}`, seen)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

describe('pushing an image', () => {
  test('fetches a token, sends the blobs that are missing, then the manifest', async () => {
    await withRegistry(async (host, seen) => {
      await pushImage(image, { reference: `${host}/t/x:v1`, credentials: { username: 'u', password: 'p' } })
      expect(seen).toEqual([
        `/token?service=tests&scope=repository%3At%2Fx%3Apull%2Cpush Basic ${btoa('u:p')}`,
        'HEAD /v2/t/x/blobs/sha256:aa',
        'HEAD /v2/t/x/blobs/sha256:bb',
        'POST /v2/t/x/blobs/uploads/',
        'PUT /upload/1?state=s&digest=sha256%3Abb new',
        'PUT /v2/t/x/manifests/v1 {}',
      ])
    })
  })

  test("fails with the registry's own words", async () => {
    await withRegistry(async (host) => {
      const reference = `${host}/t/x:refused`
      await expect(pushImage(image, { reference })).rejects.toThrow(`${reference}: the registry refuses the manifest: manifest invalid`)
    })
  })
})

describe('a full image name', () => {
  test.each([
    ['127.0.0.1:5000/team/web:v1', { host: '127.0.0.1:5000', repository: 'team/web', tag: 'v1' }],
    ['localhost/web', { host: 'localhost', repository: 'web', tag: 'latest' }],
    ['registry.example/a/b/c:x.y', { host: 'registry.example', repository: 'a/b/c', tag: 'x.y' }],
  ])('%s has a host, a repository and a tag', (reference, parts) => {
    expect(splitReference(reference)).toEqual(parts)
  })

  test.each(['web:v1', 'team/web:v1', 'registry.example/Web:v1', 'registry.example/web:', ''])('"%s" is refused', (reference) => {
    expect(() => splitReference(reference)).toThrow('does not name a registry')
  })
})
