// One line per step, with its time, and commands whose output goes to a log that is shown only when they fail.
import { spawn } from 'node:child_process'
import { appendFileSync, closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's root directory. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Downloads, unpacked tools, built images and logs: everything that can be deleted and made again. */
export const cacheDir = join(root, '.cache')

/** A failure whose message says what to do; it is printed without a stack trace. */
export class StepError extends Error {}

/**
 * Runs `work` as a named step. Prints one line when it is over: the name, what `work` returned (a short text) and the seconds it took.
 */
export async function step(name, work) {
  const start = performance.now()
  // On a terminal, say what goes on; the line is written over when it is done.
  if (process.stdout.isTTY) process.stdout.write(`${name.padEnd(14)}        …\r`)
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`
  try {
    const detail = await work()
    console.log(`${name.padEnd(14)} ${seconds().padStart(8)}   ${detail ?? 'done'}`)
  } catch (error) {
    console.log(`${name.padEnd(14)} ${seconds().padStart(8)}   FAILED`)
    throw error
  }
}

/**
 * Runs a program to its end and returns its output (stdout and stderr together, also appended to `.cache/logs/<log>`).
 * With `show`, the program writes to the terminal itself instead. Throws a StepError with the last lines when it fails.
 */
export async function run(program, args, { log = 'setup.log', show = false, env = {}, cwd = root } = {}) {
  const options = { cwd, env: { ...process.env, ...env } }
  if (show) {
    const code = await ended(spawn(program, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] }), program)
    if (code !== 0) throw new StepError(`${[program, ...args].join(' ')}: exit code ${code}`)
    return ''
  }
  const path = join(cacheDir, 'logs', log)
  mkdirSync(dirname(path), { recursive: true })
  appendFileSync(path, `$ ${[program, ...args].join(' ')}\n`)
  const start = statSync(path).size
  const file = openSync(path, 'a')
  let code
  try {
    code = await ended(spawn(program, args, { ...options, stdio: ['ignore', file, file] }), program)
  } finally {
    closeSync(file)
  }
  const output = readFrom(path, start)
  if (code !== 0) {
    const last = output.trimEnd().split('\n').slice(-15).join('\n')
    throw new StepError(`${[program, ...args].join(' ')}: exit code ${code}\n${last}\n(all of it: ${path})`)
  }
  return output
}

function ended(child, program) {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new StepError(`cannot start ${program}: ${error.message}`)))
    child.on('exit', (code, signal) => resolve(code ?? signal))
  })
}

function readFrom(path, start) {
  const size = statSync(path).size
  const bytes = Buffer.alloc(size - start)
  const file = openSync(path, 'r')
  try {
    readSync(file, bytes, 0, bytes.length, start)
  } finally {
    closeSync(file)
  }
  return bytes.toString()
}
