import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { defaultProfile, launchProfiles } from '../../src/launch-profiles.ts';

export interface WorkerSettings {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly concurrency: number;
}

export interface WorkerProcess {
  /** Settles when the worker takes jobs; rejects when it ends before that. */
  readonly ready: Promise<void>;
  /** The ids of the jobs of which the worker logged a completed attempt. */
  readonly completed: ReadonlySet<string>;
  /** Known once the worker has stopped by itself. */
  readonly peakRssMb: () => number | null;
  /** Lets the worker finish its running jobs, and kills it when that takes too long. */
  stop(): Promise<void>;
}

interface WorkerLog {
  readonly lines: string[];
  readonly completed: Set<string>;
  peakRssMb: number | null;
}

const keptLines = 10;
const stopLimitMs = 15_000;

/** Starts the worker of the queue "api-scraper" as its own process; `onDeath` hears of an end that nobody asked for. */
export function startWorker(settings: WorkerSettings, onDeath: (error: Error) => void): WorkerProcess {
  const { flags, env } = launchProfiles[defaultProfile];
  const child = spawn(process.execPath, [...flags, ...workerArgs(settings)], {
    env: { ...env, ...workerEnv(settings) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const log: WorkerLog = { lines: [], completed: new Set(), peakRssMb: null };
  const { promise: ready, resolve, reject } = deferred();
  let stopping = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (readLine(log, line) === 'Worker ready') resolve();
  });
  const die = (how: string) => {
    const error = new Error(`The worker ended early (${how}). Its last lines:\n${log.lines.join('\n') || '(none)'}`);
    reject(error);
    if (!stopping) onDeath(error);
  };
  // 'close', not 'exit': only then has the last line been read.
  const closed = once(child, 'close').then(
    ([code, signal]) => die(signal ? `signal ${signal}` : `exit code ${code}`),
    (error: unknown) => die(String(error)),
  );
  const stop = async () => {
    stopping = true;
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await closed;
    clearTimeout(killer);
  };
  return { ready, completed: log.completed, peakRssMb: () => log.peakRssMb, stop };
}

function workerArgs({ concurrency }: WorkerSettings): string[] {
  return ['bin/islet.js', 'worker', '--queue', 'api-scraper', '--concurrency', String(concurrency)];
}

function workerEnv({ redisUrl, prefix }: WorkerSettings): NodeJS.ProcessEnv {
  return {
    ...process.env,
    REDIS_URL: redisUrl,
    REDIS_PREFIX: prefix,
    // The site stands on 127.0.0.1, which a scraper refuses by default.
    SCRAPER_ALLOW_PRIVATE: 'true',
    LOG_LEVEL: 'info',
  };
}

function readLine(log: WorkerLog, line: string): unknown {
  log.lines.push(line);
  if (log.lines.length > keptLines) log.lines.shift();
  const fields = parseFields(line);
  if (fields.msg === 'Job finished' && fields.outcome === 'completed') log.completed.add(String(fields.jobId));
  if (fields.msg === 'Worker stopped' && typeof fields.maxRssMb === 'number') log.peakRssMb = fields.maxRssMb;
  return fields.msg;
}

function parseFields(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // Not a log line, such as a warning of Node: kept among the last lines, nothing to count.
    return {};
  }
}

function deferred() {
  let resolve = () => {};
  let reject = (_error: Error) => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever waits sees the rejection; without a waiter it must not end the demo before its cleanup.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
