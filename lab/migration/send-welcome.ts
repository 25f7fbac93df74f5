// The work that moves in: the same code, called by a plain processor and by a task.
import { setTimeout as sleep } from 'node:timers/promises';
import { note } from './ledger.ts';

export interface Payload {
  readonly ms: number;
  /** On so many first attempts, the work fails. */
  readonly failures: number;
}

export interface Run {
  readonly jobId: string;
  readonly attempt: number;
  /** The library of the worker. */
  readonly by: string;
}

/** Takes some time, and fails where the payload says so. */
export async function sendWelcome({ ms, failures }: Payload, { jobId, attempt, by }: Run): Promise<{ sent: string }> {
  note('start', jobId, by);
  await sleep(ms);
  if (attempt <= failures) {
    note('fail', jobId, by);
    throw new Error('fails on purpose');
  }
  note('end', jobId, by);
  return { sent: jobId };
}
