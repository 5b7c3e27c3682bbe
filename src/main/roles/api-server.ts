// The role of the API server: the store, the server over it, the port, and an orderly end.
import { allKinds } from '#api/kinds/all'
import { createApiServer } from '#apiserver/create-api-server'
import { createOpenApi } from '#apiserver/discovery/openapi'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { readPair, readServiceAccountKey } from '#bootstrap/pki'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { readDescriptions } from '../descriptions.ts'
import { kubernetesVersionInfo } from '../version.ts'
import type { Role } from './role.ts'

// Requests under way may finish within this long; watches are told to end at once.
const drainMs = 5_000

/** Runs until the signal aborts. */
export async function runApiServer(config: ClusterConfig, paths: ClusterPaths, { log, random, signal }: Role): Promise<void> {
  const store = await openLmdbStore({ dir: paths.store, clock })
  const ca = readPair(paths.pki, 'ca')
  const serving = readPair(paths.pki, 'apiserver')
  const kubeletClient = readPair(paths.pki, 'apiserver-kubelet-client')
  const frontProxyClient = readPair(paths.pki, 'front-proxy-client')
  const server = await createApiServer({
    store,
    kinds: allKinds,
    serviceCidrs: [config.serviceCidr],
    nodePortRange: config.nodePortRange,
    advertise: { address: config.nodeIp, port: config.apiPort },
    clock,
    random,
    log,
    version: kubernetesVersionInfo,
    serviceAccounts: {
      signingKeyPem: readServiceAccountKey(paths.pki),
      issuer: `https://kubernetes.default.svc.${config.clusterDomain}`,
    },
    kubeletTls: { ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem },
    frontProxyNames: ['front-proxy-client'],
    frontProxyClient: { cert: frontProxyClient.certificatePem, key: frontProxyClient.privateKeyPem },
    openApi: ({ catalog }, remotes) =>
      createOpenApi({ catalog, about: { version: kubernetesVersionInfo.gitVersion }, descriptions: readDescriptions, remotes }),
  })
  const listener = await listenApi({
    handle: server.handle,
    tls: {
      certificatePem: serving.certificatePem,
      privateKeyPem: serving.privateKeyPem,
      clientCaPem: ca.certificatePem,
      requestHeaderCaPem: readPair(paths.pki, 'front-proxy-ca').certificatePem,
    },
    host: '0.0.0.0',
    port: config.apiPort,
    clock,
  })
  log.info('serving', { address: `${config.nodeIp}:${listener.port}` })
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  server.stop()
  await listener.close(drainMs)
  await server.close()
  await store.close()
}
