import { IsletError } from '../errors.ts';
import type { Failure } from './broker.ts';
import type { QueueHandle } from './queue-handle.ts';
import { bury, findUnreadable } from './scripts.ts';

/** What Redis says when a script met something that is not what it expected, and nothing else is wrong. */
const scriptFault =
  /WRONGTYPE|is not an integer|is not a valid float|would overflow|out of range|attempt to |bad argument|Expected |nested|cmsgpack|cjson/;

/** Tells whether a command failed by what a job's hash holds: trying again would fail again. */
export function isScriptFault(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && scriptFault.test(error.message);
}

/** Tells whether the error is one of code, and not one of Redis or of the way to it. */
export function isOwnFault(error: unknown): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
}

/** Describes a job that cannot be read, as somebody else has written or changed it. */
export function corrupt(jobId: string, problem: string, ran = false): Failure {
  const seen = `Job "${jobId}" cannot be read as it is stored in Redis: ${problem}.`;
  const done = ran ? 'its code was run' : 'no code was run';
  const advice = `It is kept as failed, and ${done}. Find out which program wrote it, and enqueue it again.`;
  return { code: 'E_JOB_CORRUPT', causeName: 'Error', causeMessage: `${seen} ${advice}`, stack: '' };
}

interface Burial {
  readonly jobId: string;
  readonly token: string;
  readonly starts: number;
  readonly failedReason: string;
  readonly stack: string;
}

/** Fails a job of this worker's by a script that expects nothing of its hash. Returns false when another worker has it. */
export async function buryJob(queue: QueueHandle, burial: Burial): Promise<boolean> {
  const { jobId, token, starts, failedReason, stack } = burial;
  const args = [queue.keyStart, jobId, token, starts, failedReason, JSON.stringify([stack])];
  return (await queue.run(bury, args)) === 1;
}

/**
 * Fails the jobs that a fetch with this token has locked, and could not read, but for one that was fetched before. Returns
 * what to report of them.
 */
export async function buryUnreadable(queue: QueueHandle, token: string, except?: string): Promise<IsletError[]> {
  const ids = (await queue.run(findUnreadable, [queue.keyStart, token])) as string[];
  const errors: IsletError[] = [];
  for (const jobId of ids.filter((id) => id !== except)) {
    const { code, causeName, causeMessage } = corrupt(
      jobId,
      'it is not a hash, or its count of fetches is not a number',
    );
    const failedReason = `${code}: ${causeName}: ${causeMessage}`;
    await buryJob(queue, { jobId, token, starts: 0, failedReason, stack: '' });
    errors.push(new IsletError(code, causeMessage));
  }
  return errors;
}
