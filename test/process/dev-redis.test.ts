import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { attachDevRedis, type DevRedis } from '../../src/tools/dev-redis/dev-redis.ts';
import { findRedisServer } from '../../src/tools/dev-redis/find-redis.ts';

const repository = resolve('.');
const path = process.env.PATH;
const compiled = pathToFileURL(resolve('dist/src/tools/dev-redis/dev-redis.js')).href;

let root: string;
let held: DevRedis[];
let users: ChildProcess[];

beforeAll(async () => {
  await findRedisServer(repository, path);
}, 300_000);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'islet-redis-'));
  held = [];
  users = [];
  mkdirSync(join(root, '.islet'));
  const unpacked = join(repository, '.islet', 'redis-server');
  if (existsSync(unpacked)) symlinkSync(unpacked, join(root, '.islet', 'redis-server'));
});

afterEach(async () => {
  for (const user of users) user.kill('SIGKILL');
  for (const redis of held) await redis.close();
  await stopped();
  rmSync(root, { recursive: true, force: true });
});

test('eight attaches at once share one Redis, in one process or in eight', async () => {
  const own = await Promise.all(Array.from({ length: 8 }, attach));
  expect(new Set(own.map((redis) => redis.url)).size).toBe(1);
  await Promise.all(own.map((redis) => redis.close()));
  await stopped();
  const others = await Promise.all(Array.from({ length: 8 }, () => attachElsewhere().url));
  expect(new Set(others).size).toBe(1);
});

test('says what was chosen, without the password', async () => {
  const redis = await attach();
  const { password, port } = new URL(redis.url);
  expect(redis.notice).toMatch(
    /^Redis: private redis-server \S+ \((from PATH|unpacked under \.islet)\) on 127\.0\.0\.1:/,
  );
  expect(redis.notice).toContain(port);
  expect(redis.notice).not.toContain(password);
});

test('keeps its files to their owner', async () => {
  await attach();
  const mode = (name: string) => statSync(join(root, '.islet/redis', name)).mode & 0o777;
  expect([mode('.'), mode('state.json'), mode('redis.conf')]).toEqual([0o700, 0o600, 0o600]);
});

test('refuses a connection without the password', async () => {
  const redis = await attach();
  expect(await say(redis.url, ['PING'])).toMatch(/^-NOAUTH/);
});

test('stops when the last user leaves, and not before', async () => {
  const [first, second] = [await attach(), await attach()];
  await first.close();
  await first.close();
  expect(await ask(second.url, 'PING')).toContain('+PONG');
  await second.close();
  await stopped();
  await expect(ask(second.url, 'PING')).rejects.toThrow('ECONNREFUSED');
});

test('stops when its only user was killed with SIGKILL', async () => {
  const user = attachElsewhere();
  const url = await user.url;
  expect(await ask(url, 'PING')).toContain('+PONG');
  user.child.kill('SIGKILL');
  await stopped();
  await expect(ask(url, 'PING')).rejects.toThrow('ECONNREFUSED');
});

test('keeps its data over a stop and a start', async () => {
  const before = await attach();
  await ask(before.url, 'SET kept yes');
  await before.close();
  await stopped();
  expect(await ask((await attach()).url, 'GET kept')).toContain('yes');
});

test('starts again on the same port when redis-server dies', async () => {
  const redis = await attach();
  process.kill(state().redis.pid, 'SIGKILL');
  await vi.waitFor(async () => expect(await ask(redis.url, 'PING')).toContain('+PONG'), { timeout: 10_000 });
});

test('stops the orphan before it starts another when the keeper was killed', async () => {
  const before = await attach();
  const { keeper, redis } = state();
  await ask(before.url, 'SET kept yes');
  process.kill(keeper.pid, 'SIGKILL');
  const after = await attach();
  expect(await ask(after.url, 'GET kept')).toContain('yes');
  expect(after.url).toBe(before.url);
  expect(state().redis.pid).not.toBe(redis.pid);
});

async function attach(): Promise<DevRedis> {
  const redis = await attachDevRedis({ root, path });
  held.push(redis);
  return redis;
}

/** Attaches in a process of its own, which then stays until it is killed. */
function attachElsewhere(): { child: ChildProcess; url: Promise<string> } {
  const code = `
    const { attachDevRedis } = await import(${JSON.stringify(compiled)});
    const redis = await attachDevRedis({ root: ${JSON.stringify(root)}, path: process.env.PATH });
    console.log(redis.url);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  users.push(child);
  return { child, url: once(child.stdout, 'data').then(([data]) => String(data).trim()) };
}

function state(): { keeper: { pid: number }; redis: { pid: number } } {
  return JSON.parse(readFileSync(join(root, '.islet/redis/state.json'), 'utf8'));
}

/** The keeper removes its state as the last thing, after Redis has ended. */
async function stopped(): Promise<void> {
  const file = join(root, '.islet/redis/state.json');
  await vi.waitFor(() => expect(existsSync(file)).toBe(false), { timeout: 15_000, interval: 25 });
}

function ask(url: string, command: string): Promise<string> {
  return say(url, [`AUTH ${new URL(url).password}`, command]);
}

/** Speaks to Redis line by line, without a client that would log in or try again by itself. */
function say(url: string, lines: string[]): Promise<string> {
  return new Promise((done, fail) => {
    let answer = '';
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.write([...lines, 'QUIT', ''].join('\r\n')),
    );
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', fail);
    socket.on('close', () => done(answer));
  });
}
