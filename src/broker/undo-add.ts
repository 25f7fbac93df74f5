import type { Added, JobToAdd } from './broker.ts';
import { deduplicationStart, keyNames, lockSuffix } from './bullmq-names.ts';
import { toDeduplication } from './job-options.ts';
import { defineScript } from './lua.ts';
import type { QueueHandle } from './queue-handle.ts';

const { wait, paused, prioritized, delayed } = keyNames;

/** Removes a job that was added in part. KEYS: job, dedupe key, then the script's own. ARGV: id. Returns 1 when it runs. */
const undoScript = defineScript(wait, paused, prioritized, delayed)`
local job, dedupe, wait, paused, prioritized, delayed = unpack(KEYS)
local id = ARGV[1]
if redis.call('EXISTS', job .. '${lockSuffix}') == 1 then return 1 end
redis.call('LREM', wait, 0, id)
redis.call('LREM', paused, 0, id)
redis.call('ZREM', prioritized, id)
redis.call('ZREM', delayed, id)
if redis.call('TYPE', job).ok == 'hash' then redis.call('DEL', job) end
if redis.call('GET', dedupe) == id then redis.call('DEL', dedupe) end
return 0
`;

/**
 * Takes back what a script has written of a job before Redis refused the rest, so that the refusal is the whole truth.
 * Where Redis refuses that too, the job may be in.
 */
export async function undoAdd(queue: QueueHandle, job: JobToAdd, error: unknown): Promise<Added> {
  const dedupe = `${deduplicationStart}${toDeduplication(job)?.id ?? job.id}`;
  try {
    const runs = (await queue.run(undoScript, [job.id], job.id, dedupe)) === 1;
    return runs ? { id: job.id, accepted: true } : { error };
  } catch {
    return { error: new Error((error as Error).message, { cause: error }) };
  }
}
