import type { ProducerBroker } from '../broker/broker.ts';
import { IsletError, TaskFailedError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { parseResult } from '../manifest/parse-payload.ts';

/** Waits for a job's end: returns its result, or throws `TaskFailedError`, or `E_RESULT_TIMEOUT`. */
export async function readResult(
  broker: Pick<ProducerBroker, 'awaitResult'>,
  job: { id: string; task: string; queue: string },
  manifest: AnyTask,
  timeoutMs: number,
): Promise<unknown> {
  const stored = await broker.awaitResult(job.queue, job.id, timeoutMs);
  if (!stored) {
    throw new IsletError(
      'E_RESULT_TIMEOUT',
      `Job "${job.id}" of task "${job.task}" has no result after ${timeoutMs} ms. It may still wait or run: ` +
        `check that a worker of queue "${job.queue}" runs, or wait longer.`,
    );
  }
  if (!stored.ok) throw new TaskFailedError(job.id, stored);
  return parseResult(manifest, stored.result);
}
