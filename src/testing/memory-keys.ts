import type { JobToAdd } from '../broker/broker.ts';
import type { Clock } from '../worker/clock.ts';

interface Key {
  jobId: string;
  /** Undefined: until the job has ended. */
  until: number | undefined;
}

/** By what another enqueue of the same job is known, and for how long. */
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

  /** The id of the job that a name stands for. */
  holderOf(name: string): string | undefined {
    const key = this.#keys.get(name);
    return key && (key.until === undefined || this.#clock.now() < key.until) ? key.jobId : undefined;
  }

  /** The id of the job that stands for this one. */
  holderFor(job: JobToAdd): string | undefined {
    const key = toKey(job);
    return key && this.holderOf(key.name);
  }

  /** From now on this job stands for those of its key. */
  hold(job: JobToAdd): void {
    const key = toKey(job);
    if (!key) return;
    const until = key.ttlMs === undefined ? undefined : this.#clock.now() + key.ttlMs;
    this.#keys.set(key.name, { jobId: job.id, until });
    this.#nameOf.set(job.id, key.name);
  }

  /** A key without an end of its own ends with its job. */
  free(jobId: string): void {
    const name = this.#nameOf.get(jobId) ?? '';
    const key = this.#keys.get(name);
    if (key?.jobId === jobId && key.until === undefined) this.#keys.delete(name);
  }
}
