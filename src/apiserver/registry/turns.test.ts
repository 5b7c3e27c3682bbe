import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { openTestCore } from '../api-core.testing.ts'
import { type Turn, Turns } from './turns.ts'

describe('turns', () => {
  const order = (turns: Turns, names: readonly string[]): { got: string[]; held: Map<string, Turn> } => {
    const got: string[] = []
    const held = new Map<string, Turn>()
    for (const name of names) {
      void Promise.resolve(turns.take('a')).then((turn) => {
        got.push(name)
        held.set(name, turn)
      })
    }
    return { got, held }
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  test('are had at once when nobody has them, and in the order in which they were asked for', async () => {
    const turns = new Turns(new FakeClock())
    const { got, held } = order(turns, ['one', 'two', 'three'])
    await settle()
    expect(got).toEqual(['one'])
    held.get('one')!.done()
    held.get('one')!.done()
    await settle()
    expect(got).toEqual(['one', 'two'])
    held.get('two')!.done()
    await settle()
    expect(got).toEqual(['one', 'two', 'three'])
  })

  test('at one key are no concern of another', () => {
    const turns = new Turns(new FakeClock())
    expect(turns.take('a')).not.toBeInstanceOf(Promise)
    expect(turns.take('b')).not.toBeInstanceOf(Promise)
  })

  test('are over for the others after a time, though not done, and ending them late takes nobody else’s', async () => {
    const clock = new FakeClock()
    const turns = new Turns(clock)
    const { got, held } = order(turns, ['slow', 'two', 'three'])
    await settle()
    await clock.advance(50)
    await settle()
    expect(got).toEqual(['slow', 'two'])
    held.get('slow')!.done()
    await settle()
    expect(got).toEqual(['slow', 'two'])
    held.get('two')!.done()
    await settle()
    expect(got).toEqual(['slow', 'two', 'three'])
  })

  test('leave nothing behind', async () => {
    const clock = new FakeClock()
    const turns = new Turns(clock)
    const { held } = order(turns, ['one', 'two'])
    await settle()
    held.get('one')!.done()
    await settle()
    held.get('two')!.done()
    expect(turns.take('a')).not.toBeInstanceOf(Promise)
  })
})

describe('writers of one object at once', () => {
  const path = '/api/v1/namespaces/default/configmaps'

  async function withMap(admitted: () => void): Promise<Awaited<ReturnType<typeof openTestCore>>> {
    const counting = {
      name: 'Counting',
      handles: (operation: string, kind: { resource: string }) => operation === 'UPDATE' && kind.resource === 'configmaps',
      validate: admitted,
    }
    const api = await openTestCore({ admission: [counting] })
    await api.ok('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } }).catch(() => {})
    await api.ok('POST', path, { body: { metadata: { name: 'one' }, data: { a: '0' } } })
    return api
  }

  test('each make it once by patches, and all of them count', async () => {
    let made = 0
    const api = await withMap(() => made++)
    const headers = { 'content-type': 'application/merge-patch+json' }
    const patched = Array.from({ length: 16 }, (_, i) => api.ok('PATCH', `${path}/one`, { headers, body: { data: { [`k${i}`]: 'x' } } }))
    await Promise.all(patched)
    expect(made).toBe(16)
    expect(Object.keys((await api.ok('GET', `${path}/one`)).json.data)).toHaveLength(17)
    await api.close()
  })

  test('of whom all saw the same revision: one wins', async () => {
    const api = await withMap(() => {})
    const seen = (await api.ok('GET', `${path}/one`)).json
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => api.call('PUT', `${path}/one`, { body: { ...seen, data: { a: String(i + 1) } } })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 15 }, () => 409)])
    await api.close()
  })
})
