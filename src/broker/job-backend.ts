import { type JobsOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { bullmqQueue } from './keys.ts';
import { parseMemory } from './memory.ts';

/** A job as it was fetched: locked for the token of the fetch. */
export interface FetchedJob {
  readonly id: string;
  readonly name: string;
  /** Its payload as JSON. */
  readonly data: string;
  readonly opts: JobsOptions;
  readonly timestamp: number;
  readonly attemptsMade: number;
  /** How often it was fetched in all, this time included: a fence, because no two fetches share a number. */
  readonly starts: number;
  readonly memory: ReturnType<typeof parseMemory>;
  /** Why BullMQ has failed it already, as a parent of a failed child; undefined for all other jobs. */
  readonly deferredFailure: string | undefined;
  /** The scheduler that made it; undefined for all other jobs. */
  readonly repeatJobKey: string | undefined;
}

/** What a fetch brought: a job, or when to ask again. */
export interface Fetched {
  readonly job?: FetchedJob;
  /** The queue gives no job for so many milliseconds. */
  readonly rateLimitedMs: number;
  /** When the next delayed job is due, in milliseconds since 1970; 0 without one. */
  readonly nextDelayedAt: number;
}

/**
 * BullMQ's own scripts for one queue. Beside what BullMQ decodes of a job, it keeps the fields that Islet has in the
 * same hash: they come with the fetch, at no further command.
 */
class JobBackend extends RedisQueueBackend {
  /** Of jobs whose fetch is being read, by id. */
  readonly #hashes = new Map<string, string[]>();

  override async execCommand(...command: Parameters<RedisQueueBackend['execCommand']>): Promise<unknown> {
    const reply: unknown = await super.execCommand(...command);
    if (Array.isArray(reply) && Array.isArray(reply[0])) this.#hashes.set(String(reply[1]), reply[0]);
    return reply;
  }

  /** Completes the reply of a command that fetches. */
  toFetched(reply: unknown): Fetched {
    const [json, id, rateLimitedMs, nextDelayedAt] = Array.isArray(reply) ? reply : [];
    const times = { rateLimitedMs: Number(rateLimitedMs ?? 0), nextDelayedAt: Number(nextDelayedAt ?? 0) };
    if (!json) return times;
    const memory = parseMemory(this.#hashes.get(id) ?? []);
    this.#hashes.delete(id);
    const { name, data, opts, timestamp, attemptsMade, deferredFailure, repeatJobKey } = json;
    const state = { timestamp, attemptsMade, starts: json.attemptsStarted, memory, deferredFailure, repeatJobKey };
    return { ...times, job: { id, name, data, opts, ...state } };
  }
}

export type { JobBackend };

/** Opens BullMQ's scripts for a queue over a connected client, which stays the caller's. */
export async function openJobBackend(
  client: Redis,
  place: { prefix: string; queue: string },
  options: { lockDurationMs: number; workerId: string },
): Promise<JobBackend> {
  const connection = new RedisConnection(client, { shared: true, blocking: false, skipVersionCheck: true });
  const { name } = bullmqQueue(place.queue);
  const keys = new QueueKeys(place.prefix);
  const { lockDurationMs, workerId } = options;
  // A job that comes with the settling of another names its worker by this, too.
  const settings = { connection: client, prefix: place.prefix, lockDuration: lockDurationMs, name: workerId };
  const backend = new JobBackend(connection, name, keys.getKeys(name), (type) => keys.toKey(name, type), settings);
  backend.on('error', () => {});
  await backend.waitUntilReady();
  return backend;
}
