// Brings in what is missing from Debian, and nothing when nothing is missing. No daemon is started by installing a package.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { installed, unpacked } from './debian-packages.mjs'
import { cacheDir, run, StepError } from './step.mjs'

const lockWaitMs = 300_000
const aptEnv = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
const policyFile = '/usr/sbin/policy-rc.d'
const policyMark = '# Navarch: packages being installed do not start services.'

/** The directory into which a package of `unpacked` goes. */
export const unpackedDir = (name) => join(cacheDir, 'debian', name)

/** Installs and unpacks what `purpose` ('up' or 'test') needs. Returns a line that says what was done. */
export async function debianPackages(purpose) {
  const wanted = (entry) => entry.for === 'up' || purpose === 'test'
  const toInstall = installed.filter((entry) => wanted(entry) && !entry.has.every(isPresent)).map((entry) => entry.name)
  const toUnpack = unpacked.filter((entry) => wanted(entry) && !existsSync(unpackedDir(entry.name))).map((entry) => entry.name)
  const needed = [...toInstall, ...toUnpack]
  if (needed.length === 0) return 'nothing is missing'
  refuseElsewhere(needed)
  await haveLists(needed)
  if (toInstall.length > 0) await withoutStartingServices(() => install(toInstall))
  if (toUnpack.length > 0) await withFreshListsOnce(() => unpack(toUnpack))
  const done = []
  if (toInstall.length > 0) done.push(`installed ${toInstall.join(' ')}`)
  if (toUnpack.length > 0) done.push(`unpacked ${toUnpack.join(' ')}`)
  return done.join('; ')
}

function isPresent(has) {
  return has.split('|').some((one) => {
    if (one.startsWith('/')) return existsSync(one)
    const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
    return dirs.some((dir) => dir !== '' && existsSync(join(dir, one)))
  })
}

function refuseElsewhere(needed) {
  if (!existsSync('/usr/bin/apt-get'))
    throw new StepError(`apt-get is not here; install what stands for these Debian packages: ${needed.join(' ')}`)
  if (process.getuid() !== 0) throw new StepError(`run this as root, or install these packages first: ${needed.join(' ')}`)
}

async function haveLists(names) {
  const policy = await run('apt-cache', ['policy', ...names], { log: 'deps.log', env: aptEnv })
  const candidates = [...policy.matchAll(/^ {2}Candidate: (.*)$/gm)].filter((match) => match[1] !== '(none)')
  if (candidates.length < names.length) await apt(['update'])
  // Old lists name old versions; without a network they have to do.
  else if (Date.now() - listsAt() > 24 * 3_600_000) await apt(['update']).catch(() => {})
}

/** When the lists were last fetched: fetching goes through a directory of its own. */
function listsAt() {
  const times = ['/var/lib/apt/lists', '/var/lib/apt/lists/partial'].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return Math.max(...times)
}

async function install(names) {
  await withFreshListsOnce(() => apt(['install', '-y', '--no-install-recommends', ...names]))
}

async function unpack(names) {
  const archives = join(cacheDir, 'debian', `archives-${process.pid}`)
  rmSync(archives, { recursive: true, force: true })
  mkdirSync(archives, { recursive: true })
  try {
    await apt(['download', ...names], archives)
    for (const file of readdirSync(archives)) {
      const name = file.split('_')[0]
      const target = unpackedDir(name)
      const partial = `${target}.partial-${process.pid}`
      rmSync(partial, { recursive: true, force: true })
      await run('dpkg-deb', ['-x', join(archives, file), partial], { log: 'deps.log' })
      // The version is part of what is in the cache: images are rebuilt when it changes.
      writeFileSync(join(partial, '.package'), `${file}\n`)
      rmSync(target, { recursive: true, force: true })
      renameSync(partial, target)
    }
  } finally {
    rmSync(archives, { recursive: true, force: true })
  }
}

/** Lists that are older than the archive name versions that are gone: fetch new ones, once, and try again. */
async function withFreshListsOnce(work) {
  try {
    await work()
  } catch (error) {
    if (!/Unable to fetch|Failed to fetch|404 |Unable to locate|has no installation candidate|Can't find a source/.test(error.message))
      throw error
    await apt(['update'])
    await work()
  }
}

/** Runs apt-get, waiting for whoever holds one of its locks. */
async function apt(args, cwd = undefined) {
  const deadline = performance.now() + lockWaitMs
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-o', 'APT::Sandbox::User=root']
  for (;;) {
    try {
      return await run('apt-get', [...options, ...args], { log: 'deps.log', env: aptEnv, cwd })
    } catch (error) {
      const locked = /Could not get lock|Unable to (acquire|lock)/.test(error.message)
      const interrupted = /dpkg was interrupted/.test(error.message)
      if (interrupted) await run('dpkg', ['--configure', '-a'], { log: 'deps.log', env: aptEnv })
      else if (!locked || performance.now() > deadline) throw error
      await sleep(2000)
    }
  }
}

/** A package's own scripts ask policy-rc.d whether they may start its service; while we install, the answer is no. */
async function withoutStartingServices(work) {
  const mayWrite = !existsSync(policyFile) || readFileSync(policyFile, 'utf8').includes(policyMark)
  if (!mayWrite) return work()
  const remove = () => rmSync(policyFile, { force: true })
  const onSignal = () => process.exit(1)
  writeFileSync(policyFile, `#!/bin/sh\n${policyMark}\nexit 101\n`)
  chmodSync(policyFile, 0o755)
  process.on('exit', remove)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
  try {
    return await work()
  } finally {
    remove()
    process.off('exit', remove)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, onSignal)
  }
}

/** When the unpacked package last changed, in milliseconds; 0 when it is not there. */
export function unpackedAt(name) {
  const path = join(unpackedDir(name), '.package')
  return existsSync(path) ? statSync(path).mtimeMs : 0
}
