import { describe, expect, test } from 'vitest'
import { privateContainerdPaths, renderContainerdConfig, shortSocketPath } from './containerd-config.ts'

describe('the configuration of a private containerd', () => {
  test('keeps everything below the data directory and changes with what the machine allows', () => {
    const paths = privateContainerdPaths('/var/lib/navarch')
    const facts = { paths, sandboxImage: 'navarch.local/pause:1', snapshotter: 'overlayfs', cniPluginsDir: '/usr/lib/cni' } as const
    const text = renderContainerdConfig({ ...facts, restrictOomScore: true, disableApparmor: false })
    expect(text.split('\n').filter((line) => line.includes('/'))).toEqual([
      'root = "/var/lib/navarch/containerd/root"',
      'state = "/var/lib/navarch/containerd/state"',
      '  address = "/var/lib/navarch/run/containerd.sock"',
      '  address = "/var/lib/navarch/run/containerd.sock.ttrpc"',
      '  path = "/var/lib/navarch/containerd/root/opt"',
      '  sandbox_image = "navarch.local/pause:1"',
      '        Root = "/var/lib/navarch/containerd/state/runc"',
      '    bin_dir = "/usr/lib/cni"',
      '    conf_dir = "/var/lib/navarch/cni/conf"',
      '    config_path = "/var/lib/navarch/containerd/certs.d"',
    ])
    expect(text).toContain('restrict_oom_score_adj = true')
    expect(text).toContain('disable_apparmor = false')
  })

  test('quotes paths that hold quotes', () => {
    const paths = privateContainerdPaths('/data/a "b"')
    const facts = {
      paths,
      sandboxImage: 'x',
      snapshotter: 'native',
      cniPluginsDir: '/x',
      restrictOomScore: true,
      disableApparmor: true,
    } as const
    expect(renderContainerdConfig(facts)).toContain('root = "/data/a \\"b\\"/containerd/root"')
  })
})

describe('the path of a socket', () => {
  test('is the one asked for while it fits into an address', () => {
    const path = `/${'a'.repeat(106)}`
    expect(shortSocketPath(path)).toBe(path)
  })

  test('is a short one that stands for it when it does not fit', () => {
    const long = (dir: string): string => shortSocketPath(`/${dir.repeat(110)}/docker.sock`)
    expect(long('a')).toMatch(/^\/run\/navarch\/[0-9a-f]{16}\/docker\.sock$/)
    expect(long('a')).toBe(long('a'))
    expect(long('a')).not.toBe(long('b'))
  })

  test('leaves room for the second socket that containerd listens on', () => {
    const { socket } = privateContainerdPaths(`/${'d'.repeat(85)}`)
    expect(Buffer.byteLength(`${socket}.ttrpc`)).toBeLessThanOrEqual(107)
  })
})
