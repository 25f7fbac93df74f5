import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launchProfiles } from '../../src/launch-profiles.ts';
import { createWorkerChild } from '../../src/supervisor/worker-child.ts';
import { fixtureApp, killAll, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const cwd = fixtureApp('behaviours');
const program = resolve('bin/islet.js');
const advised = { msg: 'Started in another launch profile' };
const { flags } = launchProfiles.lean;

let place: RedisPlace;

beforeEach(() => {
  place = openRedisPlace();
});

afterEach(async () => {
  await killAll();
  await place.close();
});

/** Starts a worker and stops it; returns what it logged of its launch. */
async function adviceTo(nodeFlags: readonly string[], args: string[]) {
  const command: [string, ...string[]] = [process.execPath, ...nodeFlags, program];
  const worker = startIslet(['worker', '--queue', 'main', ...args], { cwd, env: place.env, command });
  await worker.line({ msg: 'Worker ready' });
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  return worker.lines(advised);
}

test('says once what the lean profile would save, and its line', async () => {
  const lines = await adviceTo([], []);
  expect(lines).toMatchObject([{ level: 30, profile: 'lean', saves: launchProfiles.lean.saves }]);
  expect(lines[0]?.start).toContain(`node ${flags.join(' ')} `);
  expect(lines[0]?.start).toMatch(/islet\.js worker --queue main$/);
});

test.each<[string, readonly string[], string[]]>([
  ['it is started in the lean profile', flags, []],
  ['it is told to be for throughput', [], ['--profile', 'throughput']],
])('says nothing, when %s', async (_, nodeFlags, args) => {
  expect(await adviceTo(nodeFlags, args)).toEqual([]);
});

test('refuses a profile that there is not', async () => {
  const worker = startIslet(['worker', '--queue', 'main', '--profile', 'leen'], { cwd, env: place.env });
  expect(await worker.exited).toEqual({ code: 2, signal: null });
  expect(worker.stderr()).toBe('E_USAGE: --profile: expected one of lean, throughput, minimal, got "leen".\n');
});

describe.runIf(process.platform === 'linux')('a supervised worker', () => {
  const ofProcess = (pid: number | undefined, what: string) =>
    readFileSync(`/proc/${pid}/${what}`, 'utf8').split('\0').slice(0, -1);

  test.each([
    ['is started in the lean profile', {}, 'MALLOC_ARENA_MAX=1'],
    ['keeps what somebody has set', { MALLOC_ARENA_MAX: '3' }, 'MALLOC_ARENA_MAX=3'],
  ])('%s', async (_, more, variable) => {
    const args = ['worker', '--supervised', '--queue', 'main'];
    const child = createWorkerChild(program, args, { PATH: process.env.PATH, ...more });
    const words = ofProcess(child.pid, 'cmdline');
    const variables = ofProcess(child.pid, 'environ');
    child.stop(10_000);
    await child.ended;
    expect(words.slice(1, 1 + flags.length)).toEqual(flags);
    expect(variables).toContain(variable);
  });
});
