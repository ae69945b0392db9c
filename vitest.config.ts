import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { LongFilesFirst } from './test/long-files-first.js'
import { summary } from './test/summary-reporter.js'

const src = fileURLToPath(new URL('./src/', import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^staykept$/, replacement: `${src}index.ts` },
      { find: /^staykept\/(conformance|testing)$/, replacement: `${src}$1.ts` },
      { find: /^staykept\/(.+)$/, replacement: `${src}stores/$1.ts` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    typecheck: {
      enabled: true,
      include: ['test/**/*.test-d.ts'],
      tsconfig: './tsconfig.json',
      // Errors elsewhere are told once, by `tsc` in the gate.
      ignoreSourceErrors: true,
    },
    globalSetup: ['test/servers/shared.ts'],
    // Most files wait for servers, timers and child processes most of their time.
    maxWorkers: 5,
    sequence: { sequencer: LongFilesFirst },
    // Machines of CI are shared: what fails there has to fail three times. What is random keeps its seed.
    retry: process.env.CI === 'true' ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', summary()],
    coverage: { provider: 'v8', include: ['src/**'] },
  },
})
