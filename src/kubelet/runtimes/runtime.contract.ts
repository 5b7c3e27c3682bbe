// The contract of ContainerRuntime, run against every driver: the fake in unit tests, the others against real engines in e2e.
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { describeContainers } from './contract/containers.ts'
import { describeEngine } from './contract/engine.ts'
import type { Open, RuntimeHarness } from './contract/harness.ts'
import { describeLogs } from './contract/logs.ts'
import { describeNetwork } from './contract/network.ts'
import { describeSandboxes } from './contract/sandboxes.ts'
import { describeSecurity } from './contract/security.ts'
import { describeStreams } from './contract/streams.ts'

/** Describes the driver that `open` opens. `realProcesses`: whether what /proc says can be asked; the fake has no /proc. */
export function describeRuntime(name: string, open: Open, { realProcesses }: { realProcesses: boolean }): void {
  describe(`ContainerRuntime: ${name}`, () => {
    let harness: RuntimeHarness
    beforeAll(async () => {
      harness = await open()
    })
    afterAll(() => harness?.close())
    // A pod that a failed test left would disturb those after it.
    afterEach(async () => {
      for (const { id } of await harness.runtime.listSandboxes()) await harness.runtime.removeSandbox(id)
    })
    const get = (): RuntimeHarness => harness
    describe('sandboxes', () => describeSandboxes(get))
    describe('containers', () => describeContainers(get))
    describe('logs', () => describeLogs(get))
    describe('streams', () => describeStreams(get))
    describe('engine', () => describeEngine(get))
    if (!realProcesses) return
    describe('network', () => describeNetwork(get))
    describe('security', () => describeSecurity(get))
  })
}
