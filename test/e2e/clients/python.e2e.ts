// Debian's python3-kubernetes, whose users write scripts: python_client.py beside this file is one.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCommand } from '#platform/process'
import { startClientCluster } from './client-cluster.ts'

const python = '/usr/bin/python3'
const installed = await runCommand(python, ['-c', 'import kubernetes']).then(
  ({ code }) => code === 0,
  () => false,
)

test.skipIf(!installed)('a script with typed and dynamic clients, watches and custom resources (needs "make deps-test")', async () => {
  const cluster = await startClientCluster()
  try {
    const { code, stdout, stderr } = await cluster.program(python).try('-B', join(import.meta.dirname, 'python_client.py'))
    expect({ code, done: stdout.trim().split('\n'), stderr: code === 0 ? '' : stderr }).toEqual({
      code: 0,
      done: ['typed', 'chunks', 'watching', 'deployments', 'custom_resources'].map((name) => `ok ${name}`),
      stderr: '',
    })
  } finally {
    await cluster.stop()
  }
})
