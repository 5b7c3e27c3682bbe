import { describe, expect, test } from 'vitest'
import { alreadyExists, notFound, staleResourceVersion } from '#api/errors'
import type { Lease } from '#api/generated/coordination-v1'
import { Lease as LeaseKind } from '#api/kinds/coordination/lease'
import { FakeClock } from '#base/fake-clock'
import type { Client } from './client.ts'
import { leadWhenElected } from './leader-election.ts'

const leases = { group: 'coordination.k8s.io', resource: 'leases' }

/** A server that holds one lease. */
function leaseServer() {
  let stored: Lease | undefined
  let version = 0
  let down = false
  const store = (lease: unknown): Lease => {
    stored = structuredClone(lease) as Lease
    stored.metadata.resourceVersion = String(++version)
    return structuredClone(stored)
  }
  const answer = <T>(run: () => T): Promise<T> => (down ? Promise.reject(new Error('unreachable')) : Promise.resolve().then(run))
  const client = {
    get: () =>
      answer(() => {
        if (stored === undefined) throw notFound(leases, 'x')
        return structuredClone(stored)
      }),
    create: (_kind: unknown, lease: Lease) =>
      answer(() => {
        if (stored !== undefined) throw alreadyExists(leases, 'x')
        return store(lease)
      }),
    update: (_kind: unknown, lease: Lease) =>
      answer(() => {
        if (lease.metadata.resourceVersion !== stored?.metadata.resourceVersion) throw staleResourceVersion(leases, 'x')
        return store(lease)
      }),
  } as unknown as Client
  return {
    client,
    holder: () => stored?.spec.holderIdentity,
    transitions: () => stored?.spec.leaseTransitions,
    setDown: (value: boolean) => {
      down = value
    },
  }
}

function candidate(server: ReturnType<typeof leaseServer>, clock: FakeClock, identity: string) {
  const stop = new AbortController()
  const state = { leading: false, outcome: '' }
  const done = leadWhenElected(
    { client: server.client, clock, namespace: 'kube-system', name: 'x', identity, signal: stop.signal },
    async (signal) => {
      state.leading = true
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      state.leading = false
    },
  ).then(
    () => {
      state.outcome = 'ended'
    },
    (error: Error) => {
      state.outcome = error.message
    },
  )
  return { state, stop, done }
}

describe('leader election', () => {
  test('one leads, the other waits, and takes over when the lease is given up', async () => {
    const server = leaseServer()
    const clock = new FakeClock()
    const first = candidate(server, clock, 'first')
    await clock.advance(0)
    const second = candidate(server, clock, 'second')
    await clock.advance(60_000)
    expect([first.state.leading, second.state.leading, server.holder()]).toEqual([true, false, 'first'])
    first.stop.abort(new Error('over'))
    await first.done
    await clock.advance(2_000)
    expect([first.state.outcome, second.state.leading, server.holder(), server.transitions()]).toEqual(['ended', true, 'second', 1])
    second.stop.abort(new Error('over'))
    await second.done
    expect(clock.pending).toBe(0)
  })

  test('MUSTHOLD 24: who cannot renew stops leading before another may begin', async () => {
    const server = leaseServer()
    const clock = new FakeClock()
    const { state } = candidate(server, clock, 'first')
    await clock.advance(5_000)
    server.setDown(true)
    await clock.advance(9_000)
    expect(state.leading).toBe(true)
    await clock.advance(5_900)
    expect(state).toEqual({ leading: false, outcome: 'lost the lease kube-system/x' })
  })

  test('MUSTHOLD 24: a lease is taken only after it has stood still, by our own clock, for its whole duration', async () => {
    const server = leaseServer()
    const clock = new FakeClock()
    await server.client.create(LeaseKind, {
      metadata: { namespace: 'kube-system', name: 'x' },
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2020-01-01T00:00:00.000000Z', leaseTransitions: 3 },
    })
    const { state } = candidate(server, clock, 'next')
    await clock.advance(14_900)
    expect(state.leading).toBe(false)
    await clock.advance(2_000)
    expect([state.leading, server.holder(), server.transitions()]).toEqual([true, 'next', 4])
  })

  test('a process that comes back under its identity leads at once', async () => {
    const server = leaseServer()
    const clock = new FakeClock()
    await server.client.create(LeaseKind, {
      metadata: { namespace: 'kube-system', name: 'x' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2020-01-01T00:00:00.000000Z' },
    })
    const { state } = candidate(server, clock, 'me')
    await clock.advance(0)
    expect(state.leading).toBe(true)
  })
})
