import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { adviseLaunch } from '../../src/cli/launch-advice.ts';
import { isLaunchedAs, launchCommand, launchProfiles, profileNames } from '../../src/launch-profiles.ts';

const scriptOf = (file: string): string => JSON.parse(readFileSync(file, 'utf8')).scripts.worker;

describe('whatever starts a worker has the flags of the lean profile', () => {
  test.each([
    ['the script of this repository', scriptOf('package.json'), 'bin/islet.js'],
    ['the script of a new app', scriptOf('templates/app/_package.json'), 'node_modules/islet/bin/islet.js'],
  ])('%s', (_, script, program) => {
    expect(script).toBe(launchCommand('lean', program, ['worker', '--dev-redis']).join(' '));
    expect(script.split(' ')).toEqual(expect.arrayContaining([...launchProfiles.lean.flags]));
  });
});

test.each(profileNames)('the Node that runs this takes the flags of %s', (name) => {
  const { flags } = launchProfiles[name];
  const given = execFileSync(process.execPath, [...flags, '-p', 'JSON.stringify(process.execArgv)'], {
    encoding: 'utf8',
  });
  expect(JSON.parse(given).slice(0, flags.length)).toEqual(flags);
  expect(isLaunchedAs(name, JSON.parse(given))).toBe(true);
});

test.each(profileNames)('%s lets tasks use WebAssembly and fetch', (name) => {
  const ask = "fetch('data:,there').then(async (answer) => console.log(typeof WebAssembly, await answer.text()))";
  expect(execFileSync(process.execPath, [...launchProfiles[name].flags, '-e', ask], { encoding: 'utf8' })).toBe(
    'object there\n',
  );
});

test('a process has the profile whose flags it has all of', () => {
  const { lean, minimal } = launchProfiles;
  expect(isLaunchedAs('lean', ['--inspect', ...lean.flags])).toBe(true);
  expect(
    isLaunchedAs(
      'lean',
      lean.flags.map((flag) => flag.replaceAll('-', '_').replace('__', '--')),
    ),
  ).toBe(true);
  expect(isLaunchedAs('lean', lean.flags.slice(1))).toBe(false);
  expect(isLaunchedAs('minimal', lean.flags)).toBe(false);
  // The minimal profile saves all that the lean one does.
  expect(isLaunchedAs('lean', minimal.flags)).toBe(true);
  expect(isLaunchedAs('throughput', minimal.flags)).toBe(false);
  expect(isLaunchedAs('throughput', ['--inspect', '--max-old-space-size=300'])).toBe(true);
});

describe('the advice to a worker', () => {
  const argv = ['/usr/bin/node', `${process.cwd()}/node_modules/islet/bin/islet.js`, 'worker', '--queue', 'mail'];
  const plain = { execArgv: [], argv, platform: 'linux', profile: undefined };

  test('says what the lean profile saves, and its line', () => {
    const { saves, costs } = launchProfiles.lean;
    expect(adviseLaunch(plain)).toEqual({
      fields: {
        profile: 'lean',
        saves,
        costs,
        start:
          'MALLOC_ARENA_MAX=1 node --optimize-for-size --max-semi-space-size=1 --semi-space-growth-factor=1 --no-maglev ' +
          'node_modules/islet/bin/islet.js worker --queue mail',
      },
      text: expect.stringMatching(
        /^This worker was not started in the launch profile "lean", which saves .+\. Start it with this line, or add --profile throughput:\n/,
      ),
    });
    expect(saves).toMatch(/\d+ %/);
    expect(costs).toMatch(/\d+ %/);
  });

  test('names no variable where there is none, and quotes what a shell would split', () => {
    const { fields } = adviseLaunch({ ...plain, platform: 'win32', argv: [...argv, '--slot', 'a b'] }) ?? {};
    expect(fields?.start).toMatch(/^node --optimize.* --slot 'a b'$/);
  });

  test('is not given, when the worker was started so, or is told what it is', () => {
    expect(adviseLaunch({ ...plain, execArgv: launchProfiles.lean.flags })).toBeUndefined();
    expect(adviseLaunch({ ...plain, profile: 'throughput' })).toBeUndefined();
  });

  test('is about the profile that was named, when the line has another', () => {
    const { flags } = launchProfiles.lean;
    expect(adviseLaunch({ ...plain, profile: 'minimal', execArgv: flags })?.fields.start).toContain('--no-opt');
    const throughput = adviseLaunch({ ...plain, profile: 'throughput', execArgv: flags });
    expect(throughput?.fields.start).toBe('node node_modules/islet/bin/islet.js worker --queue mail');
  });
});
