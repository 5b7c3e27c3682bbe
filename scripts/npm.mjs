// npm's packages, as package-lock.json names them.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './step.mjs'

/** Runs `npm ci` unless what is installed is what the lock file says. Returns a line that says what was done. */
export async function npmPackages() {
  const missing = difference()
  if (missing === undefined) return 'as the lock file says'
  await run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { log: 'npm.log' })
  return `installed: ${missing}`
}

/** How the installed packages differ from the lock file, in a few words; undefined when they do not. npm keeps its own list of what it installed. */
function difference() {
  const list = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(list)) return 'node_modules was missing'
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const present = JSON.parse(readFileSync(list, 'utf8')).packages
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (path === '' || link) continue
    const found = present[path]
    // Optional packages are mostly those of other machines.
    if (found === undefined && optional) continue
    if (found?.version !== version) return `${path.slice(path.lastIndexOf('node_modules/') + 13)} was not at ${version}`
    if (!existsSync(join(root, path))) return `${path} was missing`
  }
  return undefined
}
