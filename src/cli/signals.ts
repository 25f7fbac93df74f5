import { hidePasswords } from '../errors.ts';
import type { Log } from '../log.ts';
import { blameHook } from '../worker/call-hook.ts';
import { exitLimitMs, type RunningWorker } from '../worker/running-worker.ts';
import { failCurrentJob } from '../worker/worker.ts';

/** Terminals and npm deliver one Ctrl-C twice. */
const sameSignalMs = 1_000;

/** The job's own outcome line tells the error, without redacted values. */
function nameJob({ queue, task, jobId, attempt }: ReturnType<typeof failCurrentJob> & object) {
  return { queue, task, jobId, attempt };
}

function describeStray(error: unknown): string {
  return hidePasswords(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** What ends a worker process, from its first moment on. */
export interface Ending {
  /** It stops because it has to be replaced, not because it was asked to. */
  readonly failed: boolean;
  /** The exit code with which it ends; undefined as long as nothing has asked for that. */
  readonly exitCode: number | undefined;
  /** Stops the worker as if a signal had come; the process then exits with 1. */
  fail(): void;
  /** Stops the worker as a signal does, for a reason of its own: nobody is left who would, or it has reached a limit. */
  drain(fields: object, message: string): void;
  /** Aborts what runs and gives it back, now. */
  abort(): void;
  /** Waits until the worker has been stopped, and returns the exit code. */
  of(worker: RunningWorker): Promise<number>;
}

export interface EndingOptions {
  /** A terminal's SIGINT is the parent's, which says what follows. */
  supervised?: boolean;
  /** The worker takes no further job; `failed` when nobody has asked for that. Called once. */
  onStop?(failed: boolean): void;
}

/**
 * Listens for what ends a worker. SIGTERM and SIGINT let running jobs finish for `graceMs` milliseconds; a second
 * signal, over a second later, aborts at once. An exception that escaped a task fails that job, gives the others back
 * and ends with 1; a rejection that escaped one fails that job only; either one
 * that escaped a hook changes nothing. The process is gone 2 s after the grace, also if
 * Redis does not answer.
 */
export function listenForEnd(log: Log, graceMs: number, { supervised, onStop }: EndingOptions = {}): Ending {
  let worker: RunningWorker | undefined;
  let asked: { at: number; graceMs: number; code: number } | undefined;
  let resolveEnd: (code: number) => void = () => {};
  const end = new Promise<number>((resolve) => {
    resolveEnd = resolve;
  });

  const stopNow = () => {
    if (!worker || !asked) return;
    const { code } = asked;
    worker.stop(asked.graceMs).then(
      () => resolveEnd(code),
      (error) => {
        log.error({ error: describeStray(error) }, 'The stop failed');
        resolveEnd(1);
      },
    );
  };
  const ask = (graceNowMs: number, code: number) => {
    if (!asked) onStop?.(code !== 0);
    asked = { at: performance.now(), graceMs: graceNowMs, code: Math.max(code, asked?.code ?? 0) };
    const exit = () => {
      log.warn({}, 'The stop took too long: the process ends, its locks run out by themselves');
      process.exit(asked?.code);
    };
    setTimeout(exit, (worker?.graceLeftMs(graceNowMs) ?? graceNowMs) + exitLimitMs).unref();
    stopNow();
  };

  const onSignal = (signal: string) => {
    if (!asked) {
      log.info({ signal, graceMs }, 'Draining');
      ask(graceMs, 0);
    } else if (performance.now() - asked.at > sameSignalMs && asked.graceMs > 0) {
      log.info({ signal }, 'Aborting');
      ask(0, 0);
    }
  };
  const crash = (error: unknown) => {
    if (blameHook(error)) return;
    const culprit = failCurrentJob(error);
    if (culprit) log.fatal(nameJob(culprit), 'An exception escaped a task: its job fails and the worker stops');
    else log.fatal({ error: describeStray(error) }, 'An exception escaped: the worker stops');
    // The failed job settles first: it was failed before the others are given back.
    setImmediate(() => ask(0, 1));
  };
  process.on('SIGTERM', onSignal);
  if (!supervised) process.on('SIGINT', onSignal);
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', (error) => {
    if (blameHook(error)) return;
    const culprit = failCurrentJob(error);
    if (culprit) log.error(nameJob(culprit), 'A rejection escaped a task: its job fails');
    else crash(error);
  });
  return {
    get failed() {
      return asked?.code === 1;
    },
    get exitCode() {
      return asked?.code;
    },
    fail() {
      // It may be found unhealthy again and again while it stops.
      if (!asked) ask(graceMs, 1);
    },
    drain(fields, message) {
      if (asked) return;
      log.info({ ...fields, graceMs }, message);
      ask(graceMs, 0);
    },
    abort() {
      if (asked?.graceMs !== 0) ask(0, 0);
    },
    of(started) {
      worker = started;
      if (asked) stopNow();
      return end;
    },
  };
}
