import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { IsletError } from '../../errors.ts';
import { findRedisServer } from './find-redis.ts';
import { tryLock } from './start-lock.ts';
import { devRedisPaths, type KeeperState, type Lease, makeFolder, readState, removeState } from './state.ts';
import { goneWithin, stopProcess } from './stop-process.ts';

/** How long to wait in all: another process may be downloading Redis over a slow line. */
const ATTACH_LIMIT_MS = 300_000;
const KEEPER_LIMIT_MS = 70_000;
/** How long a keeper that refuses leases gets to leave; it gives Redis ten seconds to write its data. */
const LEAVING_LIMIT_MS = 15_000;
const POLL_MS = 50;

/** One process's hold on the private Redis. */
export interface DevRedis {
  /** The URL with its password: `redis://:password@127.0.0.1:port`. */
  url: string;
  /** One line for the user that says what was chosen, without the password. */
  notice: string;
  /** Gives the hold back; Redis stops soon after the last hold is gone. It may be called twice. */
  close(): Promise<void>;
}

/**
 * Attaches to the project's private Redis, and starts it where it does not run. The hold keeps the event loop alive
 * until `close()`, and ends with the process however that ends.
 *
 * @param options.path the PATH to search for redis-server; without it only an unpacked one is used.
 * @throws IsletError E_DEV_REDIS_UNAVAILABLE when no redis-server can be found, fetched or started.
 */
export async function attachDevRedis(options: { root: string; path?: string | undefined }): Promise<DevRedis> {
  const root = resolvePath(options.root);
  makeFolder(root);
  const deadline = Date.now() + ATTACH_LIMIT_MS;
  while (Date.now() < deadline) {
    const attached = (await tryLease(root)) ?? (await startUnderLock(root, options.path));
    if (attached !== undefined) return attached;
    await sleep(POLL_MS);
  }
  const { lock } = devRedisPaths(root);
  throw unavailable(
    `Another process has held "${lock}" for ${ATTACH_LIMIT_MS / 1_000} seconds without starting Redis.`,
  );
}

async function startUnderLock(root: string, path: string | undefined): Promise<DevRedis | undefined> {
  const unlock = tryLock(devRedisPaths(root).lock);
  if (unlock === undefined) return undefined;
  try {
    return (await tryLease(root)) ?? (await start(root, path));
  } finally {
    unlock();
  }
}

async function start(root: string, path: string | undefined): Promise<DevRedis> {
  await clearAway(root);
  const server = await findRedisServer(root, path);
  const keeper = spawnKeeper(root, JSON.stringify(server));
  const deadline = Date.now() + KEEPER_LIMIT_MS;
  while (Date.now() < deadline && keeper.exitCode === null && keeper.signalCode === null) {
    const attached = await tryLease(root);
    if (attached !== undefined) return attached;
    await sleep(POLL_MS);
  }
  const { keeperLog } = devRedisPaths(root);
  throw unavailable(`The private Redis did not start. The end of "${keeperLog}" says:\n${tail(keeperLog)}`);
}

/** Ends an earlier keeper and its Redis: two servers must never write the same append-only file. */
async function clearAway(root: string): Promise<void> {
  const before = readState(root);
  if (before === undefined) return removeState(root);
  if (!(await goneWithin(before.keeper, LEAVING_LIMIT_MS))) await stopProcess(before.keeper, 0);
  // The state is read again, since the keeper may have restarted Redis meanwhile.
  const orphan = (readState(root) ?? before).redis;
  if (orphan !== undefined) await stopProcess(orphan, LEAVING_LIMIT_MS);
}

function spawnKeeper(root: string, server: string) {
  const inSources = import.meta.url.endsWith('.ts');
  const file = inSources ? '../../../dist/src/tools/dev-redis/keeper.js' : './keeper.js';
  const log = openSync(devRedisPaths(root).keeperLog, 'a', 0o600);
  const keeper = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), root, server], {
    detached: true,
    cwd: root,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  keeper.on('error', () => {});
  // The keeper is meant to outlive this process: it ends by itself after the last lease.
  keeper.unref();
  return keeper;
}

async function tryLease(root: string): Promise<DevRedis | undefined> {
  const state = readState(root);
  if (state === undefined) return undefined;
  const held = await askKeeper(state);
  if (held === undefined) return undefined;
  return { ...held.lease, close: () => closeSocket(held.socket) };
}

/**
 * Asks the keeper for a lease; undefined when the keeper is gone or leaving. As long as Redis loads its data, the keeper
 * does not answer.
 */
function askKeeper(state: KeeperState): Promise<{ lease: Lease; socket: Socket } | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port: state.leasePort }, () => socket.write(`${state.token}\n`));
    socket.setTimeout(KEEPER_LIMIT_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(undefined));
    socket.on('data', (data) => {
      answer += data.toString();
      if (!answer.endsWith('\n')) return;
      socket.setTimeout(0);
      const lease = parseLease(answer);
      if (lease) resolve({ lease, socket });
      else socket.destroy();
    });
  });
}

/** Reads the keeper's answer; undefined when another program has taken the keeper's port. */
function parseLease(answer: string): Lease | undefined {
  try {
    return JSON.parse(answer) as Lease;
  } catch {
    return undefined;
  }
}

function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    socket.once('close', () => resolve());
    socket.destroy();
  });
}

function unavailable(message: string): IsletError {
  return new IsletError('E_DEV_REDIS_UNAVAILABLE', `${message}\nOr set REDIS_URL to a Redis of your own.`);
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}
