import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { IsletError } from 'islet';
import type { TaskContext } from 'islet/task';

type Verb = 'start' | 'effect' | 'end' | 'fail' | 'abort';
type Run = Pick<TaskContext, 'jobId' | 'attempt' | 'signal'>;
type Noted = Pick<Run, 'jobId' | 'attempt'> & { pid: number };

const file = join(process.env.CHAOS_LEDGER ?? '.', `${process.pid}.log`);

/** Appends a line, synchronously: a line that was written survives whatever kills this process next. */
function write(verb: Verb, task: string, { jobId, attempt, pid }: Noted, note = ''): void {
  appendFileSync(file, `${verb} ${Date.now()} ${pid} ${jobId} ${task} ${attempt} ${note}\n`);
}

const codeOf = (reason: unknown) => (reason instanceof IsletError ? reason.code : 'unknown');

/**
 * Runs user code between two lines of the ledger, and returns its result. The effect of the code is a line, too, which
 * comes last. `pid` is the worker's: a fault that hits it hits the processes of its pools.
 */
export async function ledgered(task: string, run: Run, work: () => unknown, pid = process.pid): Promise<unknown> {
  const { jobId, attempt } = run;
  const noted = { jobId, attempt, pid };
  write('start', task, noted);
  const onAbort = () => write('abort', task, noted, codeOf(run.signal.reason));
  run.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await work();
    write('effect', task, noted);
    write('end', task, noted);
    return result;
  } catch (error) {
    if (!run.signal.aborted) write('fail', task, noted);
    throw error;
  } finally {
    run.signal.removeEventListener('abort', onAbort);
  }
}
