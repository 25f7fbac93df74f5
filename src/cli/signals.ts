import type { Log } from '../log.ts';
import { stopSignals } from '../process/stop-signals.ts';
import { describeEscaped, failCurrentJob } from '../worker/attempt.ts';
import { blameHook } from '../worker/call-hook.ts';
import { defer } from '../worker/deferred.ts';
import { exitLimitMs, type RunningWorker } from '../worker/running-worker.ts';
import { StopRequests } from './stop-requests.ts';

/** Returns the signals that stop a worker. All but SIGTERM are for the parent, which tells its workers what follows. */
export function stopSignalsOf(supervised: boolean): readonly NodeJS.Signals[] {
  return supervised ? ['SIGTERM'] : stopSignals;
}

interface EndingOptions {
  supervised: boolean;
  /** Called once, when the worker takes no further job; `failed` when nobody has asked for that. */
  onStop(failed: boolean): void;
}

/** How long a start may go on that is no longer wanted, in milliseconds: it has taken no job. */
const startExitMs = 1_600;

/** The job's own outcome line tells the error, without redacted values. */
function nameJob({ queue, task, jobId, attempt }: ReturnType<typeof failCurrentJob> & object) {
  return { queue, task, jobId, attempt };
}

/**
 * What ends a worker process, from its first moment on. A signal lets running jobs finish for `graceMs` milliseconds; a
 * second one, over a second later, aborts at once. An exception that escaped a task fails that job, gives the others back
 * and ends with 1, also while the worker stops already; a rejection that escaped one fails that job only; either one that
 * escaped a hook changes nothing. The process is gone 2 s after the grace, even if Redis does not answer, and 2 s after the
 * signal if it has taken no job yet.
 */
export class Ending {
  readonly #log: Log;
  readonly #graceMs: number;
  readonly #onStop: EndingOptions['onStop'];
  readonly #requests = new StopRequests();
  readonly #ended = defer();
  #worker: RunningWorker | undefined;
  /** The grace of the last request to stop. */
  #askedMs: number | undefined;
  #code = 0;

  constructor(log: Log, graceMs: number, { supervised, onStop }: EndingOptions) {
    this.#log = log;
    this.#graceMs = graceMs;
    this.#onStop = onStop;
    for (const signal of stopSignalsOf(supervised)) process.on(signal, () => this.#onSignal(signal));
    process.on('uncaughtException', (error) => this.#onException(error));
    process.on('unhandledRejection', (error) => this.#onRejection(error));
  }

  /** The exit code with which the process ends; undefined as long as nothing has asked for that. */
  get exitCode(): number | undefined {
    return this.#askedMs === undefined ? undefined : this.#code;
  }

  /** Whether the worker stops because it has to be replaced, not because it was asked to. */
  get failed(): boolean {
    return this.#code !== 0;
  }

  /** Stops the worker as if a signal had come; the process then exits with 1. */
  fail(): void {
    // A worker may be found unhealthy again and again while it stops.
    if (this.#askedMs !== undefined) return;
    this.#code = 1;
    this.#ask(this.#graceMs);
  }

  /** Stops the worker as a signal does, for a reason of its own: its parent is gone, or it has reached a limit. */
  drain(fields: object, message: string): void {
    if (this.#askedMs !== undefined) return;
    this.#log.info({ ...fields, graceMs: this.#graceMs }, message);
    this.#ask(this.#graceMs);
  }

  /** Aborts what runs and gives it back, now. */
  abort(): void {
    if (this.#askedMs !== 0) this.#ask(0);
  }

  /** Waits until the worker has been stopped: `exitCode` then says how. */
  of(worker: RunningWorker): Promise<void> {
    this.#worker = worker;
    if (this.#askedMs !== undefined) this.#stop(worker, this.#askedMs);
    return this.#ended.promise;
  }

  #ask(graceMs: number): void {
    if (this.#askedMs === undefined) this.#onStop(this.failed);
    this.#requests.note();
    this.#askedMs = graceMs;
    if (this.#worker) this.#stop(this.#worker, graceMs);
    else this.#exitAfter(startExitMs);
  }

  /** Ends the process after that time, unless it was a start that has succeeded meanwhile. */
  #exitAfter(limitMs: number): void {
    const worker = this.#worker;
    const exitLate = () => {
      if (worker !== this.#worker) return;
      const what = worker ? 'its locks run out by themselves' : 'it has taken no job';
      this.#log.warn({}, `The stop took too long: the process ends, ${what}`);
      process.exit(this.exitCode);
    };
    setTimeout(exitLate, limitMs).unref();
  }

  #stop(worker: RunningWorker, graceMs: number): void {
    this.#exitAfter(worker.graceLeftMs(graceMs) + exitLimitMs);
    worker.stop(graceMs).then(this.#ended.resolve, (error) => {
      this.#log.error({ error: describeEscaped(error) }, 'The stop failed');
      this.#code = 1;
      this.#ended.resolve();
    });
  }

  #onSignal(signal: string): void {
    if (this.#askedMs === undefined) {
      this.drain({ signal }, 'Draining');
    } else if (!this.#requests.isEcho && this.#askedMs > 0) {
      this.#log.info({ signal }, 'Aborting');
      this.#ask(0);
    }
  }

  #onException(error: unknown): void {
    if (blameHook(error)) return;
    const culprit = failCurrentJob(error);
    if (culprit) {
      this.#log.fatal(nameJob(culprit), 'An exception escaped a task: its job fails and the worker stops');
      this.#crash();
    } else this.#crashOf(error);
  }

  #onRejection(error: unknown): void {
    if (blameHook(error)) return;
    const culprit = failCurrentJob(error);
    if (culprit) this.#log.error(nameJob(culprit), 'A rejection escaped a task: its job fails');
    else this.#crashOf(error);
  }

  #crashOf(error: unknown): void {
    this.#log.fatal({ error: describeEscaped(error) }, 'An exception escaped: the worker stops');
    this.#crash();
  }

  #crash(): void {
    // The stop may end before the next turn.
    this.#code = 1;
    // The failed job is settled before the others are given back.
    setImmediate(() => this.#ask(0));
  }
}
