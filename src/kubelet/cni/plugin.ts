// One call of one CNI plugin: a program that reads its configuration on stdin and answers JSON on stdout (CNI specification 1.0.0,
// sections 2 and 4).
import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'VERSION'

/** What a plugin answered instead of a result; `code` is the specification's, or 999 when it gave none. */
export class CniError extends Error {
  override readonly name = 'CniError'
  readonly code: number
  readonly plugin: string
  constructor(plugin: string, code: number, message: string) {
    super(`plugin type="${plugin}" failed: ${message}`)
    this.code = code
    this.plugin = plugin
  }
}

export interface CniResult {
  readonly cniVersion: string
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[]
  readonly routes?: readonly unknown[]
  readonly dns?: unknown
}

export interface PluginCall {
  readonly command: CniCommand
  readonly containerId: string
  /** Path of the network namespace; empty when it is gone already (DEL only). */
  readonly netns: string
  readonly interfaceName: string
  /** CNI_ARGS, e.g. K8S_POD_NAME. */
  readonly args: Readonly<Record<string, string>>
  /** Where plugins are looked for, in order. */
  readonly binDirs: readonly string[]
  readonly config: Readonly<Record<string, unknown>>
  readonly signal?: AbortSignal
}

const outputBytesMax = 1_048_576

/** Runs the plugin named by `config.type`. Resolves to its result, `undefined` where the command has none. */
export async function callPlugin(call: PluginCall): Promise<CniResult | undefined> {
  const type = String(call.config['type'])
  const program = await findPlugin(type, call.binDirs)
  const { code, stdout, stderr } = await run(program, call)
  if (code !== 0) throw pluginError(type, code, stdout, stderr)
  if (stdout.trim() === '') return undefined
  try {
    return JSON.parse(stdout) as CniResult
  } catch (error) {
    throw new CniError(type, 6, `its answer is not JSON: ${(error as Error).message}`)
  }
}

// A plugin's place does not change while the agent runs; looking once saves a system call per pod and plugin.
const placeOf = new Map<string, string>()
const placesMax = 256

async function findPlugin(type: string, binDirs: readonly string[]): Promise<string> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(type)) throw new CniError(type, 7, 'the plugin type is not a file name')
  const key = `${binDirs.join(':')}:${type}`
  const known = placeOf.get(key)
  if (known !== undefined) return known
  for (const dir of binDirs) {
    const program = join(dir, type)
    try {
      await access(program, constants.X_OK)
    } catch {
      continue
    }
    if (placeOf.size >= placesMax) placeOf.clear()
    placeOf.set(key, program)
    return program
  }
  throw new CniError(type, 999, `failed to find plugin "${type}" in path [${binDirs.join(' ')}]`)
}

function run(program: string, call: PluginCall): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], {
      signal: call.signal,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: call.command,
        CNI_CONTAINERID: call.containerId,
        CNI_NETNS: call.netns,
        CNI_IFNAME: call.interfaceName,
        CNI_PATH: call.binDirs.join(':'),
        CNI_ARGS: Object.entries(call.args)
          .map(([k, v]) => `${k}=${v}`)
          .join(';'),
      },
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    let bytes = 0
    const keep = (list: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= outputBytesMax) list.push(chunk)
      else child.kill('SIGKILL')
    }
    child.stdout.on('data', keep(out))
    child.stderr.on('data', keep(err))
    // A plugin that ends without reading its configuration says so by its exit code.
    child.stdin.on('error', () => undefined)
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      resolve({ code: code ?? (killedBy ? 137 : 1), stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    })
    child.stdin.end(JSON.stringify(call.config))
  })
}

function pluginError(type: string, exitCode: number, stdout: string, stderr: string): CniError {
  try {
    const body = JSON.parse(stdout) as { code?: number; msg?: string; details?: string }
    const details = body.details ? `: ${body.details}` : ''
    if (body.msg !== undefined) return new CniError(type, body.code ?? 999, `${body.msg}${details}`)
  } catch {
    // Not the specification's error object: whatever it printed has to do.
  }
  const said = stderr.trim() || stdout.trim()
  return new CniError(type, 999, said === '' ? `exit status ${exitCode}` : `exit status ${exitCode}: ${said.slice(0, 1024)}`)
}
