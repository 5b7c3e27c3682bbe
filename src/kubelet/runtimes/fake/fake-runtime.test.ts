import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import type { RuntimeHarness } from '../contract/harness.ts'
import { sandboxConfig } from '../contract/harness.ts'
import { describeRuntime } from '../runtime.contract.ts'
import { RuntimeError } from '../runtime.ts'
import { addressRange } from './addresses.ts'
import { fakeCommand } from './behaviours.ts'
import { FakeEngine } from './engine.ts'
import { exitAfter } from './program.ts'
import { openFakeRuntime } from './runtime.ts'

async function openHarness(): Promise<RuntimeHarness> {
  const clock = new FakeClock()
  const engine = new FakeEngine({ clock, random: seededRandom(1) })
  engine.addImage({ name: 'navarch.local/busybox:1', present: true })
  engine.failPulls('navarch.local/denied:1', new RuntimeError('unauthorized', 'authentication required'))
  engine.fault = (operation, subject) =>
    operation === 'runSandbox' && subject === 'fails' ? new RuntimeError('unknown', 'injected') : undefined
  const logRoot = await mkdtemp(join(tmpdir(), 'nvt-fake-'))
  let runtime = openFakeRuntime(engine)
  await runtime.setPodCidr('10.1.0.0/24')
  return {
    get runtime() {
      return runtime
    },
    async reopen() {
      await runtime.close()
      runtime = openFakeRuntime(engine)
    },
    image: 'navarch.local/busybox:1',
    unpullable: [
      { image: 'navarch.local/absent:1', code: 'imageNotFound' },
      { image: 'navarch.local/denied:1', code: 'unauthorized' },
    ],
    logRoot,
    cgroupRoot: '/contract',
    realProcesses: false,
    privilegedWorks: true,
    command: fakeCommand,
    async pass(ms) {
      await clock.advance(ms)
      await new Promise((resolve) => setImmediate(resolve))
    },
    residue: async () => [],
    async close() {
      await runtime.close()
      expect(clock.pending).toBe(0)
      await rm(logRoot, { recursive: true })
    },
  }
}

describeRuntime('fake', openHarness, { realProcesses: false })

describe('the fake engine', () => {
  const open = (): { engine: FakeEngine; clock: FakeClock } => {
    const clock = new FakeClock()
    const engine = new FakeEngine({ clock, random: seededRandom(7), logs: 'none', registry: 'all' })
    engine.setPodCidr('10.1.0.0/24')
    return { engine, clock }
  }

  test('addresses are given in turn, never twice, and end', () => {
    const range = addressRange('10.9.8.0/29')
    const all = Array.from({ length: 6 }, () => range.take())
    expect(all).toEqual(['10.9.8.2', '10.9.8.3', '10.9.8.4', '10.9.8.5', '10.9.8.6', undefined])
    range.release('10.9.8.4')
    expect(range.take()).toBe('10.9.8.4')
  })

  test('an image says what its containers run; a reboot ends them with 255', async () => {
    const { engine, clock } = open()
    const runtime = openFakeRuntime(engine)
    engine.addImage({ name: 'job:1', program: exitAfter(5_000, 4), present: true })
    const harness = { logRoot: '/logs', cgroupRoot: '/c', image: 'job:1' } as RuntimeHarness
    const config = sandboxConfig(harness)
    const sandbox = await runtime.runSandbox(config)
    const { containerConfig } = await import('../contract/harness.ts')
    const make = async (name: string, image: string): Promise<string> => {
      const imageRef = await runtime.pullImage(image, undefined)
      const id = await runtime.createContainer(sandbox.id, containerConfig(harness, name, [], imageRef), config)
      await runtime.startContainer(id)
      return id
    }
    const job = await make('job', 'job:1')
    const server = await make('server', 'anything')
    await clock.advance(5_000)
    expect(await runtime.containerStatus(job)).toMatchObject({ state: 'exited', exitCode: 4, reason: 'Error' })
    expect(await runtime.execSync(server, ['some-probe'], 1_000)).toMatchObject({ exitCode: 0 })
    engine.reboot()
    expect(await runtime.containerStatus(server)).toMatchObject({ state: 'exited', exitCode: 255, reason: 'Unknown' })
    expect(await runtime.sandboxStatus(sandbox.id)).toMatchObject({ state: 'notready', ips: [] })
  })

  test('verbs take as long as told, and fail as told', async () => {
    const { engine, clock } = open()
    engine.delays = { runSandbox: 300 }
    const runtime = openFakeRuntime(engine)
    let done = false
    const running = runtime.runSandbox(sandboxConfig({ logRoot: '/l', cgroupRoot: '/c' } as RuntimeHarness)).then(() => {
      done = true
    })
    await clock.advance(299)
    expect(done).toBe(false)
    await clock.advance(1)
    await running
    engine.fault = (operation) => (operation === 'listSandboxes' ? new RuntimeError('unavailable', 'away') : undefined)
    await expect(runtime.listSandboxes()).rejects.toMatchObject({ code: 'unavailable' })
    expect(clock.pending).toBe(0)
  })
})
