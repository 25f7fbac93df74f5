import type { JobPlace } from '../broker/broker.ts';
import { IsletError } from '../errors.ts';

type AwaitedJob = { id: string; task: string; queue: string };

const waitLonger = 'wait longer, with `timeoutMs`.';

/** Says what a job that has not ended waits for, and what to do. */
function describeWait({ queue }: AwaitedJob, { at, isPaused, limitedMs, dueInMs, workers }: JobPlace): string {
  if (at === 'running') return `It runs: ${waitLonger}`;
  if (at === 'children') return `It waits for the other jobs of its BullMQ flow: ${waitLonger}`;
  if (isPaused) return `Queue "${queue}" is paused: resume it.`;
  if (workers === 0) return `Queue "${queue}" has no worker: start one.`;
  if (limitedMs > 0) return `Queue "${queue}" is rate-limited and gives no job for ${limitedMs} ms: ${waitLonger}`;
  if (at === 'delayed') return `It is delayed, and due in ${dueInMs} ms: ${waitLonger}`;
  return `It waits behind other jobs of queue "${queue}": ${waitLonger}`;
}

/** Makes the error of a wait for a result that is over, from where the job is; undefined when Redis did not say. */
export function noResult(job: AwaitedJob, timeoutMs: number, place: JobPlace | undefined): IsletError {
  const seen = `Job "${job.id}" of task "${job.task}" has no result after ${timeoutMs} ms.`;
  const say = (what: string) => new IsletError('E_RESULT_TIMEOUT', `${seen} ${what}`);
  if (!place) return say('Redis does not answer, so the job may wait, run or have ended: check that Redis runs.');
  if (place.at === 'ended' || place.at === 'gone') {
    return say('It has ended, and its result has expired or was removed: read it sooner, or raise `keepResultMs`.');
  }
  return say(`The job goes on. ${describeWait(job, place)}`);
}
