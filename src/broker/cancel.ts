import { setImmediate, setTimeout } from 'node:timers/promises';
import { CancelledError, JobIdTakenError } from '../errors.ts';
import type { CancelFound, CancelRequest, StoredResult } from './broker.ts';
import { deduplicationStart, eventArgs, jobFields, keyNames } from './bullmq-names.ts';
import { readStamp } from './job-options.ts';
import type { Locks } from './locks.ts';
import { defineScript, execEach } from './lua.ts';
import { memoryFields } from './memory.ts';
import type { QueueHandle } from './queue-handle.ts';
import { readOptions } from './read-stored.ts';
import { luaMostEvents, luaNow } from './scripts.ts';
import type { WorkerScope } from './worker-scope.ts';

const { failed, completed, delayed, prioritized, wait, paused, events, meta } = keyNames;

/**
 * Notes that a job is cancelled. One that waits ends at once, as BullMQ ends a failed job; the workers are told of any
 * other. Returns where the job is: "running" if its worker has said that it aborted the job. KEYS: job, result, then the
 * script's own. ARGV: id, reason, failed reason, result as JSON, milliseconds to keep it, cancel channel, start of a dedupe
 * key, result channel.
 */
const cancelScript = defineScript(failed, completed, delayed, prioritized, wait, paused, events, meta)`
local job, result, failed, completed, delayed, prioritized, wait, paused, events, meta = unpack(KEYS)
local id = ARGV[1]
if redis.call('EXISTS', job) == 0 then return 'nowhere' end
if redis.call('ZSCORE', failed, id) or redis.call('ZSCORE', completed, id) then return 'finished' end
if redis.call('HEXISTS', job, '${memoryFields.aborted}') == 1 then return 'running' end
redis.call('HSET', job, '${memoryFields.cancel}', ARGV[2])
local waited = redis.call('ZREM', delayed, id) + redis.call('ZREM', prioritized, id)
if waited == 0 then waited = redis.call('LREM', wait, 1, id) + redis.call('LREM', paused, 1, id) end
if waited == 0 then
  redis.call('PUBLISH', ARGV[6], id)
  return 'asked'
end
${luaNow}
redis.call('ZADD', failed, now, id)
redis.call('HSET', job, '${jobFields.failedReason}', ARGV[3], '${jobFields.stacktrace}', '[]', '${jobFields.endedAt}', now)
local dedupe = redis.call('HGET', job, '${jobFields.deduplicationId}')
if dedupe then
  local key = ARGV[7] .. dedupe
  if redis.call('PTTL', key) == -1 and redis.call('GET', key) == id then redis.call('DEL', key) end
end
redis.call('XADD', events, 'MAXLEN', '~', ${luaMostEvents('meta')}, '*', ${eventArgs.failed('ARGV[3]')})
if tonumber(ARGV[5]) > 0 then
  local stored = string.sub(ARGV[4], 1, -2)
  local facts = {attempts = '${jobFields.attempts}', enqueuedAt = '${jobFields.timestamp}', startedAt = '${jobFields.startedAt}', endedAt = '${jobFields.endedAt}'}
  for fact, field in pairs(facts) do
    local number = tonumber(redis.call('HGET', job, field) or '')
    if number and number >= 0 and number < 1e15 then stored = stored .. string.format(',"%s":%.0f', fact, number) end
  end
  redis.call('SET', result, stored .. '}', 'PX', ARGV[5])
  redis.call('PUBLISH', ARGV[8], '')
end
return 'waiting'
`;

/** Notes that a worker has aborted a job, which may be gone meanwhile. KEYS: job. */
const confirmScript = defineScript()`
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], '${memoryFields.aborted}', '1') end
`;

/** The waits between two looks for what a worker said, in milliseconds. */
const looksMs = [2, 5, 10, 20, 40, 80, 160, 320];

/**
 * Cancels a job, and waits at most `waitMs` milliseconds until the worker that runs it has aborted it. Throws
 * `E_JOB_ID_TAKEN`.
 */
export async function cancelJob(
  queue: QueueHandle,
  id: string,
  { reason, task }: CancelRequest,
  waitMs = 0,
): Promise<CancelFound> {
  const until = performance.now() + waitMs;
  // An id may be anything, and so the name of another key of the queue: all jobs have a timestamp, and no scheduler has.
  const { options, name: nameField, timestamp } = jobFields;
  const look = queue.client.pipeline().hmget(queue.key(id), options, nameField, timestamp);
  const [[opts, name, madeAt] = []] = (await execEach(look)) as [(string | null)[]?];
  if (typeof opts !== 'string' || typeof madeAt !== 'string') return 'nowhere';
  refuseOther(task, { queue: queue.name, id, task: name ?? '' });
  const ask = () => askToCancel(queue, id, reason, { opts, task: name ?? '' });
  let found = await ask();
  for (const ms of looksMs) {
    if (found !== 'asked' || performance.now() + ms >= until) return found;
    await setTimeout(ms);
    found = await ask();
    if (found === 'nowhere' || found === 'finished')
      return (await endedAsCancelled(queue, id)) ? 'running' : 'finished';
  }
  return found;
}

/** Throws `E_JOB_ID_TAKEN` for a job whose name is none of the task's that was asked for. */
export function refuseOther(names: CancelRequest['task'], job: { queue: string; id: string; task: string }): void {
  if (names === undefined || names.includes(job.task)) return;
  throw new JobIdTakenError({ ...job, task: names[0] }, job.task, 'Nothing was cancelled.');
}

async function askToCancel(
  queue: QueueHandle,
  id: string,
  reason: string,
  { opts, task }: { opts: string; task: string },
): Promise<CancelFound> {
  const { code, name, message } = new CancelledError(id, reason);
  const stored: StoredResult = { task, ok: false, code, causeName: name, causeMessage: message };
  const { keepResultMs = 0 } = readStamp(readOptions(opts).value);
  const failedReason = `${code}: ${name}: ${message}`;
  const places = [queue.cancelChannel, queue.key(deduplicationStart)];
  const args = [id, reason, failedReason, JSON.stringify(stored), keepResultMs, ...places, queue.resultChannel(id)];
  return (await queue.run(cancelScript, args, id, `result:${id}`)) as CancelFound;
}

/** Tells whether a job that ran a moment ago was aborted before it could end otherwise. */
async function endedAsCancelled(queue: QueueHandle, id: string): Promise<boolean> {
  const failedReason = await queue.client.hget(queue.key(id), jobFields.failedReason);
  return failedReason?.startsWith('E_JOB_CANCELLED:') === true;
}

/** Looks whether a job was cancelled, and aborts it if it runs here. */
export async function lookForCancel({ queue, workerId }: WorkerScope, { holds }: Locks, id: string): Promise<void> {
  // The answer comes after that of a fetch in flight, so the job is known by then.
  const [reason, fetchedBy] = await queue.client.hmget(queue.key(id), memoryFields.cancel, jobFields.worker);
  if (typeof reason !== 'string') return;
  await setImmediate();
  const hold = holds.get(id);
  if (hold) {
    hold.cancelled = !hold.cancel(reason);
    // This is sent before the job's end can be.
    if (!hold.cancelled) await queue.run(confirmScript, [], id);
    return;
  }
  if (fetchedBy !== workerId) return;
  // The job was cancelled while it was settled here, perhaps as a retry that would only end when it is due.
  const isDelayed = (await queue.client.zscore(queue.key(delayed), id)) !== null;
  if (isDelayed) await cancelJob(queue, id, { reason });
}
