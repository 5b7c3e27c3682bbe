// Three projects: `unit` sits beside the code it tests and needs nothing; `parity` holds on our own cluster, which it starts, as on any
// other that is named; `e2e` drives real engines and clients, one file at a time.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/fuzz/*.test.ts'],
          testTimeout: 30_000,
          pool: 'threads',
        },
      },
      {
        test: {
          name: 'parity',
          include: ['test/parity/**/*.parity.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One worker loads the server once for all files.
          isolate: false,
          fileParallelism: false,
          pool: 'threads',
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          pool: 'forks',
        },
      },
    ],
  },
})
