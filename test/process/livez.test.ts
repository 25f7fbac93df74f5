import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { freePort } from '../../src/tools/dev-redis/redis-child.ts';
import { fixtureApp, killAll, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const cwd = fixtureApp('behaviours');

let place: RedisPlace;
let port: number;

beforeEach(async () => {
  place = openRedisPlace();
  port = await freePort();
});

afterEach(async () => {
  await killAll();
  await place.close();
});

async function ask(path = '/livez', method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: response.status, body: await response.text() };
}

async function startWorker(args: string[], env: Record<string, string> = {}) {
  const worker = startIslet(['worker', '--queue', 'main', ...args], { cwd, env: { ...place.env, ...env } });
  await worker.line({ msg: 'Worker ready' });
  return worker;
}

const act = (payload: object) => place.queue('main').add('act', payload);

test('answers 200 while the worker takes jobs, and while it drains as it was told', async () => {
  const worker = await startWorker(['--health-port', String(port)]);
  await vi.waitFor(async () => expect(await ask()).toEqual({ status: 200, body: 'ok\n' }));
  const job = await act({ behaviour: 'wait' });
  await worker.line({ msg: 'Acting', jobId: job.id });
  worker.kill('SIGTERM');
  await worker.line({ msg: 'Draining' });
  expect(await ask()).toEqual({ status: 200, body: 'ok\n' });
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  await expect(ask()).rejects.toThrow();
});

test('answers 404 to everything else', async () => {
  await startWorker(['--health-port', String(port)]);
  for (const [path, method] of [
    ['/', 'GET'],
    ['/livez/', 'GET'],
    ['/livez?x', 'GET'],
    ['/livez', 'POST'],
  ]) {
    expect((await ask(path, method)).status).toBe(404);
  }
});

test('answers 503 before the worker takes jobs', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port: redis } = silent.address() as { port: number };
  const env = { ...place.env, REDIS_URL: `redis://127.0.0.1:${redis}` };
  startIslet(['worker', '--queue', 'main', '--health-port', String(port)], { cwd, env });
  await vi.waitFor(async () => expect(await ask()).toEqual({ status: 503, body: 'starting\n' }), { timeout: 5_000 });
  silent.close();
});

test('answers 503 when the worker has to be replaced', async () => {
  const worker = await startWorker(['--health-port', String(port)]);
  // This job keeps the process alive for a second after the other job has crashed it.
  const job = await act({ behaviour: 'ignore-abort' });
  await worker.line({ msg: 'Acting', jobId: job.id });
  await act({ behaviour: 'throw-astray' });
  const look = async () => expect(await ask()).toEqual({ status: 503, body: 'failed\n' });
  await vi.waitFor(look, { timeout: 5_000, interval: 20 });
});

test('has its port from the settings, and a flag wins over them', async () => {
  const set = { WORKER_HEALTH_PORT: String(port) };
  const worker = await startWorker([], set);
  expect((await ask()).status).toBe(200);
  await worker.stop();
  await startWorker(['--health-port', '0'], set);
  await expect(ask()).rejects.toThrow();
});

test('loads no server, when it is off', async () => {
  const loaded = async (args: string[]) => {
    const worker = startIslet(['worker', '--queue', 'main', ...args], { cwd, env: place.env, probe: true });
    await worker.line({ msg: 'Worker ready' });
    const scripts = await worker.loadedScripts();
    await worker.stop();
    return scripts.filter((url) => url.includes('livez')).length;
  };
  expect(await loaded(['--health-port', String(port)])).toBe(1);
  expect(await loaded([])).toBe(0);
});

test('refuses to start, with no job taken, when the port is taken', async () => {
  const taken: Server = createServer().listen(port);
  await once(taken, 'listening');
  const waiting = await act({ behaviour: 'finish' });
  const worker = startIslet(['worker', '--queue', 'main', '--health-port', String(port)], { cwd, env: place.env });
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.stderr()).toBe(
    `E_HEALTH_PORT_REFUSED: The health check cannot use port ${port}: listen EADDRINUSE: address already in use ` +
      `:::${port}. Choose another with --health-port or worker.healthPort, or turn it off with 0.\n`,
  );
  expect(await waiting.getState()).toBe('waiting');
  taken.close();
});

test('refuses what is no port', async () => {
  const worker = startIslet(['worker', '--queue', 'main', '--health-port', '70000'], { cwd, env: place.env });
  expect(await worker.exited).toEqual({ code: 2, signal: null });
  expect(worker.stderr()).toBe('E_USAGE: --health-port: expected a whole number from 0 to 65535, got "70000".\n');
});
