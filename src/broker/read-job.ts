import type { Redis } from 'ioredis';
import { tellFailure } from '../errors.ts';
import type { FoundJob, JobFacts, JobState, StoredResult } from './broker.ts';
import { jobFields as field, keyNames, lockSuffix } from './bullmq-names.ts';
import { parseStored } from './kept-result.ts';
import { placeOf, type QueuePlace } from './keys.ts';
import { defineScript } from './lua.ts';
import { isTime } from './memory.ts';
import { QueueHandle } from './queue-handle.ts';
import { choosePlace, readPlaces, showPlace } from './queue-places.ts';
import { readJson } from './read-stored.ts';

const { completed, failed, delayed, prioritized, waitingChildren } = keyNames;

/** What is read of a job's hash, in this order. All jobs have a timestamp, and no other hash of a queue does. */
const fields = [
  ...[field.timestamp, field.name, field.attempts, field.progress],
  ...[field.startedAt, field.endedAt, field.failedReason, field.returnValue],
] as const;

/**
 * Reads a job and its kept result; the keys of an id may be anything. It never searches a list, which would take Redis
 * longer the more jobs wait: a job in none of the sets waits, or is active while a worker has its lock. KEYS: job, result,
 * then the script's own. ARGV: id.
 */
const readScript = defineScript(completed, failed, delayed, prioritized, waitingChildren)`
local job, result = KEYS[1], KEYS[2]
local hash = redis.call('TYPE', job).ok == 'hash' and redis.call('HMGET', job, ${fields.map((name) => `'${name}'`).join(', ')})
local kept = redis.call('TYPE', result).ok == 'string' and redis.call('GET', result)
if not hash then return {'', kept} end
for i, state in ipairs({'completed', 'failed', 'delayed', 'prioritized', 'waiting-children'}) do
  if redis.call('ZSCORE', KEYS[i + 2], ARGV[1]) then return {state, kept, hash} end
end
if not hash[1] then return {'', kept} end
return {redis.call('EXISTS', job .. '${lockSuffix}') == 1 and 'active' or 'waiting', kept, hash}
`;

type Text = string | null | undefined;
type Reply = [state: JobState | '', kept: string | null, hash?: Text[]];

/** Reads a time or a count; somebody else may have written it. */
const toNumber = (text: Text) => (text && isTime(Number(text)) ? Number(text) : undefined);

const jsonOf = (text: Text) => readJson<unknown>(text ?? undefined, undefined).value;

/** Reads why a job failed. Islet's workers write the code first, and others write the message alone. */
function toFailure(failedReason: Text): FoundJob['failure'] {
  const [, code = 'E_TASK_FAILED', message = failedReason ?? ''] =
    /^(E_[A-Z_]+): (.*)$/s.exec(failedReason ?? '') ?? [];
  return { code, message };
}

/** Says how a job ended by its kept result. */
function toEnd(stored: StoredResult): Pick<FoundJob, 'result' | 'failure'> {
  if (stored.ok) return { result: stored.result };
  return { failure: { code: stored.code, message: tellFailure(stored) } };
}

/** Says how a job ended by its hash alone. Without a result, Islet's workers write null. */
function endOfHash(state: JobState, failedReason: Text, returnValue: Text): Pick<FoundJob, 'result' | 'failure'> {
  if (state === 'failed') return { failure: toFailure(failedReason) };
  const result = state === 'completed' ? jsonOf(returnValue) : undefined;
  return result === undefined || result === null ? {} : { result };
}

/** Reads a job of a queue, also one that is gone and whose result is kept. */
export async function readJob(queue: QueueHandle, id: string): Promise<FoundJob | undefined> {
  const [state, kept, hash] = (await queue.run(readScript, [id], id, `result:${id}`)) as Reply;
  const hasEnded = state === 'completed' || state === 'failed' || state === '';
  const stored = kept !== null && hasEnded ? parseStored(kept, id) : undefined;
  if (state === '' || !hash) {
    if (!stored) return undefined;
    const { task, attempts, progress, enqueuedAt, startedAt, endedAt } = stored;
    const facts: JobFacts = { task, attempts, progress, enqueuedAt, startedAt, endedAt };
    return { queue: queue.name, state: stored.ok ? 'completed' : 'failed', ...facts, ...toEnd(stored) };
  }
  const [timestamp, name, attempts, progress, startedAt, endedAt, failedReason, returnValue] = hash;
  const enqueuedAt = toNumber(timestamp);
  // The result may be that of an earlier job of this id, which did not live to this one's end.
  const isIts = stored?.ok === (state === 'completed') && (stored.enqueuedAt ?? enqueuedAt) === enqueuedAt;
  return {
    queue: queue.name,
    state,
    task: name || undefined,
    attempts: toNumber(attempts) ?? 0,
    progress: jsonOf(progress),
    enqueuedAt,
    startedAt: toNumber(startedAt),
    endedAt: hasEnded ? toNumber(endedAt) : undefined,
    ...(stored && isIts ? toEnd(stored) : endOfHash(state, failedReason, returnValue)),
  };
}

/** Finds jobs in the queues that were ever used. */
export class JobFinder {
  readonly #client: Redis;
  readonly #app: string;
  /** The queues of the last answer: they are asked together with the list, so that one round trip is enough. */
  #known: readonly QueuePlace[] = [];

  constructor(client: Redis, app: string) {
    this.#client = client;
    this.#app = app;
  }

  /** Finds the jobs of an id, in all queues or in that of a name. Throws `E_OPTIONS_INVALID` where that has several places. */
  async find(id: string, name?: string): Promise<FoundJob[]> {
    const [places, asked] = await Promise.all([readPlaces(this.#client, this.#app), this.#read(id, this.#guess(name))]);
    this.#known = places;
    const wanted = name === undefined ? places : [choosePlace(places, this.#app, name)];
    const others = await this.#read(
      id,
      wanted.filter((place) => !asked.has(showPlace(place))),
    );
    return wanted.flatMap((place) => asked.get(showPlace(place)) ?? others.get(showPlace(place)) ?? []);
  }

  #guess(name: string | undefined): readonly QueuePlace[] {
    if (name === undefined) return this.#known;
    const known = this.#known.filter(({ queue }) => queue === name);
    return known.length > 0 ? known : [placeOf({ name }, this.#app)];
  }

  async #read(id: string, places: readonly QueuePlace[]): Promise<Map<string, FoundJob | undefined>> {
    const read = async (place: QueuePlace) => {
      return [showPlace(place), await readJob(new QueueHandle(this.#client, place), id)] as const;
    };
    return new Map(await Promise.all(places.map(read)));
  }
}
