import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Step, walkPath } from '../../lab/bench/newcomer-path.ts';

let folder: string;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'islet-path-'));
  lines = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function walk(steps: Step[], limits = {}) {
  const print = (line: string) => void lines.push(line);
  return walkPath(steps, { cwd: folder, env: process.env, maxCommands: 3, maxMs: 20_000, print, ...limits });
}

const isAlive = (file: string) => {
  try {
    return process.kill(Number(readFileSync(join(folder, file), 'utf8')), 0);
  } catch {
    return false;
  }
};

/** A command that writes its process id into a file, says that it is ready, and goes on. */
const goesOn = `node -e "fs.writeFileSync('pid', String(process.pid)); setInterval(() => {}, 1e3); console.log('ready')"`;

test('prints what each command took, and ends the one that goes on', async () => {
  await walk([
    { command: goesOn, until: 'ready' },
    { command: 'echo done > there', prints: '' },
  ]);
  expect(lines).toEqual([
    expect.stringMatching(/^ {2}1\. +\d+\.\d s {2}node -e /),
    expect.stringMatching(/^ {2}2\. +\d+\.\d s {2}echo done > there$/),
    expect.stringMatching(/^ {2}2 commands, \d+\.\d s$/),
  ]);
  expect(existsSync(join(folder, 'there'))).toBe(true);
  await vi.waitFor(() => expect(isAlive('pid')).toBe(false), 5_000);
});

test.each<[string, Step, RegExp]>([
  ['ends with a failure', { command: 'echo why >&2; exit 3' }, /^"echo why >&2; exit 3" ended with 3:\nwhy$/],
  ['does not say what it should', { command: 'echo this', prints: 'that' }, /^"echo this" did not say that:\nthis$/],
  ['ends before it is ready', { command: 'echo no', until: 'ready' }, /^"echo no" did not say ready:\nno$/],
])('stops at a command that %s', async (_, step, message) => {
  await expect(walk([step, { command: 'touch after' }])).rejects.toThrow(message);
  expect(existsSync(join(folder, 'after'))).toBe(false);
});

test('fails when there are too many commands', async () => {
  const steps = ['true', 'true', 'true', 'true'].map((command) => ({ command }));
  await expect(walk(steps)).rejects.toThrow('4 commands are more than 3.');
});

test('fails when it takes too long, and ends what still runs', async () => {
  const steps = [{ command: goesOn, until: 'ready' }, { command: 'sleep 60' }];
  await expect(walk(steps, { maxMs: 2_000 })).rejects.toThrow(
    'Not done within 2.0 s; at the end ran: "sleep 60" ended',
  );
  await vi.waitFor(() => expect(isAlive('pid')).toBe(false), 5_000);
});

test('npm run newcomer exits with 1 and names the command, when the package is no package', () => {
  const tarball = join(folder, 'package.json');
  spawnSync('cp', ['package.json', tarball]);
  const args = [resolve('dist/lab/bench/newcomer.js'), '--package', tarball, '--cache', 'usual'];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toMatch(/^The newcomer is stuck: "npx --yes --package \.\.\/package\.json islet init \." ended with /);
  expect(status).toBe(1);
});
