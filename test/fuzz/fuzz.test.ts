// Some thousands of hostile requests and every abuse of connections, from fixed seeds; `npm run fuzz` goes on from there.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { complaintAboutCost, runBatch, setScene, tryRequest, wiresOf } from './batch.ts'
import { bombsOf } from './bombs.ts'
import { abuse, abuses, complaintAboutRemains } from './connections.ts'
import { rollDice } from './dice.ts'
import { expressionBombs } from './expression-bombs.ts'
import type { Scene } from './maker.ts'
import { shown } from './oracle.ts'
import { startTarget, type Target } from './target.ts'

// The machine may be busy with other things: hanging for long is hanging, being slow is not.
const options = { hangMs: 20_000, cpuMsMax: 3_000 }

let target: Target

beforeAll(async () => {
  target = await startTarget()
})
afterAll(async () => {
  await target.close()
})

describe('requests', () => {
  test.each([1, 2, 3])(
    'of seed %i are answered as they should be, and leave nothing half-written',
    async (seed) => {
      const { failures } = await runBatch(target, seed, { ...options, requests: 400 })
      expect(failures).toEqual([])
    },
    120_000,
  )

  test.each([
    ['bodies', 'bombs', (scene: Scene) => bombsOf(rollDice(1), scene)],
    ['expressions, patterns and certificates', 'expression-bombs', expressionBombs],
  ])(
    'MUSTHOLD 11: that are bombs of %s cost next to nothing',
    async (_, namespace, requestsFor) => {
      const { wires, close } = wiresOf(target, options.hangMs)
      const scene = await setScene(wires[0]!, namespace)
      const failures: string[] = []
      for (const request of requestsFor(scene)) {
        const { complaint, slow } = await tryRequest(target, wires[0]!, request)
        const wrong = complaint ?? (slow ? await complaintAboutCost(wires[0]!, request, options) : undefined)
        if (wrong !== undefined) failures.push(`${wrong}\n    ${shown(request)}`)
      }
      close()
      expect(failures).toEqual([])
    },
    120_000,
  )
})

describe('MUSTHOLD 12: connections', () => {
  test('that are abused in every way do not keep others from their answers, and leave nothing behind', async () => {
    const dice = rollDice(1)
    const waiting = [...abuses]
    const complaints: (string | undefined)[] = []
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) complaints.push(await abuse(target, next, dice))
    }
    await Promise.all(Array.from({ length: 6 }, worker))
    complaints.push(await complaintAboutRemains(target))
    expect(complaints.filter((complaint) => complaint !== undefined)).toEqual([])
    expect(target.takeFaults()).toEqual([])
  }, 60_000)
})
