import { IsletError } from '../errors.ts';
import type { JobFacts, StoredResult } from './broker.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { jobFields, lockSuffix } from './bullmq-names.ts';
import { defineScript, execAll, isUnknownScript } from './lua.ts';
import type { QueueHandle } from './queue-handle.ts';

/** The message on a job's result channel that says that its progress is written; any other says that it may have ended. */
export const progressMessage = 'progress';

/** Describes a job that ends now, for those who ask for it when it is gone. */
export function factsOf({ name: task, attemptsMade, progress, timestamp, processedOn }: FetchedJob, endedAt: number) {
  const facts = { task, attempts: attemptsMade + 1, progress, enqueuedAt: timestamp, startedAt: processedOn, endedAt };
  return facts satisfies JobFacts;
}

/** Reads what is stored as a job's result. Throws `E_RESULT_INVALID` when that is none. */
export function parseStored(json: string, jobId: string): StoredResult {
  try {
    const stored = JSON.parse(json);
    const isNamed = stored.task === undefined || typeof stored.task === 'string';
    if (isNamed && typeof stored.ok === 'boolean') return stored;
  } catch {
    // A text that is no JSON is no result.
  }
  const seen = `What is stored as the result of job "${jobId}" was not written by a worker of Islet.`;
  throw new IsletError('E_RESULT_INVALID', `${seen} Look for other programs that write keys of this prefix.`);
}

/** How a job ends whose result is kept: a call of BullMQ's script, with its number of keys, keys and arguments. */
export interface Ending {
  readonly jobId: string;
  readonly token: string;
  readonly resultJson: string;
  readonly keepMs: number;
  readonly finish: { readonly lua: string; readonly sha: string; readonly args: readonly (string | number | Buffer)[] };
}

/** Drops a result that was laid ready by a worker that does not have the job any more. KEYS: job, ready. ARGV: token. */
const checkOwner = defineScript()`
if redis.call('GET', KEYS[1] .. '${lockSuffix}') ~= ARGV[1] then redis.call('DEL', KEYS[2]) end
`;

/** Makes the result that was laid ready known, if the job has ended. KEYS: job, ready, result. ARGV: token, channel. */
const tellResult = defineScript()`
local job, ready, result = unpack(KEYS)
if redis.call('EXISTS', ready) == 0 then return end
local over = redis.call('EXISTS', job) == 0 or redis.call('HEXISTS', job, '${jobFields.endedAt}') == 1
if over and redis.call('GET', job .. '${lockSuffix}') ~= ARGV[1] then
  redis.call('RENAME', ready, result)
  redis.call('PUBLISH', ARGV[2], '')
else
  redis.call('DEL', ready)
end
`;

/**
 * Ends a job and stores its result in one transaction: no waiter sees the result of a job that Redis does not let end so,
 * and none is lost between the two. Returns the reply of BullMQ's script.
 */
export async function endWithResult(queue: QueueHandle, ending: Ending): Promise<unknown> {
  try {
    return await send(queue, ending, 'evalsha');
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return send(queue, ending, 'eval');
  }
}

async function send(queue: QueueHandle, ending: Ending, way: 'eval' | 'evalsha'): Promise<unknown> {
  const { jobId, token, resultJson, keepMs, finish } = ending;
  const [job, result] = [queue.key(jobId), queue.resultKey(jobId)];
  const ready = `${result}:ready`;
  // SET comes as a command of its own: a Redis that is full refuses it, and then all of the transaction.
  const transaction = queue.client.multi().set(ready, resultJson, 'PX', keepMs);
  transaction.eval(checkOwner.lua, 2, job, ready, token);
  transaction[way](way === 'eval' ? finish.lua : finish.sha, ...(finish.args as [number, ...string[]]));
  transaction.eval(tellResult.lua, 3, job, ready, result, token, queue.resultChannel(jobId));
  const [, , reply] = await execAll(transaction);
  return reply;
}
