// The cluster's keys and certificates: one authority for servers and clients, one for the front proxy, the key pair that
// signs service-account tokens. Made when missing, renewed when they run out; private keys are readable by root alone.
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderKubeconfig } from '#client/kubeconfig'
import { readFileIfExists, writeFileAtomic } from '#platform/files'
import {
  type CertificateSubject,
  type CertificateUsage,
  type CertifiedKey,
  createCa,
  issueCertificate,
  parseCertificate,
} from '#platform/x509'
import { addressInRange, type ClusterConfig, type ClusterPaths } from './cluster-config.ts'

const caDays = 3_650
const leafDays = 365
// A certificate that has less than this left is issued anew at the next start.
const renewBeforeMs = 60 * 86_400_000

/** One certificate of the cluster: its file name below the PKI directory, and what it says. */
interface LeafSpec extends CertificateSubject {
  readonly file: string
  readonly usages: readonly CertificateUsage[]
  /** Also wrapped into a kubeconfig for this path and user. */
  readonly kubeconfig?: { readonly path: string; readonly user: string }
}

function leaves(config: ClusterConfig, paths: ClusterPaths): LeafSpec[] {
  const { nodeName, nodeIp, serviceCidr, clusterDomain } = config
  const client = ['client'] as const
  const role = (file: string, user: string): LeafSpec['kubeconfig'] => ({ path: join(paths.kubeconfigs, `${file}.kubeconfig`), user })
  return [
    {
      file: 'apiserver',
      commonName: 'kube-apiserver',
      usages: ['server'],
      dnsNames: [
        'localhost',
        nodeName,
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${clusterDomain}`,
      ],
      ips: [...new Set(['127.0.0.1', '::1', nodeIp, addressInRange(serviceCidr, 1)])],
    },
    { file: 'apiserver-kubelet-client', commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'], usages: client },
    {
      file: 'admin',
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usages: client,
      kubeconfig: { path: paths.adminKubeconfig, user: 'kubernetes-admin' },
    },
    {
      file: 'controllers',
      commonName: 'system:kube-controller-manager',
      usages: client,
      kubeconfig: role('controllers', 'system:kube-controller-manager'),
    },
    { file: 'scheduler', commonName: 'system:kube-scheduler', usages: client, kubeconfig: role('scheduler', 'system:kube-scheduler') },
    {
      file: 'node',
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      usages: client,
      kubeconfig: role('node', `system:node:${nodeName}`),
    },
    { file: 'proxy', commonName: 'system:kube-proxy', usages: client, kubeconfig: role('proxy', 'system:kube-proxy') },
    {
      file: 'kubelet',
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      usages: ['server'],
      dnsNames: [nodeName, 'localhost'],
      ips: [...new Set([nodeIp, '127.0.0.1'])],
    },
  ]
}

/** Makes what is missing and renews what runs out; keeps the rest. Kubeconfigs follow their certificates. */
export async function ensurePki(config: ClusterConfig, paths: ClusterPaths, nowMs: number): Promise<void> {
  for (const directory of [paths.pki, paths.kubeconfigs]) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const ca = await ensureCa(paths.pki, 'ca', `navarch-ca@${config.name}`, nowMs)
  const frontProxyCa = await ensureCa(paths.pki, 'front-proxy-ca', `navarch-front-proxy-ca@${config.name}`, nowMs)
  await ensureLeaf(paths.pki, frontProxyCa, { file: 'front-proxy-client', commonName: 'front-proxy-client', usages: ['client'] }, nowMs)
  await ensureServiceAccountKey(paths.pki)
  const server = `https://${config.nodeIp}:${config.apiPort}`
  for (const leaf of leaves(config, paths)) {
    const pair = await ensureLeaf(paths.pki, ca, leaf, nowMs)
    if (leaf.kubeconfig === undefined) continue
    const { path, user } = leaf.kubeconfig
    const text = renderKubeconfig(
      { server, ca: ca.certificatePem, clientCert: pair.certificatePem, clientKey: pair.privateKeyPem },
      { cluster: config.name, user },
    )
    if ((await readFileIfExists(path)) !== text) await writeFileAtomic(path, text)
  }
}

/** A pair by its file name, e.g. `apiserver`. */
export function readPair(pki: string, file: string): CertifiedKey {
  return {
    certificatePem: readFileSync(join(pki, `${file}.crt`), 'utf8'),
    privateKeyPem: readFileSync(join(pki, `${file}.key`), 'utf8'),
  }
}

/** The key that signs service-account tokens, PEM. */
export function readServiceAccountKey(pki: string): string {
  return readFileSync(join(pki, 'sa.key'), 'utf8')
}

async function existingPair(pki: string, file: string): Promise<CertifiedKey | undefined> {
  const [certificatePem, privateKeyPem] = await Promise.all([
    readFileIfExists(join(pki, `${file}.crt`)),
    readFileIfExists(join(pki, `${file}.key`)),
  ])
  return certificatePem === undefined || privateKeyPem === undefined ? undefined : { certificatePem, privateKeyPem }
}

async function writePair(pki: string, file: string, pair: CertifiedKey): Promise<void> {
  await writeFileAtomic(join(pki, `${file}.key`), pair.privateKeyPem)
  await writeFileAtomic(join(pki, `${file}.crt`), pair.certificatePem, { mode: 0o644 })
}

async function ensureCa(pki: string, file: string, commonName: string, nowMs: number): Promise<CertifiedKey> {
  const existing = await existingPair(pki, file)
  if (existing !== undefined) return existing
  const ca = createCa({ commonName, days: caDays, nowMs })
  await writePair(pki, file, ca)
  return ca
}

async function ensureLeaf(pki: string, ca: CertifiedKey, leaf: LeafSpec, nowMs: number): Promise<CertifiedKey> {
  const existing = await existingPair(pki, leaf.file)
  if (existing !== undefined && stillGood(existing, leaf, nowMs)) return existing
  const pair = issueCertificate({ ...leaf, ca, days: leafDays, nowMs })
  await writePair(pki, leaf.file, pair)
  return pair
}

function stillGood(pair: CertifiedKey, leaf: LeafSpec, nowMs: number): boolean {
  const certificate = parseCertificate(pair.certificatePem)
  const covers = (have: readonly string[], want: readonly string[] | undefined): boolean =>
    (want ?? []).every((name) => have.includes(name))
  return (
    certificate.notAfterMs - nowMs > renewBeforeMs &&
    certificate.commonName === leaf.commonName &&
    covers(certificate.dnsNames, leaf.dnsNames) &&
    covers(certificate.ips, leaf.ips)
  )
}

async function ensureServiceAccountKey(pki: string): Promise<void> {
  const path = join(pki, 'sa.key')
  if ((await readFileIfExists(path)) !== undefined) return
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFileAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  await writeFileAtomic(join(pki, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }) as string, { mode: 0o644 })
}
