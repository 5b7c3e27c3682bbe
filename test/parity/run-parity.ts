// `npm run parity -- [--kubeconfig FILE] [vitest arguments]`: the parity tests against our own cluster, or against another.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { kubeconfigVariable } from './parity-variable.ts'

const args = process.argv.slice(2)
const flag = args.findIndex((arg) => arg === '--kubeconfig' || arg.startsWith('--kubeconfig='))
const env = { ...process.env }
if (flag >= 0) {
  const inline = args[flag]?.split('=')[1]
  const file = inline ?? args[flag + 1]
  args.splice(flag, inline === undefined ? 2 : 1)
  if (file === undefined || !existsSync(file)) {
    console.error(`--kubeconfig ${file ?? ''}: give a file that says how to reach the cluster`)
    process.exit(2)
  }
  env[kubeconfigVariable] = resolve(file)
}
const vitest = join(import.meta.dirname, '../../node_modules/.bin/vitest')
const { status } = spawnSync(vitest, ['run', '--project', 'parity', ...args], { stdio: 'inherit', env })
process.exit(status ?? 1)
