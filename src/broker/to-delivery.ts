import type { Redis } from 'ioredis';
import { CancelledError } from '../errors.ts';
import type { Crash, Delivery } from './broker.ts';
import type { FetchedJob, JobBackend } from './job-backend.ts';
import { readStamp } from './job-options.ts';
import { queueKey } from './keys.ts';
import type { Hold } from './locks.ts';
import { runScript } from './lua.ts';
import { writeFence } from './scripts.ts';

interface DeliveryScope {
  client: Redis;
  place: { prefix: string; queue: string };
  backend: JobBackend;
  workerId: string;
}

/** Creates what hands a fetched job to the worker; one that was cancelled meanwhile arrives aborted. */
export function createToDelivery({ client, place, backend, workerId }: DeliveryScope) {
  const { prefix, queue } = place;
  const markStarted = async ({ jobId, starts, token }: Hold) => {
    const written = await runScript(
      client,
      writeFence,
      [queueKey(prefix, queue, jobId)],
      [token, `${workerId}:${starts}`],
    );
    return written === 1;
  };
  return (job: FetchedJob, hold: Hold, { input, crashes }: { input: unknown; crashes: Crash[] }): Delivery => {
    const { memory, id, name, timestamp, attemptsMade } = job;
    const { version, keepResultMs } = readStamp(job.opts);
    if (memory.cancel !== undefined) hold.abort.abort(new CancelledError(id, memory.cancel));
    return {
      queue,
      task: name,
      jobId: id,
      input,
      version,
      keepResultMs,
      memory: { ...memory, crashes },
      enqueuedAt: timestamp,
      attempt: attemptsMade + 1,
      abort: hold.abort,
      reportProgress: (value) => backend.updateProgress(id, value),
      markStarted: () => markStarted(hold),
    };
  };
}
