import { hostname } from 'node:os';
import { identifyProcess, lives, type ProcessIdentity } from '../process/process-identity.ts';
import type { Crash } from './broker.ts';
import type { StoredCrash } from './memory.ts';
import { recoverWorker } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

interface WorkerRecord extends ProcessIdentity {
  readonly host: string;
  readonly slot: string | undefined;
}

/** The traces of a worker are kept as long as a crash counts. */
const keepMs = 86_400_000;

function parseRecord(text: string): WorkerRecord | undefined {
  try {
    return JSON.parse(text) as WorkerRecord;
  } catch {
    return undefined;
  }
}

/**
 * This worker's entry among the workers of its queue. Their hash has, for each worker, `<id>` (who it is), `<id>:seen`
 * (when it looked for stalled jobs), `<id>:stopping`, `<id>:culprit` (the job that a crash is charged to alone: it runs
 * alone, or blocks the process) and `<id>:waiting` (the job that waits to run alone, and is never charged).
 */
export class WorkerRecords {
  readonly #scope: WorkerScope;
  readonly #self = identifyProcess();

  constructor(scope: WorkerScope) {
    this.#scope = scope;
  }

  /** Enters this worker: from now on others can tell whether it lives. */
  async enter(): Promise<void> {
    const { queue, workerId, slot } = this.#scope;
    const record: WorkerRecord = { ...this.#self, host: hostname(), slot };
    await queue.client.hset(queue.workersKey, workerId, JSON.stringify(record), `${workerId}:seen`, Date.now());
  }

  /** Gives back at once the jobs of workers that are dead for certain, and returns their ids. */
  async recoverDead(): Promise<string[]> {
    const { queue } = this.#scope;
    const entries = Object.entries(await queue.client.hgetall(queue.workersKey));
    const given: string[] = [];
    for (const [id, text] of entries) {
      const other = id.includes(':') ? undefined : parseRecord(text);
      if (!other || !this.#isDead(id, other)) continue;
      given.push(...((await queue.run(recoverWorker, [queue.keyStart, id])) as string[]));
    }
    await this.#forgetOld(entries);
    return given;
  }

  #isDead(id: string, record: WorkerRecord): boolean {
    const { workerId, slot } = this.#scope;
    if (id === workerId) return false;
    const isAlive = lives(record, this.#self);
    // The next holder of a slot may be here before the last one has drained, where their parent was killed.
    const hadMySlot = slot !== undefined && record.slot === slot;
    return hadMySlot ? isAlive !== true : isAlive === false;
  }

  async #forgetOld(entries: readonly [string, string][]): Promise<void> {
    const { client, workersKey } = this.#scope.queue;
    const isOld = ([field, value]: [string, string]) =>
      /:(seen|stopping)$/.test(field) && Date.now() - Number(value) > keepMs;
    const fields = entries.filter(isOld).flatMap(([field]) => {
      const id = field.replace(/:\w+$/, '');
      return [id, `${id}:seen`, `${id}:stopping`, `${id}:culprit`, `${id}:waiting`];
    });
    if (fields.length > 0) await client.hdel(workersKey, ...fields);
  }

  /** Says something of this worker, in the fields `stopping`, `culprit` and `waiting`. */
  say(said: Partial<Record<'stopping' | 'culprit' | 'waiting', string | number>>): Promise<unknown> {
    const { queue, workerId } = this.#scope;
    const fields = Object.entries(said).flatMap(([name, value]) => [`${workerId}:${name}`, value]);
    return queue.client.hset(queue.workersKey, ...fields);
  }

  /** Takes back what `say` has said of single jobs. */
  sayNoMore(): Promise<unknown> {
    const { queue, workerId } = this.#scope;
    return queue.client.hdel(queue.workersKey, `${workerId}:culprit`, `${workerId}:waiting`);
  }

  leave(): Promise<unknown> {
    const { queue, workerId } = this.#scope;
    return queue.client.hdel(queue.workersKey, workerId, `${workerId}:seen`);
  }

  /** Leaves out locks that ran out although their worker lives or stopped: it was frozen, or cut off from Redis. */
  async proveCrashes(stored: readonly StoredCrash[]): Promise<Crash[]> {
    const crashes: Crash[] = [];
    for (const { at, worker, blame } of stored) {
      if (blame !== 'expired') crashes.push({ at, worker, blame });
      else if (await this.#isGone(worker)) crashes.push({ at, worker, blame: 'suspect' });
    }
    return crashes;
  }

  /** Tells whether a worker missed three checks, by the clock of Redis, which wrote when each worker was seen. */
  async #isGone(worker: string): Promise<boolean> {
    const { queue, options } = this.#scope;
    const [seen, stopping] = await queue.client.hmget(queue.workersKey, `${worker}:seen`, `${worker}:stopping`);
    const [seconds] = await queue.client.time();
    return !stopping && Number(seconds) * 1_000 - Number(seen ?? 0) > 3 * options.queue.stalledCheckMs;
  }
}
