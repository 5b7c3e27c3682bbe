// The targets of the Makefile: each is a list of steps, printed a line a step.
import { debianPackages } from './deps.mjs'
import { StepError, step } from './step.mjs'

const targets = {
  async deps() {
    await step('packages', () => debianPackages('up'))
  },
  async 'deps-test'() {
    await step('packages', () => debianPackages('test'))
  },
}

const name = process.argv[2]
const target = targets[name]
if (target === undefined) {
  console.error(`no such target: ${name}; there are ${Object.keys(targets).join(', ')}`)
  process.exit(2)
}
try {
  await target()
} catch (error) {
  if (!(error instanceof StepError)) throw error
  console.error(`make ${name}: ${error.message}`)
  process.exit(1)
}
