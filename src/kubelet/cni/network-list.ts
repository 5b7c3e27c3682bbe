// A network configuration list and what is done with it: ADD along the chain, DEL back along it, CHECK (CNI specification 1.0.0,
// sections 1 and 3). Results are kept on disk, since DEL and CHECK need what ADD answered and must work after a restart.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '#base/assert'
import { type CniResult, callPlugin } from './plugin.ts'

export interface PluginConfig {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>>
  readonly [key: string]: unknown
}

export interface NetworkList {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly PluginConfig[]
}

/** One attachment of one container to one network. */
export interface Attachment {
  readonly containerId: string
  readonly netns: string
  readonly interfaceName: string
  readonly args: Readonly<Record<string, string>>
  /** Values for plugins that announce the capability, e.g. `bandwidth`. */
  readonly capabilityArgs: Readonly<Record<string, unknown>>
}

export interface NetworkDeps {
  readonly binDirs: readonly string[]
  /** Directory for results; made when missing. */
  readonly cacheDir: string
  readonly signal?: AbortSignal
}

/** What is kept of an attachment: enough to undo it without anything else. */
export interface CachedAttachment {
  readonly kind: 'cniCacheV1'
  readonly networkName: string
  readonly attachment: Attachment
  readonly list: NetworkList
  readonly result: CniResult
}

const nameForm = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/

/** Reads a conflist's text. Throws with what is wrong with it. */
export function parseNetworkList(text: string): NetworkList {
  const list = JSON.parse(text) as Partial<NetworkList>
  if (typeof list !== 'object' || list === null) throw new Error('network configuration list is not an object')
  if (typeof list.name !== 'string' || !nameForm.test(list.name)) throw new Error(`invalid network name ${JSON.stringify(list.name)}`)
  if (!Array.isArray(list.plugins) || list.plugins.length === 0) throw new Error(`network ${list.name} has no plugins`)
  for (const plugin of list.plugins as unknown[]) {
    const type = (plugin as { type?: unknown } | null)?.type
    if (typeof type !== 'string' || !nameForm.test(type)) throw new Error(`network ${list.name} has a plugin without a type`)
  }
  return { cniVersion: list.cniVersion ?? '1.0.0', name: list.name, plugins: list.plugins }
}

/** Loads the conflists of a directory in the order of their names; engines use the first. */
export async function loadNetworkLists(dir: string): Promise<NetworkList[]> {
  const names = (await readdir(dir)).filter((n) => n.endsWith('.conflist')).sort()
  return Promise.all(names.map(async (name) => parseNetworkList(await readFile(join(dir, name), 'utf8'))))
}

/** Attaches the container. When a plugin fails, what the earlier ones did is undone before the error is thrown. */
export async function addToNetwork(list: NetworkList, attachment: Attachment, deps: NetworkDeps): Promise<CniResult> {
  assert(nameForm.test(attachment.containerId), `container id ${attachment.containerId} is not a plain name`)
  let result: CniResult | undefined
  try {
    for (const plugin of list.plugins) {
      result = (await call('ADD', list, plugin, attachment, result, deps)) ?? result
    }
    assert(result !== undefined, `network ${list.name} gave no result`)
    await writeCache({ kind: 'cniCacheV1', networkName: list.name, attachment, list, result }, deps.cacheDir)
    return result
  } catch (error) {
    // The first error is what happened; a failing clean-up does not change it.
    await deleteAlong(list, attachment, result, { ...deps, signal: undefined }).catch(() => undefined)
    throw error
  }
}

/** Detaches the container. Repeatable; a namespace that is gone is no error (pass an empty `netns`). */
export async function deleteFromNetwork(list: NetworkList, attachment: Attachment, deps: NetworkDeps): Promise<void> {
  const cached = await readCache(cachePath(deps.cacheDir, list.name, attachment), deps.cacheDir)
  await deleteAlong(cached?.list ?? list, { ...(cached?.attachment ?? attachment), netns: attachment.netns }, cached?.result, deps)
  await rm(cachePath(deps.cacheDir, list.name, attachment), { force: true })
}

/** Asks every plugin whether the attachment is still as ADD left it. Throws a CniError when it is not. */
export async function checkNetwork(list: NetworkList, attachment: Attachment, deps: NetworkDeps): Promise<void> {
  const cached = await readCache(cachePath(deps.cacheDir, list.name, attachment), deps.cacheDir)
  if (cached === undefined) throw new Error(`network ${list.name} has no attachment of ${attachment.containerId}`)
  for (const plugin of list.plugins) await call('CHECK', list, plugin, cached.attachment, cached.result, deps)
}

/** Every attachment on disk. Files that cannot be read are left out and removed. */
export async function cachedAttachments(cacheDir: string): Promise<CachedAttachment[]> {
  let names: string[]
  try {
    names = await readdir(cacheDir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  const found = await Promise.all(names.map((name) => readCache(join(cacheDir, name), cacheDir)))
  return found.filter((f) => f !== undefined)
}

async function deleteAlong(list: NetworkList, attachment: Attachment, result: CniResult | undefined, deps: NetworkDeps): Promise<void> {
  for (const plugin of list.plugins.toReversed()) await call('DEL', list, plugin, attachment, result, deps)
}

function call(
  command: 'ADD' | 'DEL' | 'CHECK',
  list: NetworkList,
  plugin: PluginConfig,
  attachment: Attachment,
  prevResult: CniResult | undefined,
  deps: NetworkDeps,
): Promise<CniResult | undefined> {
  const { capabilities, ...own } = plugin
  const runtimeConfig: Record<string, unknown> = {}
  for (const [name, wanted] of Object.entries(capabilities ?? {})) {
    if (wanted && attachment.capabilityArgs[name] !== undefined) runtimeConfig[name] = attachment.capabilityArgs[name]
  }
  return callPlugin({
    command,
    containerId: attachment.containerId,
    netns: attachment.netns,
    interfaceName: attachment.interfaceName,
    args: attachment.args,
    binDirs: deps.binDirs,
    signal: deps.signal,
    config: {
      ...own,
      cniVersion: list.cniVersion,
      name: list.name,
      ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
      ...(prevResult === undefined ? {} : { prevResult }),
    },
  })
}

function cachePath(cacheDir: string, network: string, attachment: Attachment): string {
  return join(cacheDir, `${network}-${attachment.containerId}-${attachment.interfaceName}`)
}

async function writeCache(entry: CachedAttachment, cacheDir: string): Promise<void> {
  const path = cachePath(cacheDir, entry.networkName, entry.attachment)
  const write = (): Promise<void> => writeFile(path, JSON.stringify(entry), { mode: 0o600 })
  try {
    await write()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(cacheDir, { recursive: true, mode: 0o700 })
    await write()
  }
}

async function readCache(path: string, cacheDir: string): Promise<CachedAttachment | undefined> {
  assert(path.startsWith(`${cacheDir}/`), `${path} is outside the cache`)
  try {
    const entry = JSON.parse(await readFile(path, 'utf8')) as CachedAttachment
    if (entry.kind === 'cniCacheV1') return entry
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    // A half-written file of a crash: ADD had not answered yet, so DEL works from the configuration alone.
    if (!(error instanceof SyntaxError)) throw error
  }
  await rm(path, { force: true })
  return undefined
}
