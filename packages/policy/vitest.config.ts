import { defineConfig } from 'vitest/config'

/** The compiled copies in dist are the same tests again. */
export default defineConfig({ test: { include: ['src/**/*.test.ts'] } })
