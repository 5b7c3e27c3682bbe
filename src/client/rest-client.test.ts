import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { Pod } from '#api/kinds/core/pod'
import { createClient } from './rest-client.ts'
import type { Transport } from './transport.ts'

test('the greatest whole number of 64 bits comes back as it was read', async () => {
  const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","annotations":{"a":"9223372036854776000"}},"spec":{"tolerations":[{"operator":"Exists","tolerationSeconds":9223372036854775807}]}}`
  const sent: string[] = []
  const transport: Transport = {
    async send({ body }) {
      if (body !== undefined) sent.push(Buffer.from(body).toString())
      return { status: 200, headers: {}, body: Readable.from([Buffer.from(pod)]) }
    },
    close: async () => undefined,
  }
  const client = createClient({ transport, userAgent: 'test' })
  const read = await client.get(Pod, { namespace: 'n', name: 'p' })
  await client.update(Pod, read)
  expect(sent).toEqual([pod])
})
