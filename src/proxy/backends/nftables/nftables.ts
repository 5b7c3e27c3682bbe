// The nftables backend: one table for a cluster, one transaction for a change, and in it only what changed.
import { runCommand } from '#platform/process'
import type { RuleSet } from '../../rule-set.ts'
import type { ProxyBackend } from '../backend.ts'
import { type Element, type Fragment, renderBase, renderService } from './render.ts'

export interface NftablesOptions {
  /** Names the table, with what nftables cannot name replaced. */
  readonly clusterName: string
  /** Runs `nft -f -` with this input; for tests. */
  readonly nft?: (input: string) => Promise<void>
}

export function serviceTable(clusterName: string): string {
  return `navarch-${clusterName.replaceAll(/[^A-Za-z0-9_-]/g, '-')}`
}

/** A backend that replaces the table at its first `apply` and changes it from then on. */
export function createNftablesBackend({ clusterName, nft = runNft }: NftablesOptions): ProxyBackend {
  const table = serviceTable(clusterName)
  let applied: TableState | undefined

  return {
    async apply(rules) {
      const wanted = stateOf(rules, applied)
      const whole = applied === undefined || applied.podCidrs !== wanted.podCidrs
      const script = whole
        ? renderBase(table, rules) + renderChanges(table, emptyState(wanted.podCidrs), wanted)
        : renderChanges(table, applied!, wanted)
      if (script === '') return
      try {
        await nft(script)
        applied = wanted
      } catch (error) {
        // What the kernel holds is unknown now (somebody flushed the table, say): the next attempt begins from nothing.
        applied = undefined
        throw error
      }
    },
    async remove() {
      applied = undefined
      await nft(`add table inet ${table}\ndelete table inet ${table}\n`)
    },
  }
}

/** What a table holds: enough to tell what must change. */
interface TableState {
  readonly podCidrs: string
  /** Fragments are kept by rule, so that an unchanged one is not rendered again. */
  readonly fragments: ReadonlyMap<string, { readonly text: string; readonly fragment: Fragment }>
}

function emptyState(podCidrs: string): TableState {
  return { podCidrs, fragments: new Map() }
}

function stateOf(rules: RuleSet, before: TableState | undefined): TableState {
  const fragments = rules.services.map((rule) => {
    const text = JSON.stringify(rule)
    const known = before?.fragments.get(rule.id)
    return [rule.id, known?.text === text ? known : { text, fragment: renderService(rule) }] as const
  })
  return { podCidrs: rules.podCidrs.join(','), fragments: new Map(fragments) }
}

/** The commands that lead from one state to the other; empty when they are equal. */
function renderChanges(table: string, from: TableState, to: TableState): string {
  const changed = [...to.fragments].filter(([id, { text }]) => from.fragments.get(id)?.text !== text).map(([id]) => id)
  const gone = [...from.fragments.keys()].filter((id) => !to.fragments.has(id))
  if (changed.length === 0 && gone.length === 0) return ''
  const before = [...gone, ...changed].flatMap((id) => from.fragments.get(id)?.fragment ?? [])
  const after = changed.flatMap((id) => to.fragments.get(id)?.fragment ?? [])
  const lines: string[] = []
  const chainsAfter = merge(after.map(({ chains }) => chains))
  const chainsBefore = merge(before.map(({ chains }) => chains))
  const setsAfter = merge(after.map(({ sets }) => sets))
  const setsBefore = merge(before.map(({ sets }) => sets))
  // What is referred to comes first and goes last: sets, chains, their rules, then the elements that lead to them.
  for (const [name, declaration] of setsAfter) if (!setsBefore.has(name)) lines.push(`add set inet ${table} ${name} ${declaration}`)
  for (const name of chainsAfter.keys()) if (!chainsBefore.has(name)) lines.push(`add chain inet ${table} ${name}`)
  for (const [name, rules] of chainsAfter) {
    const old = chainsBefore.get(name)
    if (old !== undefined && old.join('\n') === rules.join('\n')) continue
    if (old !== undefined) lines.push(`flush chain inet ${table} ${name}`)
    for (const rule of rules) lines.push(`add rule inet ${table} ${name} ${rule}`)
  }
  lines.push(...renderElements(table, from, to, before, after))
  const goneChains = [...chainsBefore.keys()].filter((name) => !chainsAfter.has(name))
  for (const name of goneChains) lines.push(`flush chain inet ${table} ${name}`)
  for (const name of goneChains) lines.push(`delete chain inet ${table} ${name}`)
  for (const name of setsBefore.keys()) if (!setsAfter.has(name)) lines.push(`delete set inet ${table} ${name}`)
  return `${lines.join('\n')}\n`
}

function renderElements(
  table: string,
  from: TableState,
  to: TableState,
  before: readonly Fragment[],
  after: readonly Fragment[],
): string[] {
  const old = indexElements(before)
  const fresh = indexElements(after)
  // A hairpin pair may be shared with Services that did not change.
  const shared = new Set<string>()
  if (old.size > 0) {
    const touched = new Set(before)
    for (const [id, { fragment }] of from.fragments) {
      if (touched.has(fragment) || !to.fragments.has(id)) continue
      for (const element of fragment.elements) if (element.collection === 'hairpin') shared.add(idOf(element))
    }
  }
  const lines: string[] = []
  for (const [id, { collection, key, value }] of old) {
    const next = fresh.get(id)
    if (next?.value === value && next !== undefined) continue
    if (shared.has(id)) continue
    lines.push(`delete element inet ${table} ${collection} { ${key} }`)
  }
  for (const [id, { collection, key, value }] of fresh) {
    const previous = old.get(id)
    if (previous !== undefined && previous.value === value) continue
    lines.push(`add element inet ${table} ${collection} { ${key}${value === undefined ? '' : ` : ${value}`} }`)
  }
  return lines
}

function idOf({ collection, key }: Element): string {
  return `${collection} ${key}`
}

function indexElements(fragments: readonly Fragment[]): Map<string, Element> {
  return new Map(fragments.flatMap(({ elements }) => elements.map((element) => [idOf(element), element] as const)))
}

function merge<V>(maps: readonly ReadonlyMap<string, V>[]): Map<string, V> {
  return new Map(maps.flatMap((map) => [...map]))
}

async function runNft(input: string): Promise<void> {
  const { code, stderr } = await runCommand('nft', ['-f', '-'], { input })
  if (code !== 0) throw new Error(`nft: ${stderr.trim().split('\n').slice(0, 4).join(' | ')}`)
}
