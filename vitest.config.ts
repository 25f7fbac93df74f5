import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (file: string) => fileURLToPath(new URL(`src/${file}.ts`, import.meta.url));

/** Another BullMQ for all that imports it, where `npm run test:bullmq` has installed one. */
const { ISLET_BULLMQ: bullmq } = process.env;
const folder = new URL(`.islet/bullmq/${bullmq}/`, import.meta.url);
const bullmqAlias = bullmq ? [{ find: /^bullmq$/, replacement: createRequire(folder).resolve('bullmq') }] : [];

export default defineConfig({
  resolve: {
    alias: [
      ...bullmqAlias,
      { find: /^islet$/, replacement: source('index') },
      { find: /^islet\/(task|producer|testing|config)$/, replacement: `${source('x').replace('x.ts', '$1.ts')}` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'tasks/**/*.test.ts'],
    globalSetup: ['test/support/redis-setup.ts', 'test/support/seed-setup.ts'],
    setupFiles: 'test/support/real-timers.ts',
    // Most tests wait for processes, so more files run at once than there are cores.
    maxWorkers: Math.max(4, availableParallelism()),
    // A file would otherwise get a process of its own, and load all of what it tests anew.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
