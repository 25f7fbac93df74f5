import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TurnRedis } from '../../src/broker/turn-redis.ts';

let client: TurnRedis;
let writes: number;

beforeEach(async () => {
  client = new TurnRedis(process.env.TEST_REDIS_URL ?? '', { lazyConnect: true });
  await client.connect();
  await client.ping();
  writes = 0;
  // These write to the socket. Each is one call of the system.
  for (const name of ['_write', '_writev'] as const) {
    const socket = client.stream as Socket;
    const write = socket[name]?.bind(socket) as (...args: unknown[]) => void;
    vi.spyOn(socket, name).mockImplementation((...args: unknown[]) => {
      writes += 1;
      write(...args);
    });
  }
  await sleep(5);
});

afterEach(() => client.disconnect());

test('a command that comes alone leaves at once', () => {
  void client.ping();
  expect(writes).toBe(1);
});

test('the commands of one turn leave with few writes, and each has its answer', async () => {
  const answers = Array.from({ length: 100 }, (_, n) => client.echo(`${n}`));
  expect(await Promise.all(answers)).toEqual(answers.map((_, n) => `${n}`));
  // There are two, unless the process stood still meanwhile.
  expect(writes).toBeLessThan(10);
});

test('a command after code that took long takes those before it along', async () => {
  const socket = client.stream as Socket;
  const answers = [client.ping(), client.ping(), client.ping()];
  const endAt = performance.now() + 5;
  while (performance.now() < endAt);
  answers.push(client.ping());
  expect(socket.writableLength).toBe(0);
  await Promise.all(answers);
});

test('Redis begins with many commands before the last of them is made', async () => {
  const text = 'x'.repeat(1_000);
  const answers = Array.from({ length: 200 }, () => client.echo(text));
  expect(writes).toBeGreaterThan(5);
  expect(writes).toBeLessThan(20);
  await Promise.all(answers);
});

test('what was sent when the connection is lost is answered when it is back', async () => {
  const answers = Array.from({ length: 10 }, (_, n) => client.echo(`${n}`));
  client.disconnect(true);
  const settled = await Promise.allSettled(answers);
  expect(settled.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(await client.echo('again')).toBe('again');
});
