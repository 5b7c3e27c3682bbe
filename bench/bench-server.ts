// The API server that benchmarks measure, and what it is served with.
import { allKinds } from '#api/kinds/all'
import { type ApiServer, type ApiServerDeps, createApiServer } from '#apiserver/create-api-server'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { silentLogger } from '#platform/log'
import { type CertifiedKey, createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import type { Store } from '#storage/store'

/** An authority, and a pair for 127.0.0.1 that it vouches for. */
export interface BenchKeys {
  readonly ca: CertifiedKey
  readonly server: CertifiedKey
}

export function benchKeys(): BenchKeys {
  const nowMs = clock.now()
  const ca = createCa({ commonName: 'bench', days: 1, nowMs })
  return { ca, server: issueCertificate({ ca, commonName: 'bench', ips: ['127.0.0.1'], usages: ['server'], days: 1, nowMs }) }
}

/** A whole API server over the store; whoever opened that closes it. */
export function openBenchServer(store: Store, { ca, server }: BenchKeys, more: Partial<ApiServerDeps> = {}): Promise<ApiServer> {
  return createApiServer({
    store,
    kinds: allKinds,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    version: { major: '1', minor: '36', gitVersion: 'bench', gitCommit: '', buildDate: '' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem: createPrivateKeyPem(), issuer: 'https://kubernetes.default.svc' },
    kubeletTls: { ca: ca.certificatePem, cert: server.certificatePem, key: server.privateKeyPem },
    ...more,
  })
}
