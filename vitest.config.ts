import { defineConfig } from 'vitest/config'

/** Unit tests stand beside the code; `test/` holds what needs the whole system or its real neighbours. */
export default defineConfig({
  test: {
    reporters: ['default', './test/audit/fault-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,protocols,apps}/*/src/**/*.test.ts', 'test/demo-cluster/src/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/demo-cluster/**'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          // After the unit tests, and few at a time: every file may start a stack (four processes, two PostgreSQL servers).
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
        },
      },
    ],
  },
})
