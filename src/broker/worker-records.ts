import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { identifyProcess, isProvablyAlive, isProvablyDead, type ProcessIdentity } from '../process/process-identity.ts';
import type { Crash } from './broker.ts';
import { keyNames } from './bullmq-names.ts';
import { queueKey, workersKey } from './keys.ts';
import { runScript } from './lua.ts';
import type { StoredCrash } from './memory.ts';
import { recoverWorker } from './scripts.ts';

/** What a worker says of itself in the hash of its queue's workers. */
interface WorkerRecord extends ProcessIdentity {
  readonly host: string;
  /** A name that the operator promises no two living workers share. */
  readonly slot: string | undefined;
}

/** How long the traces of a worker are kept: as long as a crash counts. */
const keepMs = 86_400_000;

interface WorkerRecordsOptions {
  client: Redis;
  prefix: string;
  queue: string;
  workerId: string;
  slot: string | undefined;
  /** A worker that was not seen for so many milliseconds is taken for dead when its jobs' crashes are counted. */
  silentMs: number;
}

function parseRecord(text: string): WorkerRecord | undefined {
  try {
    return JSON.parse(text) as WorkerRecord;
  } catch {
    return undefined;
  }
}

/**
 * Creates this worker's entry among the workers of its queue. The hash has, for each worker, `<id>` (who it is),
 * `<id>:seen` (when it looked for stalled jobs), `<id>:stopping`, `<id>:culprit` (the job that a crash is charged to
 * alone: it runs alone, or blocks the process) and `<id>:waiting` (the one that waits to run alone: never charged).
 */
export function createWorkerRecords({ client, prefix, queue, workerId, slot, silentMs }: WorkerRecordsOptions) {
  const key = workersKey(prefix, queue);
  const self = identifyProcess();
  const { active, wait, marker, events } = keyNames;
  const scriptKeys = [...[active, wait, marker, events].map((name) => queueKey(prefix, queue, name)), key];

  // The next holder of a slot may be here before the last one has drained, where their parent was killed.
  const hadMySlot = (record: WorkerRecord) =>
    slot !== undefined && record.slot === slot && !isProvablyAlive(record, self);
  const isDead = (id: string, record: WorkerRecord) =>
    id !== workerId && (hadMySlot(record) || isProvablyDead(record, self));

  const forgetOld = async (entries: [string, string][]) => {
    const old = entries.filter(
      ([field, value]) => /:(seen|stopping)$/.test(field) && Date.now() - Number(value) > keepMs,
    );
    const ids = old.map(([field]) => field.replace(/:\w+$/, ''));
    const fields = ids.flatMap((id) => [
      id,
      ...['seen', 'stopping', 'culprit', 'waiting'].map((what) => `${id}:${what}`),
    ]);
    if (fields.length > 0) await client.hdel(key, ...fields);
  };

  /** By the clock of Redis, which wrote when each was seen. */
  const isGone = async (worker: string): Promise<boolean> => {
    const [seen, stopping] = await client.hmget(key, `${worker}:seen`, `${worker}:stopping`);
    const [seconds] = await client.time();
    return !stopping && Number(seconds) * 1_000 - Number(seen ?? 0) > silentMs;
  };

  return {
    workerId,
    /** Enters this worker: from now on others can tell whether it lives. */
    async enter(): Promise<void> {
      const record: WorkerRecord = { ...self, host: hostname(), slot };
      await client.hset(key, workerId, JSON.stringify(record), `${workerId}:seen`, Date.now());
    },
    /** Gives back at once the jobs of workers that are dead for certain. Returns their ids. */
    async recoverDead(): Promise<string[]> {
      const entries = Object.entries(await client.hgetall(key));
      const given: string[] = [];
      for (const [id, text] of entries) {
        const other = id.includes(':') ? undefined : parseRecord(text);
        if (!other || !isDead(id, other)) continue;
        const ids = await runScript(client, recoverWorker, scriptKeys, [queueKey(prefix, queue, ''), id]);
        given.push(...(ids as string[]));
      }
      await forgetOld(entries);
      return given;
    },
    /** From now on what this worker leaves behind is a stop's doing, not a crash's. */
    async sayStopping(): Promise<void> {
      await client.hset(key, `${workerId}:stopping`, Date.now());
    },
    /** A suspect waits until the others have ended: it does not run yet. */
    async sayWaiting(jobId: string): Promise<void> {
      await client.hset(key, `${workerId}:waiting`, jobId);
    },
    /** A suspect runs alone: from now on it is charged with what happens to this worker, until `sayAgainMany`. */
    async sayAlone(jobId: string): Promise<void> {
      await client.multi().hset(key, `${workerId}:culprit`, jobId).hdel(key, `${workerId}:waiting`).exec();
    },
    async sayAgainMany(): Promise<void> {
      await client.hdel(key, `${workerId}:culprit`, `${workerId}:waiting`);
    },
    async leave(): Promise<void> {
      await client.hdel(key, workerId, `${workerId}:seen`);
    },
    /** Leaves out locks that ran out although their worker lives or stopped: it was frozen, or cut off from Redis. */
    async proveCrashes(stored: readonly StoredCrash[]): Promise<Crash[]> {
      const crashes: Crash[] = [];
      for (const { at, worker, blame } of stored) {
        if (blame !== 'expired') crashes.push({ at, worker, blame });
        else if (await isGone(worker)) crashes.push({ at, worker, blame: 'suspect' });
      }
      return crashes;
    },
  };
}

export type WorkerRecords = ReturnType<typeof createWorkerRecords>;
