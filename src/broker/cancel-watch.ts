import { setImmediate } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { CancelledError } from '../errors.ts';
import { jobFields, keyNames } from './bullmq-names.ts';
import { cancelJob } from './cancel.ts';
import { queueKey } from './keys.ts';
import type { Locks } from './locks.ts';
import { memoryFields } from './memory.ts';

interface CancelWatchOptions {
  client: Redis;
  place: { prefix: string; queue: string };
  workerId: string;
  locks: Locks;
  onTrouble(error: unknown): void;
}

/** Creates what aborts the jobs of one queue that run here when somebody cancels them. */
export function createCancelWatch({ client, place, workerId, locks, onTrouble }: CancelWatchOptions) {
  const { prefix, queue } = place;

  const look = async (jobId: string) => {
    // The answer comes after that of a fetch in flight, so the job is known by then.
    const [reason, fetchedBy] = await client.hmget(
      queueKey(prefix, queue, jobId),
      memoryFields.cancel,
      jobFields.worker,
    );
    if (typeof reason !== 'string') return;
    await setImmediate();
    const hold = locks.holds.get(jobId);
    if (hold && !hold.ended) hold.abort.abort(new CancelledError(jobId, reason));
    else if (hold) hold.cancelled = true;
    else if (fetchedBy === workerId) await endDelayed(jobId, reason);
  };

  /** It was cancelled while it was being settled here, as a retry perhaps: that would be found only when it is due. */
  const endDelayed = async (jobId: string, reason: string) => {
    if ((await client.zscore(queueKey(prefix, queue, keyNames.delayed), jobId)) === null) return;
    await cancelJob({ client, prefix }, queue, jobId, reason);
  };

  return {
    /** Somebody cancelled this job. */
    told: (jobId: string) => void look(jobId).catch(onTrouble),
    /** What was told meanwhile did not arrive: asks of each job that runs here. */
    lookAtAll(): void {
      for (const jobId of locks.holds.keys()) this.told(jobId);
    },
  };
}

export type CancelWatch = ReturnType<typeof createCancelWatch>;
