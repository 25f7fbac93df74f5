import { hostname } from 'node:os';
import { identifyProcess, lives, type ProcessIdentity } from '../process/process-identity.ts';
import type { Crash } from './broker.ts';
import type { StoredCrash } from './memory.ts';
import { recoverWorker } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

// The workers of a queue have a hash with, for each, `<id>` (who it is), `<id>:seen` (when it looked for stalled jobs),
// `<id>:stopping`, `<id>:culprit` (the job that a crash is charged to alone: it runs alone, or blocks the process) and
// `<id>:waiting` (the job that waits to run alone, and is never charged).

export interface WorkerRecord extends ProcessIdentity {
  readonly host: string;
  readonly slot: string | undefined;
  /** The app, and the queue's name in it; a worker of an earlier version wrote neither. */
  readonly app?: string;
  readonly queue?: string;
}

/** The traces of a worker are kept as long as a crash counts. */
const keepMs = 86_400_000;

const self = identifyProcess();

/** Enters this worker: from now on others can tell whether it lives. */
export async function enterWorker({ queue, workerId, slot }: WorkerScope): Promise<void> {
  const { app, queue: name } = queue.place;
  const record: WorkerRecord = { ...self, host: hostname(), slot, app, queue: name };
  await queue.client.hset(queue.workersKey, workerId, JSON.stringify(record), `${workerId}:seen`, queue.clock.now());
}

export function leaveWorkers({ queue, workerId }: WorkerScope): Promise<unknown> {
  return queue.client.hdel(queue.workersKey, workerId, `${workerId}:seen`);
}

type Said = Partial<Record<'stopping' | 'culprit' | 'waiting', string | number>>;

/** Notes the state of this worker in Redis, for the worker that recovers its jobs. */
export function sayOfWorker({ queue, workerId }: WorkerScope, said: Said): Promise<unknown> {
  const fields = Object.entries(said).flatMap(([name, value]) => [`${workerId}:${name}`, value]);
  return queue.client.hset(queue.workersKey, ...fields);
}

/** Removes the notes about single jobs. */
export function sayNoMore({ queue, workerId }: WorkerScope): Promise<unknown> {
  return queue.client.hdel(queue.workersKey, `${workerId}:culprit`, `${workerId}:waiting`);
}

/** Gives back at once the jobs of workers that are dead for certain, and returns their ids. */
export async function recoverDead({ queue, workerId, slot }: WorkerScope): Promise<string[]> {
  const entries = Object.entries(await queue.client.hgetall(queue.workersKey));
  const given: string[] = [];
  for (const [id, text] of entries) {
    if (id.includes(':') || id === workerId || !isDead(text, slot)) continue;
    given.push(...((await queue.run(recoverWorker, [queue.keyStart, id])) as string[]));
  }
  const isOld = ([field, value]: [string, string]) =>
    /:(seen|stopping)$/.test(field) && queue.clock.now() - Number(value) > keepMs;
  const old = entries.filter(isOld).flatMap(([field]) => {
    const id = field.replace(/:\w+$/, '');
    return [id, `${id}:seen`, `${id}:stopping`, `${id}:culprit`, `${id}:waiting`];
  });
  if (old.length > 0) await queue.client.hdel(queue.workersKey, ...old);
  return given;
}

/** Lists the workers of a queue that may still run. */
export async function listLiving(scope: WorkerScope): Promise<WorkerRecord[]> {
  const entries = Object.entries(await scope.queue.client.hgetall(scope.queue.workersKey));
  const living: WorkerRecord[] = [];
  for (const [id, text] of entries) {
    const record = id.includes(':') ? undefined : parseRecord(text);
    if (record && lives(record, self) !== false && !(await isGone(scope, id))) living.push(record);
  }
  return living;
}

/** Reads a record; somebody else may have written it. */
function parseRecord(text: string): WorkerRecord | undefined {
  try {
    const record: unknown = JSON.parse(text);
    return typeof record === 'object' && record !== null ? (record as WorkerRecord) : undefined;
  } catch {
    return undefined;
  }
}

function isDead(text: string, slot: string | undefined): boolean {
  const record = parseRecord(text);
  if (!record) return false;
  const isAlive = lives(record, self);
  // The next holder of a slot may be here before the last one has drained, where their parent was killed.
  return slot !== undefined && record.slot === slot ? isAlive !== true : isAlive === false;
}

/** Leaves out locks that ran out although their worker lives or stopped: it was frozen, or cut off from Redis. */
export async function proveCrashes(scope: WorkerScope, stored: readonly StoredCrash[]): Promise<Crash[]> {
  const crashes: Crash[] = [];
  for (const { at, worker, blame } of stored) {
    if (blame !== 'expired') crashes.push({ at, worker, blame });
    else if (await isGone(scope, worker)) crashes.push({ at, worker, blame: 'suspect' });
  }
  return crashes;
}

/** Tells whether a worker missed three checks, by the clock of Redis, which wrote when each worker was seen. */
async function isGone({ queue, options }: WorkerScope, worker: string): Promise<boolean> {
  const [seen, stopping] = await queue.client.hmget(queue.workersKey, `${worker}:seen`, `${worker}:stopping`);
  const [seconds] = await queue.client.time();
  return !stopping && Number(seconds) * 1_000 - Number(seen ?? 0) > 3 * options.queue.stalledCheckMs;
}
