/**
 * This program owns the private redis-server of one project: it starts the server, restarts it after a crash, and stops it
 * when the last process that uses it has left. Its arguments are the project's folder, and the server as JSON.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from './find-redis.ts';
import { LeaseServer } from './lease-server.ts';
import { processRef } from './process-ref.ts';
import { freePort, hasEnded, redisReady, spawnRedis, stopRedis } from './redis-child.ts';
import { type KeeperState, readState, removeState, writeState } from './state.ts';

/** How many starts may fail in a row before the keeper gives up. */
const MAX_FAILED_STARTS = 5;
const RESTART_PAUSE_MS = 200;
const STOP_LIMIT_MS = 10_000;

const [root = '', serverJson = ''] = process.argv.slice(2);
const server = JSON.parse(serverJson) as RedisServer;
const token = randomBytes(24).toString('hex');
const leases = new LeaseServer(token, () => void leave('nobody uses it any more', 0));
let redis: ChildProcess | undefined;
let leaving = false;

for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => void leave(name, 0));
await keep().catch((error: unknown) => leave(String(error), 1));

async function keep(): Promise<void> {
  const state = await firstState();
  let failed = 0;
  let opened = false;
  while (!leaving && failed < MAX_FAILED_STARTS) {
    if (await startRedis(state)) {
      failed = 0;
      if (!opened)
        leases.open({ url: `redis://:${state.password}@127.0.0.1:${state.redisPort}`, notice: notice(state) });
      opened = true;
      await untilEnded();
    } else {
      failed += 1;
      // As long as nobody knows the port, another one will do; later Redis must come back on the same one.
      if (!opened) state.redisPort = await freePort();
    }
    if (!leaving) await sleep(RESTART_PAUSE_MS);
  }
  if (!leaving) await leave(`redis-server failed to start ${failed} times in a row; see redis.log`, 1);
}

/** Takes over the port and password of a keeper that was killed, so that running processes find Redis again. */
async function firstState(): Promise<KeeperState> {
  const before = readState(root);
  const self = processRef(process.pid);
  if (self === undefined) throw new Error('The keeper cannot see its own process.');
  return {
    keeper: self,
    leasePort: await leases.listen(),
    token,
    redisPort: before?.redisPort ?? (await freePort()),
    password: before?.password ?? randomBytes(24).toString('hex'),
  };
}

async function startRedis(state: KeeperState): Promise<boolean> {
  const child = spawnRedis(root, server, state.redisPort, state.password);
  redis = child;
  child.on('error', (error) => log(String(error)));
  const ref = child.pid === undefined ? undefined : processRef(child.pid);
  const { redis: _before, ...rest } = state;
  // The state is written before Redis is ready: if the keeper is killed now, it must not leave an unknown server.
  if (!leaving) writeState(root, ref === undefined ? rest : { ...rest, redis: ref });
  const ready = await redisReady(child, state.redisPort, state.password);
  log(ready ? `redis-server ${child.pid} is ready on port ${state.redisPort}` : 'redis-server did not start');
  if (!ready) await stopRedis(child, STOP_LIMIT_MS);
  return ready;
}

async function untilEnded(): Promise<void> {
  const child = redis;
  if (child === undefined || hasEnded(child)) return;
  await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (!leaving) log(`redis-server ended unexpectedly (${child.signalCode ?? child.exitCode}); starting it again`);
}

/** Ends the keeper. The state file is removed last: as long as it exists, a new process waits for this one to end. */
async function leave(reason: string, code: number): Promise<void> {
  if (leaving) return;
  leaving = true;
  log(`leaving: ${reason}`);
  leases.close();
  if (redis !== undefined) await stopRedis(redis, STOP_LIMIT_MS);
  removeState(root);
  process.exit(code);
}

function notice(state: KeeperState): string {
  const what = `private redis-server ${server.version} (${server.origin})`;
  return `Redis: ${what} on 127.0.0.1:${state.redisPort}, data in .islet/redis`;
}

function log(text: string): void {
  console.log(`${new Date().toISOString()} keeper ${process.pid}: ${text}`);
}
