import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { RuleSet, ServiceRule } from '../../rule-set.ts'
import { createNftablesBackend } from './nftables.ts'

const base: ServiceRule = {
  id: 'default/web:/TCP',
  protocol: 'tcp',
  port: 80,
  clusterIps: ['10.96.0.20'],
  externalIps: [],
  sourceRanges: [],
  nodePort: undefined,
  clusterTargets: [
    { ip: '10.244.0.2', port: 8080 },
    { ip: '10.244.0.3', port: 8080 },
  ],
  externalTargets: [],
  externalLocal: false,
  hasEndpoints: true,
  affinitySeconds: undefined,
}
const rules = (...services: ServiceRule[]): RuleSet => ({ services, podCidrs: ['10.244.0.0/16'] })
const empty = { clusterTargets: [], externalTargets: [], hasEndpoints: false }

const steps: readonly [string, RuleSet][] = [
  ['nothing', rules()],
  ['one service', rules(base)],
  ['an endpoint less', rules({ ...base, clusterTargets: base.clusterTargets.slice(0, 1) })],
  ['no endpoint', rules({ ...base, ...empty })],
  ['two services that share an endpoint', rules(base, { ...base, id: 'default/web2:/TCP', clusterIps: ['10.96.0.21'] })],
  ['one of them gone', rules(base)],
  ['a node port', rules({ ...base, nodePort: 30080, externalTargets: base.clusterTargets })],
  ['a node port without endpoints', rules({ ...base, nodePort: 30080, ...empty })],
  ['affinity', rules({ ...base, affinitySeconds: 60, nodePort: 30080, externalTargets: base.clusterTargets })],
  [
    'local external traffic and an external address',
    rules({
      ...base,
      externalIps: ['192.0.2.9'],
      sourceRanges: ['192.0.2.0/24'],
      externalLocal: true,
      externalTargets: base.clusterTargets,
    }),
  ],
  ['local, with endpoints elsewhere only', rules({ ...base, nodePort: 30080, externalLocal: true, externalTargets: [] })],
  ['nothing again', rules()],
]

/** A kernel that only keeps the text, to see what a change costs. */
function recording(): { scripts: string[]; nft: (input: string) => Promise<void> } {
  const scripts: string[] = []
  return { scripts, nft: async (input) => void scripts.push(input) }
}

describe('nftables backend', () => {
  test('an unchanged rule set costs no transaction', async () => {
    const { scripts, nft } = recording()
    const backend = createNftablesBackend({ clusterName: 'x', nft })
    await backend.apply(rules(base))
    await backend.apply(rules({ ...base }))
    expect(scripts.length).toBe(1)
  })

  test('a lost endpoint changes its own chain and hairpin pair, and nothing else', async () => {
    const { scripts, nft } = recording()
    const backend = createNftablesBackend({ clusterName: 'x', nft })
    const other = { ...base, id: 'default/other:/TCP', clusterIps: ['10.96.0.30'], clusterTargets: [{ ip: '10.244.0.9', port: 1 }] }
    await backend.apply(rules(base, other))
    await backend.apply(rules({ ...base, clusterTargets: base.clusterTargets.slice(0, 1) }, other))
    const chain = /add chain inet navarch-x (svc-\w+)/.exec(scripts[0] ?? '')?.[1]
    expect(scripts[1]).toBe(
      [
        `flush chain inet navarch-x ${chain}`,
        `add rule inet navarch-x ${chain} ip saddr != @pod_cidrs jump mark_masquerade`,
        `add rule inet navarch-x ${chain} meta l4proto tcp dnat ip to 10.244.0.2:8080`,
        'delete element inet navarch-x hairpin { 10.244.0.3 . 10.244.0.3 }',
        '',
      ].join('\n'),
    )
  })

  test('after a failure the whole table is set anew', async () => {
    let fail = false
    const scripts: string[] = []
    const nft = async (input: string): Promise<void> => {
      if (fail) throw new Error('no such table')
      scripts.push(input)
    }
    const backend = createNftablesBackend({ clusterName: 'x', nft })
    await backend.apply(rules(base))
    fail = true
    await expect(backend.apply(rules())).rejects.toThrow('no such table')
    fail = false
    await backend.apply(rules())
    expect(scripts[1]).toContain('delete table inet navarch-x')
  })
})

// The kernel itself says whether the text means anything; it needs root and nft, which unit tests may lack.
const kernel = process.getuid?.() === 0 && spawnSync('nft', ['--version']).status === 0
const withKernel = kernel ? describe : describe.skip

withKernel('nftables backend, in a network namespace of its own', () => {
  /** Applies all steps up to `count` and lists the table. */
  async function listing(count: number, fresh: boolean): Promise<string> {
    const scripts: string[] = []
    const nft = async (input: string): Promise<void> => void scripts.push(input)
    const backend = createNftablesBackend({ clusterName: 'nvt-unit', nft })
    const chosen = fresh ? steps.slice(count - 1, count) : steps.slice(0, count)
    for (const [, ruleSet] of chosen) await backend.apply(ruleSet)
    const commands = scripts.map((script) => `nft -f - <<'END'\n${script}END\n`).join('')
    const shell = `set -e\n${commands}nft list table inet navarch-nvt-unit`
    const { status, stdout, stderr } = spawnSync('unshare', ['--net', 'sh', '-c', shell], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    return stdout.split('\n').sort().join('\n')
  }

  test.each(steps.map(([name], i) => [name, i + 1] as const))(
    'changes lead to the same table as setting it whole: %s',
    async (_name, count) => {
      expect(await listing(count, false)).toBe(await listing(count, true))
    },
  )
})
