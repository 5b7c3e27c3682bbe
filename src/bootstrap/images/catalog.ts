// The images that Navarch itself, its examples and its tests use. All but pause are made of files of unpacked Debian packages.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ImageLayer, ImageSpec } from './build-image.ts'
import { type Architecture, pauseBinary } from './pause-binary.ts'
import { findLibraries } from './shared-libraries.ts'
import type { TarEntry } from './tar.ts'
import { serveScript, webServerConfig } from './web-server.ts'

/** The sandbox's image, which every pod starts with. It is made of code alone, so it can be built anywhere, at any time. */
export function pauseImage(architecture: Architecture): ImageSpec {
  return {
    reference: 'navarch.local/pause:1',
    architecture,
    layers: [{ comment: 'pause', entries: [file('pause', pauseBinary(architecture), 0o755)] }],
    process: { Entrypoint: ['/pause'], User: '65535:65535' },
  }
}

/** What the catalogue is built from: `packages` holds one directory for each unpacked Debian package, by its name. */
export interface CatalogSources {
  readonly packages: string
  readonly architecture: Architecture
}

/** Every image of the catalogue, ready to build. */
export async function imageCatalog(sources: CatalogSources): Promise<readonly ImageSpec[]> {
  const { architecture } = sources
  const shell = await shellLayer(sources)
  const nginx = await nginxLayer(sources)
  const web = (version: string): ImageSpec => ({
    reference: `navarch.local/web:${version}`,
    architecture,
    layers: [shell, nginx, webLayer(version)],
    process: {
      Entrypoint: ['/usr/local/bin/serve'],
      Env: [path],
      User: '65532:65532',
      WorkingDir: '/',
      ExposedPorts: { '8080/tcp': {} },
      Labels: { 'org.opencontainers.image.version': version },
    },
  })
  const busybox: ImageSpec = {
    reference: 'navarch.local/busybox:1',
    architecture,
    layers: [shell],
    process: { Cmd: ['sh'], Env: [path], WorkingDir: '/' },
  }
  return [pauseImage(architecture), busybox, web('v1'), web('v2')]
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

async function shellLayer({ packages }: CatalogSources): Promise<ImageLayer> {
  const program = join(packages, 'busybox-static/bin/busybox')
  const { stdout } = await promisify(execFile)(program, ['--list-full'])
  const applets = stdout.split('\n').filter((line) => line !== '' && line !== 'bin/busybox')
  return {
    comment: 'busybox',
    entries: [
      ...['bin', 'dev', 'etc', 'home', 'lib', 'proc', 'run', 'sbin', 'sys', 'usr', 'usr/bin', 'usr/sbin', 'usr/local', 'usr/local/bin'].map(
        (name) => directory(name),
      ),
      ...['var', 'var/log', 'var/lib', 'var/spool'].map((name) => directory(name)),
      directory('root', 0o700),
      directory('tmp', 0o1777),
      directory('var/tmp', 0o1777),
      { kind: 'symlink', path: 'var/run', target: '/run' },
      { kind: 'file', path: 'bin/busybox', mode: 0o755, source: { path: program } },
      ...applets.sort().map((applet): TarEntry => ({ kind: 'symlink', path: applet, target: '/bin/busybox' })),
      file(
        'etc/passwd',
        'root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
      ),
      file('etc/group', 'root:x:0:\ntty:x:5:\nnonroot:x:65532:\nnogroup:x:65534:\n'),
      file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
    ],
  }
}

const libraryPackages = ['libc6', 'libcrypt1', 'libpcre2-8-0', 'libssl3', 'zlib1g']

/** The Debian packages whose files are in the catalogue's images. */
export const imagePackages: readonly string[] = ['busybox-static', 'nginx', ...libraryPackages]

async function nginxLayer({ packages, architecture }: CatalogSources): Promise<ImageLayer> {
  const triple = architecture === 'amd64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu'
  const program = join(packages, 'nginx/usr/sbin/nginx')
  const directories = libraryPackages
    .flatMap((name) => [`${name}/lib/${triple}`, `${name}/usr/lib/${triple}`])
    .map((name) => join(packages, name))
    .filter((name) => existsSync(name))
  const libraries = [...(await findLibraries(program, directories))].sort(([a], [b]) => (a < b ? -1 : 1))
  const placed = libraries.map(([name, source]): TarEntry & { kind: 'file' } => ({
    kind: 'file',
    // The loader stands at the path that the program names, a library where Debian's loader looks.
    path: name.startsWith('/') ? name.slice(1) : `lib/${triple}/${name}`,
    mode: 0o755,
    source: { path: source },
  }))
  const folders = new Set(placed.map((entry) => entry.path.slice(0, entry.path.lastIndexOf('/'))).filter((name) => name !== 'lib'))
  return {
    comment: 'nginx',
    entries: [
      ...[...folders].sort().map((name) => directory(name)),
      ...placed,
      { kind: 'file', path: 'usr/sbin/nginx', mode: 0o755, source: { path: program } },
    ],
  }
}

function webLayer(version: string): ImageLayer {
  return {
    comment: `web ${version}`,
    entries: [
      directory('etc/nginx'),
      file('etc/nginx/nginx.conf', webServerConfig({ version, ipv6: true })),
      file('etc/nginx/nginx-ipv4.conf', webServerConfig({ version, ipv6: false })),
      file('usr/local/bin/serve', serveScript, 0o755),
    ],
  }
}

function directory(name: string, mode = 0o755): TarEntry {
  return { kind: 'directory', path: name, mode }
}

function file(name: string, bytes: Uint8Array | string, mode = 0o644): TarEntry {
  return { kind: 'file', path: name, mode, source: { bytes } }
}
