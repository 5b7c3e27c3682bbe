import { type Answer, decode, encode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { type AskAnyone, followAlias } from './follow-alias.ts'

const records: Record<string, Answer[]> = {
  'a.test': [{ type: 'CNAME', name: 'a.test', data: 'b.test' }],
  'b.test': [
    { type: 'CNAME', name: 'b.test', data: 'c.test' },
    { type: 'A', name: 'c.test', data: '10.0.0.1' },
  ],
  'round.test': [{ type: 'CNAME', name: 'round.test', data: 'round.test' }],
  'lost.test': [{ type: 'CNAME', name: 'lost.test', data: 'nowhere.test' }],
  'plain.test': [{ type: 'A', name: 'plain.test', data: '10.0.0.2' }],
}
const asked: string[] = []
const ask: AskAnyone = async (query) => {
  const { name = '' } = query.questions?.[0] ?? {}
  asked.push(name)
  const answers = records[name]
  return answers === undefined ? undefined : encode({ type: 'response', id: query.id ?? 0, answers })
}

async function answersTo(name: string, type: 'A' | 'CNAME' = 'A'): Promise<string[]> {
  asked.length = 0
  const query = decode(encode({ type: 'query', id: 9, flags: 0x100, questions: [{ type, name }] }))
  const first = encode({ type: 'response', id: 9, flags: 0x580, questions: query.questions ?? [], answers: records[name] ?? [] })
  const followed = decode(await followAlias(query, first, ask))
  expect({ id: followed.id, flags: followed.flags, questions: followed.questions }).toMatchObject({
    id: 9,
    flags: 0x580,
    questions: [{ name }],
  })
  return (followed.answers ?? []).map((answer) => `${answer.type} ${(answer as { data: string }).data}`)
}

describe('an alias', () => {
  test('comes with the addresses behind it, through further aliases', async () => {
    expect(await answersTo('a.test')).toEqual(['CNAME b.test', 'CNAME c.test', 'A 10.0.0.1'])
  })

  test('comes alone when nothing is behind it, or when it alone was asked for', async () => {
    expect(await answersTo('lost.test')).toEqual(['CNAME nowhere.test'])
    expect(await answersTo('a.test', 'CNAME')).toEqual(['CNAME b.test'])
    expect(asked).toEqual([])
  })

  test('that leads back to itself is followed no further than a few steps', async () => {
    await answersTo('round.test')
    expect(asked.length).toBeLessThanOrEqual(8)
  })

  test('is what answers without one are not: they stay as they are', async () => {
    expect(await answersTo('plain.test')).toEqual(['A 10.0.0.2'])
    expect(asked).toEqual([])
  })
})
