import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessRef } from './process-ref.ts';

/** What the keeper leaves for later processes. The file holds secrets, so only its owner may read it. */
export interface KeeperState {
  keeper: ProcessRef;
  /** The running redis-server; missing for an instant when it is restarted. */
  redis?: ProcessRef;
  leasePort: number;
  token: string;
  redisPort: number;
  password: string;
}

/** The keeper's answer to a process that may use Redis. */
export interface Lease {
  url: string;
  notice: string;
}

/** Returns the paths of the files that belong to a project's private Redis. */
export function devRedisPaths(root: string) {
  const folder = join(root, '.islet', 'redis');
  return {
    folder,
    lock: join(folder, 'start.lock'),
    state: join(folder, 'state.json'),
    conf: join(folder, 'redis.conf'),
    redisLog: join(folder, 'redis.log'),
    keeperLog: join(folder, 'keeper.log'),
  };
}

/** Makes the folder readable by its owner alone, even if it existed with wider rights. */
export function makeFolder(root: string): void {
  const { folder } = devRedisPaths(root);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}

/** Reads the state. Returns undefined when there is none, or none that can be read. */
export function readState(root: string): KeeperState | undefined {
  try {
    const text = readFileSync(devRedisPaths(root).state, 'utf8');
    // An older Islet, whose keeper may still run, named it so.
    return JSON.parse(text.replaceAll('"born":', '"startedAt":')) as KeeperState;
  } catch {
    return undefined;
  }
}

export function writeState(root: string, state: KeeperState): void {
  writePrivate(devRedisPaths(root).state, JSON.stringify(state));
}

export function removeState(root: string): void {
  rmSync(devRedisPaths(root).state, { force: true });
}

/** Writes a 0600 file in one step, so nobody reads half of it. */
export function writePrivate(file: string, text: string): void {
  const temporary = `${file}.${process.pid}`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, file);
}
