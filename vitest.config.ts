import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (file: string) => fileURLToPath(new URL(`src/${file}.ts`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^islet$/, replacement: source('index') },
      { find: /^islet\/(task|producer|testing|config)$/, replacement: `${source('x').replace('x.ts', '$1.ts')}` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'tasks/**/*.test.ts'],
    globalSetup: 'test/support/redis-setup.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
