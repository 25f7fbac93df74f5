import type { Redis } from 'ioredis';
import { CancelledError } from '../errors.ts';
import type { CancelFound, StoredResult } from './broker.ts';
import { deduplicationStart, eventArgs, jobFields, keyNames } from './bullmq-names.ts';
import { readStamp } from './job-options.ts';
import { cancelChannel, maxEvents, queueKey, queuesKey, resultKey } from './keys.ts';
import { defineScript, runScript } from './lua.ts';
import { memoryFields } from './memory.ts';

/**
 * Notes that a job is cancelled. One that waits ends at once, as BullMQ ends a failed job; the workers are told of any
 * other. KEYS: job, failed, completed, delayed, prioritized, wait, paused, events, result. ARGV: id, reason, failed
 * reason, result as JSON, milliseconds to keep it, cancel channel, start of a dedupe key, most events.
 */
const cancelScript = defineScript(`
local id, job = ARGV[1], KEYS[1]
if redis.call('EXISTS', job) == 0 then return 'nowhere' end
if redis.call('ZSCORE', KEYS[2], id) or redis.call('ZSCORE', KEYS[3], id) then return 'finished' end
redis.call('HSET', job, '${memoryFields.cancel}', ARGV[2])
local waited = redis.call('ZREM', KEYS[4], id) + redis.call('ZREM', KEYS[5], id)
if waited == 0 then waited = redis.call('LREM', KEYS[6], 1, id) + redis.call('LREM', KEYS[7], 1, id) end
if waited == 0 then
  redis.call('PUBLISH', ARGV[6], id)
  return 'running'
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZADD', KEYS[2], now, id)
redis.call('HSET', job, '${jobFields.failedReason}', ARGV[3], '${jobFields.endedAt}', now)
local dedupe = redis.call('HGET', job, '${jobFields.deduplicationId}')
if dedupe then
  local key = ARGV[7] .. dedupe
  if redis.call('PTTL', key) == -1 and redis.call('GET', key) == id then redis.call('DEL', key) end
end
redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[8], '*', ${eventArgs.failed('ARGV[3]')})
if tonumber(ARGV[5]) > 0 then
  redis.call('SET', KEYS[9], ARGV[4], 'PX', ARGV[5])
  redis.call('PUBLISH', KEYS[9], ARGV[4])
end
return 'waiting'
`);

interface Place {
  client: Redis;
  prefix: string;
}

/** Looks for a job's hash in all queues that were ever used. */
export async function findQueues({ client, prefix }: Place, id: string): Promise<string[]> {
  const queues = await client.smembers(queuesKey(prefix));
  const pipeline = client.pipeline();
  for (const name of queues) pipeline.hexists(queueKey(prefix, name, id), jobFields.options);
  const replies = (await pipeline.exec()) ?? [];
  return queues.filter((_, index) => {
    const [error, found] = replies[index] ?? [];
    if (error) throw error;
    return found === 1;
  });
}

/** Cancels a job of one queue, in whatever state it is. */
export async function cancelJob(
  { client, prefix }: Place,
  queue: string,
  id: string,
  reason: string,
): Promise<CancelFound> {
  const opts = await client.hget(queueKey(prefix, queue, id), jobFields.options);
  if (opts === null) return 'nowhere';
  const { code, name, message } = new CancelledError(id, reason);
  const stored: StoredResult = { ok: false, code, causeName: name, causeMessage: message };
  const { keepResultMs = 0 } = readStamp(JSON.parse(opts));
  const { failed, completed, delayed, prioritized, wait, paused, events } = keyNames;
  const names = [id, failed, completed, delayed, prioritized, wait, paused, events];
  const keys = [...names.map((key) => queueKey(prefix, queue, key)), resultKey(prefix, queue, id)];
  const failedReason = `${code}: ${name}: ${message}`;
  const places = [cancelChannel(prefix, queue), queueKey(prefix, queue, deduplicationStart)];
  const args = [id, reason, failedReason, JSON.stringify(stored), keepResultMs, ...places, maxEvents];
  return (await runScript(client, cancelScript, keys, args)) as CancelFound;
}
