import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { launchProfiles } from '../../../../src/launch-profiles.ts';
import { workerDefaults } from '../../../../src/manifest/defaults.ts';
import { containerFiles } from '../../../../src/tools/scaffold/container-files.ts';

const read = (file: string) => readFileSync(file, 'utf8');
const files = containerFiles({
  queues: readdirSync('queues').sort(),
  islet: 'npm run build && node bin/islet.js',
  ignored: read('.gitignore'),
});

test.each(Object.keys(files))('%s of this repository is what the template makes', (file) => {
  expect(read(file)).toBe(files[file]);
});

test('the image starts Node itself, in the lean profile, as no root', () => {
  const [, last = ''] = (files.Dockerfile ?? '').split('\nFROM debian');
  const [, command = '[]'] = /^CMD (.*)$/m.exec(last) ?? [];
  const { flags, env } = launchProfiles.lean;
  expect(JSON.parse(command)).toEqual(['node', ...flags, 'worker.js']);
  for (const [name, value] of Object.entries(env))
    expect(last).toMatch(new RegExp(`^ENV .*\\b${name}=${value}\\b`, 'm'));
  expect(last).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
  expect([...last.matchAll(/^COPY .*$/gm)].map(([line]) => line)).toEqual([
    'COPY --from=build /usr/local/bin/node /usr/local/bin/node',
    'COPY --from=build /worker ./',
  ]);
});

test('compose waits for longer than a worker takes to stop', () => {
  const [, seconds] = /stop_grace_period: (\d+)s/.exec(files['compose.yaml'] ?? '') ?? [];
  expect(Number(seconds) * 1_000).toBeGreaterThan(workerDefaults.gracefulTimeoutMs + 2_000);
});
