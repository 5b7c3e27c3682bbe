// Debian's docker-registry, for tests that pull: open, with a password, or with tokens; over HTTP or HTTPS.
import { rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { readImageArchive } from '#bootstrap/images/image-archive'
import { pushImage } from '#bootstrap/images/push-image'
import { runningProcess, startDaemon, stopProcess } from '#platform/daemon'
import { ensureDirectory } from '#platform/files'
import { isRunning } from '#platform/process'
import { createCa, issueCertificate } from '#platform/x509'
import { checkTestDir } from './names.ts'
import { startTokenServer } from './token-server.ts'

/** Who may come in where a registry asks. */
export const registryAccount = { username: 'navarch', password: 'open-sesame' } as const

// bcrypt of the password above, the only form that the registry reads.
const passwordFile = `${registryAccount.username}:$2b$05$SZozeJPzHvuzR4V2PAeki.btKD.ULAakrxw42Q0JTwGiwG.Iu0/e6\n`

export interface TestRegistry {
  /** Host and port, as image names begin with. */
  readonly host: string
  /** The authority that signed the registry's certificate, in PEM; with `tls`. */
  readonly ca: string | undefined
  /** Sends the image in an archive to the registry, as `<host>/<name>`; returns that full name. */
  push(archive: string, name: string): Promise<string>
  /** Tells a containerd, by the directory with its registries' settings, to speak HTTPS with this registry and to trust it. */
  trustIn(certsDir: string): Promise<void>
  stop(): Promise<void>
}

export interface RegistryOptions {
  readonly dir: string
  readonly auth?: 'none' | 'password' | 'token'
  readonly tls?: boolean
  /** Where to listen; 127.0.0.1 and a free port when left out. Engines speak plain HTTP to 127.0.0.1 without being told. */
  readonly address?: string
  readonly port?: number
}

/** Starts a registry with everything below `dir`. What an earlier run left in `dir` is removed first. */
export async function startRegistry(options: RegistryOptions): Promise<TestRegistry> {
  const { dir, auth = 'none', tls = false, address = '127.0.0.1' } = options
  checkTestDir(dir)
  await stopRegistry(dir)
  await ensureDirectory(dir)
  const port = options.port ?? (await freePort(address))
  const host = `${address}:${port}`
  const ca = createCa({ commonName: 'test registry authority', days: 2, nowMs: clock.now() })
  const served = issueCertificate({ ca, commonName: 'registry', ips: [address], usages: ['server'], days: 1, nowMs: clock.now() })
  const files = { certificate: 'tls.crt', key: 'tls.key', passwords: 'htpasswd', roots: 'token-roots.pem' }
  await writeFile(join(dir, files.certificate), served.certificatePem)
  await writeFile(join(dir, files.key), served.privateKeyPem)
  await writeFile(join(dir, files.passwords), passwordFile)
  await writeFile(join(dir, files.roots), ca.certificatePem)
  const tokens = auth === 'token' ? await startTokenServer({ ca, account: registryAccount, service: host, clock }) : undefined
  const config = {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: {
      addr: host,
      secret: 'for tests',
      ...(tls ? { tls: { certificate: join(dir, files.certificate), key: join(dir, files.key) } } : {}),
    },
    ...(auth === 'password' ? { auth: { htpasswd: { realm: 'test registry', path: join(dir, files.passwords) } } } : {}),
    ...(tokens === undefined ? {} : { auth: { token: { ...tokens.registryConfig, rootcertbundle: join(dir, files.roots) } } }),
  }
  // JSON is YAML too.
  await writeFile(join(dir, 'config.yml'), JSON.stringify(config))
  const process = await startDaemon({
    program: 'docker-registry',
    args: ['serve', join(dir, 'config.yml')],
    title: 'nvt-registry',
    pidFile: join(dir, 'registry.pid'),
    logFile: join(dir, 'registry.log'),
  })
  const deadline = clock.monotonic() + 30_000
  while (!(await answers(address, port))) {
    if (!isRunning(process) || clock.monotonic() > deadline) throw new Error(`the registry did not start; see ${join(dir, 'registry.log')}`)
    await clock.sleep(20)
  }
  return {
    host,
    ca: tls ? ca.certificatePem : undefined,
    async push(archive, name) {
      const [image] = await readImageArchive(archive)
      const reference = `${host}/${name}`
      const credentials = auth === 'none' ? undefined : registryAccount
      await pushImage(image!, { reference, credentials, plainHttp: !tls, ca: tls ? ca.certificatePem : undefined })
      return reference
    },
    async trustIn(certsDir) {
      await ensureDirectory(join(certsDir, host))
      await writeFile(join(certsDir, host, 'ca.crt'), ca.certificatePem)
      const url = JSON.stringify(`https://${host}`)
      await writeFile(join(certsDir, host, 'hosts.toml'), `server = ${url}\n[host.${url}]\n  ca = "ca.crt"\n`)
    },
    async stop() {
      await tokens?.stop()
      await stopRegistry(dir)
    },
  }
}

async function stopRegistry(dir: string): Promise<void> {
  const running = runningProcess(join(dir, 'registry.pid'))
  if (running !== undefined) await stopProcess(running, { clock, graceMs: 2_000 })
  await rm(dir, { recursive: true, force: true })
}

/** A TCP port that nobody listens on at the moment. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, address, () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

// Any answer will do: with TLS it is the complaint that this was HTTP.
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host, port, path: '/v2/' }, (response) => {
      response.resume()
      resolve(true)
    })
    sent.once('error', () => resolve(false))
    sent.end()
  })
}
