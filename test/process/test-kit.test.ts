import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const folder = 'test/fixtures/test-kit';
const runners = [
  ['vitest', ['node_modules/vitest/vitest.mjs', 'run', '--root', folder]],
  [
    'jest',
    [
      '--experimental-vm-modules',
      'node_modules/jest/bin/jest.js',
      '--rootDir',
      folder,
      '--config',
      `${folder}/jest.config.js`,
    ],
  ],
  ['node --test', ['--test', `${folder}/kit.node.js`]],
] as const;

/** Runs the users' tests of the kit in a runner, as a process of its own. */
function run(args: readonly string[], env: Record<string, string> = {}) {
  const { NODE_OPTIONS: _, VITEST: __, ...own } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...own, NO_COLOR: '1', FORCE_COLOR: '0', ...env },
  });
  return { status, output: `${stdout}${stderr}` };
}

describe.each(runners)('islet/testing under %s', (_, args) => {
  test('passes', () => {
    const { status, output } = run(args);
    expect(output).toMatch(/\b3 passed|pass 3\b/);
    expect(status, output).toBe(0);
  });

  test('fails, naming the call, for a task that is not idempotent', () => {
    const { status, output } = run(args, { FAULTY: '1' });
    expect(output).toContain('Task "send-email" is not idempotent: run twice, its effects are not those of one run.');
    expect(status).not.toBe(0);
  });
});
