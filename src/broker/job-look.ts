import type { JobPlace } from './broker.ts';
import { delayedStep, keyNames, lockSuffix, metaFields } from './bullmq-names.ts';
import { defineScript } from './lua.ts';
import type { QueueHandle } from './queue-handle.ts';
import { luaNow } from './scripts.ts';

const { completed, failed, delayed, waitingChildren, meta, limiter } = keyNames;

/** Looks where a job is. KEYS: job, then the script's own. ARGV: id. Returns its place, 1 for a pause, a limit, a delay. */
const lookScript = defineScript(completed, failed, delayed, waitingChildren, meta, limiter)`
local job, completed, failed, delayed, children, meta, limiter = unpack(KEYS)
local id = ARGV[1]
${luaNow}
local due = redis.call('ZSCORE', delayed, id)
local place = 'waiting'
if redis.call('EXISTS', job) == 0 then place = 'gone'
elseif redis.call('ZSCORE', completed, id) or redis.call('ZSCORE', failed, id) then place = 'ended'
elseif redis.call('EXISTS', job .. '${lockSuffix}') == 1 then place = 'running'
elseif redis.call('ZSCORE', children, id) then place = 'children'
elseif due then place = 'delayed' end
local delay = due and math.max(0, math.floor(due / ${delayedStep}) - now) or 0
local max, limit = tonumber(redis.call('HGET', meta, '${metaFields.limitMax}') or ''), 0
if max and tonumber(redis.call('GET', limiter) or 0) >= max then limit = math.max(0, redis.call('PTTL', limiter)) end
return {place, redis.call('HEXISTS', meta, '${metaFields.paused}'), limit, delay}
`;

/** Looks where a job is, and what holds its queue up. */
export async function lookForJob(queue: QueueHandle, id: string): Promise<Omit<JobPlace, 'workers'>> {
  const reply = (await queue.run(lookScript, [id], id)) as [JobPlace['at'], number, number, number];
  const [at, paused, limitedMs, dueInMs] = reply;
  return { at, isPaused: paused === 1, limitedMs, dueInMs };
}
