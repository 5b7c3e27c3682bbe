// What is fuzzed: a whole API server of this process on a store in memory, behind its real port, with its faults collected.
import { allKinds } from '#api/kinds/all'
import { type ApiServer, createApiServer } from '#apiserver/create-api-server'
import type { ServerLimits } from '#apiserver/server/limits'
import { type ApiListener, listenApi } from '#apiserver/server/listen'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { createLogger } from '#platform/log'
import { type CertifiedKey, createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { openMemoryStore } from '#storage/memory/memory-store'
import type { Store } from '#storage/store'

export interface Target {
  readonly api: ApiServer
  readonly store: Store
  readonly listener: ApiListener
  readonly port: number
  readonly caPem: string
  /** A member of system:masters. */
  readonly admin: CertifiedKey
  /** Somebody without any rights of their own. */
  readonly jane: CertifiedKey
  /** Log lines of level error since the last look: each is a bug. */
  takeFaults(): string[]
  close(): Promise<void>
}

const nowMs = systemClock.now()

/** Starts the server. The bounds on slow clients are short, so that being slow can be tried often. */
export async function startTarget(limits: Partial<ServerLimits> = {}): Promise<Target> {
  const ca = createCa({ commonName: 'cluster', days: 2, nowMs })
  const serving = issueCertificate({ ca, commonName: 'api', ips: ['127.0.0.1'], usages: ['server'], days: 2, nowMs })
  const client = (commonName: string, organizations: string[]): CertifiedKey =>
    issueCertificate({ ca, commonName, organizations, usages: ['client'], days: 2, nowMs })
  const admin = client('admin', ['system:masters'])
  const faults: string[] = []
  const store = openMemoryStore()
  const api = await createApiServer({
    store,
    kinds: allKinds,
    clock: systemClock,
    random: seededRandom(1),
    log: createLogger({ sink: { write: (line) => void faults.push(line) }, clock: systemClock, level: 'error' }),
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0+navarch', gitCommit: '', buildDate: '' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem: createPrivateKeyPem(), issuer: 'https://kubernetes.default.svc.cluster.local' },
    kubeletTls: { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem },
  })
  const listener = await listenApi({
    handle: api.handle,
    tls: { ...serving, clientCaPem: ca.certificatePem },
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    limits: { bodyTimeoutMs: 1_000, headerTimeoutMs: 1_000, idleTimeoutMs: 1_500, ...limits },
  })
  await api.untilReady()
  return {
    api,
    store,
    listener,
    port: listener.port,
    caPem: ca.certificatePem,
    admin,
    jane: client('jane', ['dev']),
    takeFaults: () => faults.splice(0),
    async close() {
      await listener.close(100)
      await api.close()
      await store.close()
    },
  }
}
