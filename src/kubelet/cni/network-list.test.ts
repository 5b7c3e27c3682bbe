import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Attachment, addToNetwork, cachedAttachments, checkNetwork, deleteFromNetwork, parseNetworkList } from './network-list.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-cni-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** A plugin that notes its call and answers with `reply`, or fails. */
async function plugin(name: string, script: string): Promise<void> {
  const path = join(dir, name)
  await writeFile(path, `#!/bin/sh\nconfig=$(cat)\necho "${name} $CNI_COMMAND $CNI_NETNS $config" >> ${dir}/calls\n${script}\n`)
  await chmod(path, 0o755)
}

const calls = async (): Promise<string[]> => (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n')
const deps = () => ({ binDirs: [join(dir, 'absent'), dir], cacheDir: join(dir, 'cache') })
const list = parseNetworkList(
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'net',
    plugins: [{ type: 'main' }, { type: 'extra', capabilities: { bandwidth: true, portMappings: true } }],
  }),
)
const attachment: Attachment = {
  containerId: 'c1',
  netns: '/ns/1',
  interfaceName: 'eth0',
  args: { K8S_POD_NAME: 'p' },
  capabilityArgs: { bandwidth: { ingressRate: 1 } },
}

describe('a network list', () => {
  test('ADD goes along the chain with the previous result and the capabilities asked for; DEL goes back with the cached result', async () => {
    await plugin('main', `[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}' || true`)
    await plugin('extra', `[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}],"dns":{}}' || true`)
    const result = await addToNetwork(list, attachment, deps())
    expect(result.ips).toEqual([{ address: '10.0.0.2/24' }])
    await checkNetwork(list, attachment, deps())
    expect((await cachedAttachments(deps().cacheDir)).map((c) => c.attachment)).toEqual([attachment])
    await deleteFromNetwork(list, { ...attachment, netns: '' }, deps())
    expect(await cachedAttachments(deps().cacheDir)).toEqual([])
    const all = await calls()
    expect(all.map((c) => c.split(' ').slice(0, 3).join(' '))).toEqual([
      'main ADD /ns/1',
      'extra ADD /ns/1',
      'main CHECK /ns/1',
      'extra CHECK /ns/1',
      'extra DEL ',
      'main DEL ',
    ])
    expect(JSON.parse(all[1]!.slice(all[1]!.indexOf('{')))).toEqual({
      type: 'extra',
      cniVersion: '1.0.0',
      name: 'net',
      runtimeConfig: { bandwidth: { ingressRate: 1 } },
      prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] },
    })
    expect(all[5]).toContain('"prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}],"dns":{}}')
  })

  test('when a later plugin fails, the earlier ones are undone and the error is the plugin’s own', async () => {
    await plugin('main', `[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0"}' || true`)
    await plugin('extra', `[ $CNI_COMMAND = ADD ] && { echo '{"code":11,"msg":"try again","details":"busy"}'; exit 1; } || true`)
    await expect(addToNetwork(list, attachment, deps())).rejects.toMatchObject({
      code: 11,
      message: 'plugin type="extra" failed: try again: busy',
    })
    expect((await calls()).map((c) => c.split(' ').slice(0, 2).join(' '))).toEqual(['main ADD', 'extra ADD', 'extra DEL', 'main DEL'])
    expect(await cachedAttachments(deps().cacheDir)).toEqual([])
  })

  test('a missing plugin is named, with the places where it was looked for', async () => {
    await expect(addToNetwork(parseNetworkList('{"name":"n","plugins":[{"type":"nowhere"}]}'), attachment, deps())).rejects.toThrow(
      `failed to find plugin "nowhere" in path [${join(dir, 'absent')} ${dir}]`,
    )
  })

  test.each([
    ['[]', 'invalid network name'],
    ['{"name":"a/b","plugins":[{"type":"x"}]}', 'invalid network name "a/b"'],
    ['{"name":"a","plugins":[]}', 'no plugins'],
    ['{"name":"a","plugins":[{"type":"../x"}]}', 'without a type'],
  ])('%s is refused', (text, message) => {
    expect(() => parseNetworkList(text)).toThrow(message)
  })
})
