import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** One of what is compared: how to start its worker. */
export interface Contender {
  name: string;
  args: string[];
  folder: string;
  env?: Record<string, string>;
}

const root = process.cwd();

export const contenders: Contender[] = [
  {
    name: 'islet',
    args: [resolve('bin/islet.js'), 'worker', '--queue', 'noop'],
    folder: join(root, 'dist/bench/noop-app'),
  },
  {
    name: 'islet --no-guard',
    args: [resolve('bin/islet.js'), 'worker', '--queue', 'noop', '--no-guard'],
    folder: join(root, 'dist/bench/noop-app'),
  },
  { name: 'bare BullMQ', args: [resolve('dist/bench/bare-worker.js')], folder: root },
  {
    name: 'bare BullMQ, one log line a job',
    args: [resolve('dist/bench/bare-worker.js')],
    folder: root,
    env: { LOG_JOBS: '1' },
  },
];

/** Starts a contender's worker; its output is read and dropped, as a collector would take it. */
export function startContender(contender: Contender, redisUrl: string, prefix: string): ChildProcess {
  const env = { ...process.env, REDIS_URL: redisUrl, REDIS_PREFIX: prefix, NODE_ENV: 'production', ...contender.env };
  const child = spawn(process.execPath, contender.args, {
    cwd: contender.folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout?.resume();
  return child;
}

/** Resolves when the worker says so on its output. */
export function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((done, reject) => {
    const look = (chunk: Buffer) => {
      if (!chunk.toString().includes('ready')) return;
      child.stdout?.off('data', look);
      child.stdout?.resume();
      done();
    };
    child.stdout?.on('data', look);
    child.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
  });
}

/** Resident memory in MB, or NaN where the system does not tell (Linux does). */
export function rssMb(child: ChildProcess): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1_024;
  } catch {
    return Number.NaN;
  }
}
