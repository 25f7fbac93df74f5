import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { IsletError } from 'islet';
import type { TaskContext } from 'islet/task';

type Verb = 'start' | 'effect' | 'end' | 'fail' | 'abort';
type Run = Pick<TaskContext, 'jobId' | 'attempt' | 'signal'>;

const file = join(process.env.CHAOS_LEDGER ?? '.', `${process.pid}.log`);

/** Appends a line, synchronously: a line that was written survives whatever kills this process next. */
function write(verb: Verb, task: string, { jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>, note = ''): void {
  appendFileSync(file, `${verb} ${Date.now()} ${process.pid} ${jobId} ${task} ${attempt} ${note}\n`);
}

const codeOf = (reason: unknown) => (reason instanceof IsletError ? reason.code : 'unknown');

/** Runs user code between two lines of the ledger. The effect of the code is a line, too, which comes last. */
export async function ledgered(task: string, run: Run, work: () => unknown): Promise<void> {
  write('start', task, run);
  const onAbort = () => write('abort', task, run, codeOf(run.signal.reason));
  run.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await work();
    write('effect', task, run);
    write('end', task, run);
  } catch (error) {
    if (!run.signal.aborted) write('fail', task, run);
    throw error;
  } finally {
    run.signal.removeEventListener('abort', onAbort);
  }
}
