import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { ownKeyNames, placeOf, queueKey } from '../../src/broker/keys.ts';
import type { BlockPlan } from '../fixtures/guard/blocked-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

interface Line {
  msg: string;
  [field: string]: unknown;
}

const blocked = 'The event loop is blocked';
const opened: { child: ChildProcess; place: RedisPlace }[] = [];

afterEach(async () => {
  for (const { child, place } of opened.splice(0)) {
    child.kill('SIGKILL');
    await place.close();
  }
});

/** Starts the process whose event loop is blocked, and ends it after the test. */
function start(plan: Partial<BlockPlan>, flags: string[] = []) {
  const place = openRedisPlace();
  const all = { redis: place.url, prefix: place.prefix, block: 'spin', blockMs: 2_500, maxBlockMs: 60_000, ...plan };
  const file = resolve('dist/test/fixtures/guard/blocked-process.js');
  const child = spawn(process.execPath, [...flags, file, JSON.stringify(all)], { stdio: ['ignore', 'pipe', 'pipe'] });
  opened.push({ child, place });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (data) => {
      text += data;
    });
  }
  const lines = (): Line[] => text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  return {
    child,
    place,
    exited: once(child, 'close').then(([code, signal]) => ({ code, signal, lines: lines(), text })),
    blocking: () => vi.waitFor(() => expect(text).toContain('"blocking"'), { timeout: 10_000, interval: 20 }),
  };
}

const messages = (lines: Line[]) => lines.map(({ msg }) => msg);

async function culprit(place: RedisPlace): Promise<string | null> {
  const client = new Redis(place.url);
  const jobId = await client.hget(
    queueKey(placeOf({ name: 'mail' }, place.prefix), ownKeyNames.workers),
    'worker-1:culprit',
  );
  client.disconnect();
  return jobId;
}

test('keeps the locks that are held, and only those, through a block of three times their duration', async () => {
  const { code, lines, text } = await start({ blockMs: 3_500 }).exited;
  expect(code, text).toBe(0);
  expect(lines.find(({ msg }) => msg === 'unblocked')).toMatchObject({ alive: 'ab' });
});

test('names the job and the stack of a busy loop in one line, a second after it began', async () => {
  const { lines, text } = await start({ blockMs: 2_500 }).exited;
  expect(messages(lines), text).toEqual(['blocking', blocked, 'unblocked']);
  expect(lines[1]).toMatchObject({ level: 40, queue: 'mail', task: 'send', jobId: 'b', attempt: 2 });
  expect(lines[1]?.blockedMs).toBeGreaterThanOrEqual(1_000);
  expect(lines[1]?.blockedMs).toBeLessThan(1_600);
  expect(lines[1]?.stack).toEqual(
    expect.arrayContaining([expect.stringMatching(/^Object\.spin \(\/.*guard\/blocked-process\.js:\d+\)$/)]),
  );
});

test('names the job of a native call in one line, after it returned', async () => {
  const { lines, text } = await start({ block: 'native', blockMs: 2_000 }).exited;
  expect(messages(lines).sort(), text).toEqual([blocked, 'blocking', 'unblocked']);
  const line = lines.find(({ msg }) => msg === blocked);
  expect(line).toMatchObject({ queue: 'mail', task: 'send', jobId: 'b', attempt: 2 });
  expect(line?.blockedMs).toBeGreaterThanOrEqual(1_500);
  expect(String(line?.stack)).toContain('sleepNatively');
});

test('is silent about a block of less than a second', async () => {
  const { lines } = await start({ blockMs: 800 }).exited;
  expect(messages(lines)).toEqual(['blocking', 'unblocked']);
});

test('ends the process after maxBlockMs, and writes down whose code blocked it', async () => {
  const { exited, place } = start({ blockMs: 20_000, maxBlockMs: 2_000 });
  const { signal, lines, text } = await exited;
  expect(signal, text).toBe('SIGKILL');
  expect(await culprit(place)).toBe('b');
  expect(messages(lines)).toEqual(['blocking', blocked, 'The process is ended: its event loop is blocked']);
  expect(lines[2]).toMatchObject({ level: 60, code: 'E_LOOP_BLOCKED', queue: 'mail', task: 'send', jobId: 'b' });
  expect(lines[2]?.blockedMs).toBeGreaterThanOrEqual(2_000);
});

test('charges no job with the end of a process whose native call does not return', async () => {
  const { exited, place } = start({ block: 'native', blockMs: 8_000, maxBlockMs: 2_000 });
  const { signal, lines } = await exited;
  expect(signal).toBe('SIGKILL');
  expect(await culprit(place)).toBeNull();
  expect(messages(lines)).toEqual(['blocking', 'The process is ended: its event loop is blocked']);
});

test('ends a blocked process that has to be gone, and charges no job with it', async () => {
  const { exited, place } = start({ blockMs: 20_000, exitInMs: 700 });
  const { signal, lines } = await exited;
  expect(signal).toBe('SIGKILL');
  expect(await culprit(place)).toBeNull();
  expect(lines.at(-1)).toMatchObject({ level: 60, code: 'E_LOOP_BLOCKED' });
  expect(lines.at(-1)?.blockedMs).toBeLessThan(1_800);
});

test.each(['SIGTERM', 'SIGHUP'] as const)(
  'ends a process that %s asks to end while it is blocked, and notes the stop',
  async (asks) => {
    const { child, blocking, exited, place } = start({ blockMs: 20_000, stopWithinMs: 1_000 });
    await blocking();
    child.kill(asks);
    const { signal, lines } = await exited;
    expect(signal).toBe('SIGKILL');
    expect(lines.at(-1)).toMatchObject({ level: 60, code: 'E_LOOP_BLOCKED' });
    expect(lines.at(-1)?.blockedMs).toBeLessThan(4_000);
    const client = new Redis(place.url);
    expect(
      await client.hexists(queueKey(placeOf({ name: 'mail' }, place.prefix), ownKeyNames.workers), 'worker-1:stopping'),
    ).toBe(1);
    client.disconnect();
  },
);

test('does not take a frozen process for a blocked one', async () => {
  const { child, exited, blocking } = start({ block: 'work', blockMs: 350, maxBlockMs: 3_000 });
  await blocking();
  // Times are what is tested: the guard has missed a beat, then the process stands still for longer than maxBlockMs.
  await delay(150);
  child.kill('SIGSTOP');
  await delay(4_000);
  child.kill('SIGCONT');
  const { code, text } = await exited;
  expect(code, text).toBe(0);
  expect(text).toContain('"unblocked"');
});

test('keeps the locks of a process with an open inspector, and neither names its block nor ends it', async () => {
  const { code, lines, text } = await start({ blockMs: 3_000, maxBlockMs: 1_500 }, ['--inspect=127.0.0.1:0']).exited;
  expect(code, text).toBe(0);
  expect(messages(lines)).toEqual(['blocking', 'unblocked']);
  expect(lines[1]).toMatchObject({ alive: 'ab' });
});

test('says once that it cannot reach Redis, and harms nothing', async () => {
  const { code, lines, text } = await start({ blockMs: 3_000, guardRedis: 'redis://127.0.0.1:1' }).exited;
  expect(code, text).toBe(0);
  const [, warning, ...others] = lines;
  expect(warning).toMatchObject({ level: 40, msg: 'The locks of a blocked event loop cannot be kept' });
  expect(warning?.reason).toContain('could not be reached: connect ECONNREFUSED');
  expect(messages(others)).toEqual([blocked, 'unblocked']);
});
