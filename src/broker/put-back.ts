import { LockLostError } from '../errors.ts';
import { jobFields, lockSuffix } from './bullmq-names.ts';
import { defineScript } from './lua.ts';
import { memoryFields } from './memory.ts';
import type { QueueHandle } from './queue-handle.ts';

/**
 * The fields that a job loses when it is put back after its end: BullMQ's counts of its attempts and stalls, and what Islet remembers.
 * The field `settled` stays, since a late repetition of the command that ended the job must find that this was done; so
 * does the fence of an at-most-once job.
 */
export const forgottenFields: readonly string[] = [
  ...[jobFields.attempts, jobFields.stalls, jobFields.deferredFailure, jobFields.stacktrace],
  ...Object.values(memoryFields).filter((name) => name !== memoryFields.settled && name !== memoryFields.started),
];

/**
 * Tells whether somebody has put a job back after its end, by `job.retry()`, `queue.retryJobs()` or bull-board. They drop
 * the failed reason, and leave the rest; a job that is retried has one, and a job that has never ended has neither stacks nor attempts.
 */
export function wasPutBack(hash: Readonly<Record<string, string | undefined>>): boolean {
  if (hash[memoryFields.completed] !== undefined) return true;
  if (hash[jobFields.failedReason] !== undefined) return false;
  return hash[jobFields.stacktrace] !== undefined || Number(hash[jobFields.attempts] ?? 0) > 0;
}

/**
 * Forgets an earlier run of a job of this worker's, and the result of that. KEYS: job, result. ARGV: token, fetch number,
 * then the fields to forget. Returns 0 when another worker has the job.
 */
const forgetScript = defineScript()`
local job, result = unpack(KEYS)
if redis.call('GET', job .. '${lockSuffix}') ~= ARGV[1] then return 0 end
redis.call('HDEL', job, unpack(ARGV, 3))
redis.call('DEL', result)
local settled = tonumber(redis.call('HGET', job, '${memoryFields.settled}') or '')
-- The count of fetches was reset, too: this delivery must not be taken for one that was settled.
if settled and settled >= tonumber(ARGV[2]) then redis.call('HDEL', job, '${memoryFields.settled}') end
return 1
`;

/** A delivery of a job, by its lock and its number. */
interface Fetched {
  readonly jobId: string;
  readonly token: string;
  readonly starts: number;
}

/** Makes the run of a job that was put back its first one. Throws `E_LOCK_LOST`. */
export async function forgetRun(queue: QueueHandle, { jobId, token, starts }: Fetched): Promise<void> {
  const args = [token, starts, ...forgottenFields];
  const isOurs = await queue.run(forgetScript, args, jobId, `result:${jobId}`);
  if (isOurs !== 1) throw new LockLostError(jobId);
}
