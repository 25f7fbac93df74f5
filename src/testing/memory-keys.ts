import type { JobToAdd } from '../broker/broker.ts';
import type { Clock } from '../worker/clock.ts';

interface Key {
  jobId: string;
  /** Undefined where the key lasts until the job has ended. */
  until: number | undefined;
}

/** Returns the name by which another enqueue of the same job is known, and for how long. */
function toKey({ id, task, dedupe, idempotencyMs }: JobToAdd): { name: string; ttlMs: number | undefined } | undefined {
  if (dedupe) return { name: `${task}:${dedupe.key}`, ttlMs: dedupe.mode === 'simple' ? undefined : dedupe.ttlMs };
  return idempotencyMs === undefined ? undefined : { name: id, ttlMs: idempotencyMs };
}

/** The ids and dedupe keys of one queue that stand for jobs, also for jobs that are gone. */
export class MemoryKeys {
  readonly #clock: Clock;
  readonly #keys = new Map<string, Key>();
  readonly #nameOf = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the id of the job that a name stands for. */
  holderOf(name: string): string | undefined {
    const key = this.#keys.get(name);
    return key && (key.until === undefined || this.#clock.now() < key.until) ? key.jobId : undefined;
  }

  /** Returns the id of the job that stands for this one. */
  holderFor(job: JobToAdd): string | undefined {
    const key = toKey(job);
    return key && this.holderOf(key.name);
  }

  /** Lets this job stand for those of its key from now on. */
  hold(job: JobToAdd): void {
    const key = toKey(job);
    if (!key) return;
    const until = key.ttlMs === undefined ? undefined : this.#clock.now() + key.ttlMs;
    this.#keys.set(key.name, { jobId: job.id, until });
    this.#nameOf.set(job.id, key.name);
  }

  /** Ends the key of a job that has ended, unless the key has an end of its own. */
  free(jobId: string): void {
    const name = this.#nameOf.get(jobId) ?? '';
    const key = this.#keys.get(name);
    if (key?.jobId === jobId && key.until === undefined) this.#keys.delete(name);
  }
}
