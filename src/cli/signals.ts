import type { Log } from '../log.ts';
import { describeEscaped, failCurrentJob } from '../worker/attempt.ts';
import { blameHook } from '../worker/call-hook.ts';
import { exitLimitMs, type RunningWorker } from '../worker/running-worker.ts';
import { StopRequests } from './stop-requests.ts';

interface EndingOptions {
  /** A terminal's SIGINT is for the parent, which tells its workers what follows from it. */
  supervised: boolean;
  /** Called once, when the worker takes no further job; `failed` when nobody has asked for that. */
  onStop(failed: boolean): void;
}

/** The job's own outcome line tells the error, without redacted values. */
function nameJob({ queue, task, jobId, attempt }: ReturnType<typeof failCurrentJob> & object) {
  return { queue, task, jobId, attempt };
}

/**
 * What ends a worker process, from its first moment on. SIGTERM and SIGINT let running jobs finish for `graceMs`
 * milliseconds; a second signal, over a second later, aborts at once. An exception that escaped a task fails that job,
 * gives the others back and ends with 1; a rejection that escaped one fails that job only; either one that escaped a hook
 * changes nothing. The process is gone 2 s after the grace, even if Redis does not answer.
 */
export class Ending {
  readonly #log: Log;
  readonly #graceMs: number;
  readonly #onStop: EndingOptions['onStop'];
  readonly #requests = new StopRequests();
  readonly #ended: Promise<number>;
  #end: (code: number) => void = () => {};
  #worker: RunningWorker | undefined;
  #asked: { graceMs: number; code: number } | undefined;

  constructor(log: Log, graceMs: number, { supervised, onStop }: EndingOptions) {
    this.#log = log;
    this.#graceMs = graceMs;
    this.#onStop = onStop;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    process.on('SIGTERM', (signal) => this.#onSignal(signal));
    if (!supervised) process.on('SIGINT', (signal) => this.#onSignal(signal));
    process.on('uncaughtException', (error) => this.#onException(error));
    process.on('unhandledRejection', (error) => this.#onRejection(error));
  }

  /** The exit code with which the process ends; undefined as long as nothing has asked for that. */
  get exitCode(): number | undefined {
    return this.#asked?.code;
  }

  /** Whether the worker stops because it has to be replaced, not because it was asked to. */
  get failed(): boolean {
    return this.exitCode === 1;
  }

  /** Stops the worker as if a signal had come; the process then exits with 1. */
  fail(): void {
    // A worker may be found unhealthy again and again while it stops.
    if (!this.#asked) this.#ask(this.#graceMs, 1);
  }

  /** Stops the worker as a signal does, for a reason of its own: its parent is gone, or it has reached a limit. */
  drain(fields: object, message: string): void {
    if (this.#asked) return;
    this.#log.info({ ...fields, graceMs: this.#graceMs }, message);
    this.#ask(this.#graceMs, 0);
  }

  /** Aborts what runs and gives it back, now. */
  abort(): void {
    if (this.#asked?.graceMs !== 0) this.#ask(0, 0);
  }

  /** Waits until the worker has been stopped, and returns the exit code. */
  of(worker: RunningWorker): Promise<number> {
    this.#worker = worker;
    this.#stop();
    return this.#ended;
  }

  #ask(graceMs: number, code: number): void {
    if (!this.#asked) this.#onStop(code !== 0);
    this.#requests.note();
    this.#asked = { graceMs, code: Math.max(code, this.#asked?.code ?? 0) };
    const limitMs = (this.#worker?.graceLeftMs(graceMs) ?? graceMs) + exitLimitMs;
    setTimeout(() => this.#exitLate(), limitMs).unref();
    this.#stop();
  }

  #exitLate(): void {
    this.#log.warn({}, 'The stop took too long: the process ends, its locks run out by themselves');
    process.exit(this.exitCode);
  }

  /** Stops the worker where there is one already, and where that was asked for. */
  #stop(): void {
    if (!this.#worker || !this.#asked) return;
    const { graceMs, code } = this.#asked;
    this.#worker.stop(graceMs).then(
      () => this.#end(code),
      (error) => {
        this.#log.error({ error: describeEscaped(error) }, 'The stop failed');
        this.#end(1);
      },
    );
  }

  #onSignal(signal: string): void {
    if (!this.#asked) {
      this.drain({ signal }, 'Draining');
    } else if (!this.#requests.isEcho && this.#asked.graceMs > 0) {
      this.#log.info({ signal }, 'Aborting');
      this.#ask(0, 0);
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
    // The failed job is settled before the others are given back.
    setImmediate(() => this.#ask(0, 1));
  }
}
