import { baseMark, eventArgs, jobFields, keyNames, priorityStep } from '../broker/bullmq-names.ts';
import { defineScript, execEach } from '../broker/lua.ts';
import { memoryFields } from '../broker/memory.ts';
import { forgottenFields } from '../broker/put-back.ts';
import type { QueueHandle } from '../broker/queue-handle.ts';
import { luaMostEvents } from '../broker/scripts.ts';

/** A job that failed for good. */
export interface FailedJob {
  readonly id: string;
  readonly task: string;
  readonly failedReason: string;
  /** Whether it wrote the at-most-once fence. */
  readonly started: boolean;
  /** In milliseconds since 1970, as Redis writes it. */
  readonly failedAt: string;
}

const pageSize = 500;

/** What a job loses with its failure: BullMQ's tools leave the fence of an at-most-once job, and a person does not. */
const { failedReason, endedAt, startedAt } = jobFields;
const forgotten = [...forgottenFields, memoryFields.started, failedReason, endedAt, startedAt];

const { failed, wait, prioritized, priorityCounter, marker, events, meta } = keyNames;

/**
 * Puts failed jobs back at the tail of the queue. Somebody else has dealt with a job that did not fail at the given time.
 * ARGV: key start, then id and time of each. Returns the ids that were put back.
 */
const putBackFailed = defineScript(failed, wait, prioritized, priorityCounter, marker, events, meta)`
local given, most = {}, ${luaMostEvents('KEYS[7]')}
for i = 2, #ARGV, 2 do
  local id, job = ARGV[i], ARGV[1] .. ARGV[i]
  if redis.call('ZSCORE', KEYS[1], id) == ARGV[i + 1] and redis.call('EXISTS', job) == 1 then
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', job, ${forgotten.map((field) => `'${field}'`).join(', ')})
    redis.call('DEL', ARGV[1] .. 'result:' .. id)
    local priority = tonumber(redis.call('HGET', job, '${jobFields.priority}') or '0') or 0
    if priority > 0 then
      local turn = redis.call('INCR', KEYS[4]) % ${priorityStep}
      redis.call('ZADD', KEYS[3], priority * ${priorityStep} + turn, id)
    else
      redis.call('LPUSH', KEYS[2], id)
    end
    redis.call('XADD', KEYS[6], 'MAXLEN', '~', most, '*', ${eventArgs.waiting('failed')})
    given[#given + 1] = id
  end
end
if #given > 0 then redis.call('ZADD', KEYS[5], ${baseMark.score}, '${baseMark.member}') end
return given
`;

async function readPage(queue: QueueHandle, page: string[]): Promise<FailedJob[]> {
  const entries = page.flatMap((id, index) => (index % 2 === 0 ? [{ id, failedAt: page[index + 1] ?? '' }] : []));
  const pipeline = queue.client.pipeline();
  for (const { id } of entries)
    pipeline.hmget(queue.key(id), jobFields.name, jobFields.failedReason, memoryFields.started);
  const replies = (await execEach(pipeline)) as ((string | null)[] | undefined)[];
  return entries.flatMap((entry, index) => {
    const [task = null, failedReason, started] = replies[index] ?? [];
    // A job without name and reason was removed meanwhile; one that cannot be read may have no name.
    if (typeof (task ?? failedReason) !== 'string') return [];
    return [{ ...entry, task: task ?? '', failedReason: failedReason ?? '', started: Boolean(started) }];
  });
}

/** Reads all failed jobs of a queue that `wanted` accepts, in pages of about 500, the oldest failure first. */
export async function findFailed(queue: QueueHandle, wanted: (job: FailedJob) => boolean): Promise<FailedJob[]> {
  const found = new Map<string, FailedJob>();
  for await (const page of queue.client.zscanStream(queue.key(failed), { count: pageSize })) {
    for (const job of await readPage(queue, page as string[])) if (wanted(job)) found.set(job.id, job);
  }
  return [...found.values()].sort((a, b) => Number(a.failedAt) - Number(b.failedAt));
}

/**
 * Puts failed jobs back into their queue with fresh budgets, in pages of 500; each job as a whole or not at all.
 * Returns the ids that were put back: the others were taken by somebody else meanwhile.
 */
export async function redrive(queue: QueueHandle, jobs: readonly FailedJob[]): Promise<Set<string>> {
  const given = new Set<string>();
  for (let start = 0; start < jobs.length; start += pageSize) {
    const page = jobs.slice(start, start + pageSize).flatMap(({ id, failedAt }) => [id, failedAt]);
    const reply = await queue.run(putBackFailed, [queue.keyStart, ...page]);
    for (const id of reply as string[]) given.add(id);
  }
  return given;
}
