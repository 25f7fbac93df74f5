import type { JobState, ProducerBroker } from '../broker/broker.ts';
import type { QueueRef } from '../broker/keys.ts';
import { IsletError, JobIdTakenError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { parseResult } from '../manifest/parse-payload.ts';

/** A job as it was when it was asked for. Times are in milliseconds since 1970. */
export interface JobSnapshot<Result = unknown> {
  readonly id: string;
  /** The name of its task; empty where a job that cannot be read does not say. */
  readonly task: string;
  readonly queue: string;
  /** `active` while a worker has its lock. One that its worker lost is `waiting`. */
  readonly state: JobState;
  /** How many attempts have ended. Unknown where a worker of an earlier version has kept the result. */
  readonly attempts?: number | undefined;
  /** What the task has reported last. */
  readonly progress?: unknown;
  /** What a completed job returned, where it is kept. */
  readonly result?: Result | undefined;
  /** Why a failed job has failed, or was cancelled. */
  readonly failure?: { readonly code: string; readonly message: string } | undefined;
  readonly enqueuedAt?: number | undefined;
  /** When its last delivery began. */
  readonly startedAt?: number | undefined;
  readonly endedAt?: number | undefined;
}

/** Returns all names under which jobs of a task may be stored. */
export const namesOf = ({ name, formerNames }: AnyTask): [string, ...string[]] => [name, ...formerNames];

/** Throws `E_JOB_AMBIGUOUS` where more than one queue has a job; `fate` says what was not done. */
export function refuseAmbiguous(queues: readonly string[], id: string, fate: string): void {
  if (queues.length < 2) return;
  const names = queues.map((each) => `"${each}"`).sort();
  const seen = `Queues ${names.join(' and ')} each have a job "${id}".`;
  throw new IsletError('E_JOB_AMBIGUOUS', `${seen} ${fate} Name one as \`queue\`.`);
}

/** Reads a job. Throws `E_JOB_AMBIGUOUS`, `E_JOB_ID_TAKEN` and `E_RESULT_INVALID`. */
export async function readSnapshot(
  broker: ProducerBroker,
  id: string,
  { queue, task: wanted }: { queue?: string | QueueRef; task?: AnyTask },
): Promise<JobSnapshot | undefined> {
  const found = await broker.findJobs(id, queue ?? (wanted && { name: wanted.queue, bullmq: wanted.bullmq }));
  const [job] = found;
  if (!job) return undefined;
  refuseAmbiguous(
    found.map((each) => each.queue),
    id,
    'Nothing was read.',
  );
  // A job that cannot be read, and a result that a worker of an earlier version has kept, name no task.
  const { task = wanted?.name ?? '', ...rest } = job;
  if (wanted && !namesOf(wanted).includes(task)) {
    throw new JobIdTakenError({ queue: job.queue, id, task: wanted.name }, task, 'Nothing was read.');
  }
  if (!wanted || !('result' in job)) return { id, task, ...rest };
  return { id, task, ...rest, result: await parseResult(wanted, job.result) };
}
