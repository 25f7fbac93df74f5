import { hidePasswords } from '../errors.ts';
import type { Log } from '../log.ts';
import type { WorkerProcess } from '../worker/bootstrap.ts';
import { failCurrentJob } from '../worker/worker.ts';

const sameSignalMs = 1_000;

/** A crash must not hang on a dead Redis: after this the locks give the jobs back. */
const crashLimitMs = 5_000;

/** The job's own outcome line tells the error, without redacted values. */
function nameJob({ queue, task, jobId, attempt }: ReturnType<typeof failCurrentJob> & object) {
  return { queue, task, jobId, attempt };
}

function describeStray(error: unknown): string {
  return hidePasswords(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/**
 * Waits until a signal ends the worker. SIGTERM and SIGINT drain it. A rejection that escaped a task fails that job;
 * an exception that escaped one fails that job, gives the others back and exits with 1.
 */
export function onSignals(worker: WorkerProcess, log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    let stoppingSince: number | undefined;
    const stop = (signal: string) => {
      // Terminals and npm deliver one Ctrl-C twice; a later second signal means now, also with Redis away.
      if (stoppingSince !== undefined && performance.now() - stoppingSince > sameSignalMs) return process.exit(1);
      if (stoppingSince !== undefined) return;
      stoppingSince = performance.now();
      log.info({ signal }, 'Draining');
      worker.drain().then(resolve, reject);
    };
    const crash = (error: unknown) => {
      const culprit = failCurrentJob(error);
      if (culprit) log.fatal(nameJob(culprit), 'An exception escaped a task: its job fails and the worker stops');
      else log.fatal({ error: describeStray(error) }, 'An exception escaped: the worker stops');
      process.exitCode = 1;
      setTimeout(() => process.exit(1), crashLimitMs);
      // The failed job settles first: it was failed before the others are given back.
      setImmediate(() =>
        worker.release().then(
          () => process.exit(1),
          () => process.exit(1),
        ),
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('uncaughtException', crash);
    process.on('unhandledRejection', (error) => {
      const culprit = failCurrentJob(error);
      if (culprit) log.error(nameJob(culprit), 'A rejection escaped a task: its job fails');
      else crash(error);
    });
  });
}
