import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ComposeFile, readCompose, readImage, readStages, toMs } from '../../lab/bench/read-container.ts';
import { bullmqQueue } from '../../src/producer.ts';
import { findRedisServer } from '../../src/tools/dev-redis/find-redis.ts';
import { freePort, redisReady } from '../../src/tools/dev-redis/redis-child.ts';
import { type IsletProcess, killAll, startIslet, within } from '../support/islet-process.ts';
import { createNewApp, type NewApp } from '../support/new-app.ts';

// These tests need no container engine: they do with processes what a new app's Dockerfile and compose.yaml say.

const password = 'letters0and1digits';
const composePort = '8080';

let folder: string;
let app: NewApp;
let compose: ComposeFile;
let redis: { process: ChildProcess; url: string };

/** Starts a Redis with the settings of compose.yaml, on a port and in a folder of this test. */
async function startRedis(content: string) {
  const port = await freePort();
  const data = join(folder, 'data');
  await mkdir(data);
  const conf = join(folder, 'redis.conf');
  await writeFile(conf, `${content.replace('/data', data)}\nport ${port}\nbind 127.0.0.1\n`);
  const server = await findRedisServer(process.cwd(), process.env.PATH);
  const child = spawn(server.binary, [conf], { env: server.env, stdio: 'ignore' });
  if (!(await redisReady(child, port, password))) throw new Error('compose.yaml has settings that Redis refuses');
  return { process: child, url: `redis://:${password}@127.0.0.1:${port}` };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'islet-container-'));
  app = await createNewApp();
  compose = readCompose(join(app.root, 'compose.yaml'), { REDIS_PASSWORD: password });
  redis = await startRedis(compose.configs.redis.content);
}, 60_000);

afterAll(async () => {
  await killAll();
  redis?.process.kill('SIGKILL');
  await app?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the last line of the build stage for one queue, and returns the folder that the image would hold. */
async function buildWorker(queue: string): Promise<string> {
  const [build] = readStages(await readFile(join(app.root, 'Dockerfile'), 'utf8'));
  const last = build?.at(-1)?.rest ?? '';
  expect(last).toMatch(/^npx --no-install islet build /);
  const out = join(folder, 'worker');
  const args = last.split(' ').slice(3);
  const values: Record<string, string> = { '"$QUEUE"': queue, '/worker': out };
  expect(await app.islet(args.map((each) => values[each] ?? each))).toMatchObject({ code: 0 });
  return out;
}

test('Redis keeps what it was given, drops nothing, and wants the password', async () => {
  const client = new Redis(redis.url);
  const read = async (name: string) => (await client.config('GET', name))?.at(1);
  expect(await read('appendonly')).toBe('yes');
  expect(await read('maxmemory-policy')).toBe('noeviction');
  client.disconnect();
  const { REDIS_URL: url } = compose.services.mail?.environment ?? {};
  expect(url).toBe(`redis://:${password}@redis:6379`);
});

test('there is a service for each queue of a new app', async () => {
  const queues = await readdir(join(app.root, 'queues'));
  expect(Object.keys(compose.services).sort()).toEqual(['redis', ...queues].sort());
});

test('the service of a queue is well, runs a job, and stops within its grace', async () => {
  const service = compose.services.mail;
  if (!service) throw new Error('no service');
  const out = await buildWorker(service.build.args.QUEUE);
  const [, last = []] = readStages(await readFile(join(app.root, 'Dockerfile'), 'utf8'));
  const { command, env, user } = readImage(last);
  expect(user).toMatch(/^[1-9]/);
  const [name, ...flags] = command;
  expect(name).toBe('node');
  const port = String(await freePort());
  expect(service.environment.WORKER_HEALTH_PORT).toBe(composePort);
  // A container inherits nothing of this process's environment.
  const none = Object.fromEntries(Object.keys(process.env).map((key) => [key, undefined]));
  const environment = { ...none, ...env, ...service.environment, REDIS_URL: redis.url, WORKER_HEALTH_PORT: port };
  const run = (args: string[]): IsletProcess =>
    startIslet([], { cwd: out, env: environment, command: [process.execPath, ...args] });

  const worker = run(flags);
  await worker.line({ msg: 'Worker ready' });
  expect(worker.lines({ msg: 'Started in another launch profile' })).toEqual([]);

  const [kind, program, ...check] = service.healthcheck.test;
  expect([kind, program]).toEqual(['CMD', 'node']);
  const askHealth = async () => {
    const asking = run(check.map((each) => each.replace(composePort, port)));
    const ended = await within(asking.exited, toMs(service.healthcheck.timeout), 'the health check');
    return { code: ended.code, said: asking.stdout() + asking.stderr() };
  };
  expect(await askHealth()).toEqual({ code: 0, said: '' });

  const place = bullmqQueue('mail', { prefix: 'islet' });
  const client = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(place.name, { prefix: place.prefix, connection: client });
  const job = await queue.add('send-welcome', { userId: '1', email: 'ada@example.com' });
  await worker.outcome(job.id, 'completed');
  expect(await readdir(join(out, '.islet/outbox'))).toEqual(['welcome-1.json']);
  await queue.close();
  client.disconnect();

  expect(await worker.stop(toMs(service.stop_grace_period))).toEqual({ code: 0, signal: null });
  const [stopped] = worker.lines({ msg: 'Worker stopped' });
  expect(`${stopped?.maxRssMb}`).toMatch(/^\d+$/);
  expect(Number(stopped?.maxRssMb)).toBeLessThan(Number.parseInt(service.mem_limit, 10));
  expect(await askHealth()).toMatchObject({ code: 1 });
}, 60_000);
