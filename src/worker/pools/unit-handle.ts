import { defer } from '../deferred.ts';
import type { PoolCalls, PoolJob } from '../pool-job.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { FromUnit } from './messages.ts';
import type { StartedUnit } from './start-unit.ts';

/** How a job's code ended in its unit. */
export type UnitEnd =
  | { readonly kind: 'returned'; readonly resultJson: string | undefined }
  | { readonly kind: 'threw'; readonly error: unknown }
  /** The unit ended, by the code or of itself. `started` says whether the task's code had begun. */
  | { readonly kind: 'crashed'; readonly how: string; readonly started: boolean }
  | { readonly kind: 'killed' };

/** How long it takes an event loop that turns to hear of an abort, in milliseconds. */
const hearMs = 250;
/** How long a killed process is waited for: it may take its time to go, where the system still writes for it. */
const buryMs = 1_000;
/** How long a unit may take to load its task, in milliseconds. */
const readyMs = 60_000;

interface Running {
  readonly run: number;
  readonly calls: PoolCalls;
  started: boolean;
  end(end: UnitEnd): void;
}

export interface UnitHandleOptions {
  writeLine(line: string): void;
  /** Makes the error of a unit that ended, or hung, before it was ready. */
  startFailed(how: string): Error;
}

/** A pool's handle of one of its threads or processes, which runs one job at a time. */
export class UnitHandle {
  readonly ended: Promise<string>;
  readonly #unit: StartedUnit;
  readonly #writeLine: UnitHandleOptions['writeLine'];
  #usable = false;
  #killed = false;
  #runs = 0;
  #running: Running | undefined;
  /** What the last job may ask for: its code may still enqueue when the job has ended. */
  #calls: PoolCalls | undefined;
  #abortedAt = 0;
  #killTimer: NodeJS.Timeout | undefined;
  #lastWords: NodeJS.Immediate | undefined;
  readonly #ready = defer<number>();

  constructor(unit: StartedUnit, { writeLine, startFailed }: UnitHandleOptions) {
    this.#unit = unit;
    this.#writeLine = writeLine;
    this.ended = unit.ended;
    const hung = setTimeout(() => {
      this.#ready.reject(startFailed(`did not load it within ${readyMs / 1_000} s`));
      unit.kill();
    }, readyMs);
    // Perhaps nobody waits for it any more.
    this.ready.catch(() => {}).finally(() => clearTimeout(hung));
    unit.onMessage((message) => this.#take(message));
    unit.ended.then((how) => {
      this.#usable = false;
      this.#ready.reject(startFailed(how));
      const started = this.#running?.started === true;
      this.#finish(this.#killed ? { kind: 'killed' } : { kind: 'crashed', how, started });
    });
  }

  /** Resolves when the unit can run jobs, with the megabytes that it takes. Rejects when it could not load its task. */
  get ready(): Promise<number> {
    return this.#ready.promise;
  }

  /** Whether the unit takes a further job. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Runs one job. Never rejects. */
  async run(job: PoolJob, calls: PoolCalls): Promise<UnitEnd> {
    const { signal } = calls;
    const onAbort = () => this.#abort(calls);
    const over = defer<UnitEnd>();
    this.#running = { run: ++this.#runs, calls, started: false, end: over.resolve };
    this.#calls = calls;
    this.#unit.send({ say: 'run', job });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const end = await over.promise;
    signal.removeEventListener('abort', onAbort);
    this.#spare();
    return end;
  }

  /** Lets the unit dispose of what it opened and end. Kills it after `limitMs` milliseconds, and waits little longer. */
  async close(limitMs: number): Promise<void> {
    this.#usable = false;
    this.#unit.send({ say: 'close' });
    const leftMs = this.#killed ? 0 : limitMs;
    const buried = defer();
    const kill = setTimeout(() => this.#unit.kill(), leftMs);
    const bury = setTimeout(buried.resolve, leftMs + buryMs);
    await Promise.race([this.ended, buried.promise]);
    clearTimeout(kill);
    clearTimeout(bury);
  }

  /** Stops the job by its signal, and the unit by force: soon if its event loop does not turn, else after the grace. */
  #abort(calls: PoolCalls): void {
    this.#abortedAt = performance.now();
    const { reason } = calls.signal;
    this.#unit.send({ say: 'abort', reason: carryError(reason) });
    this.#killIn(Math.min(hearMs, calls.graceMs(reason)));
  }

  /** Gives code that has heard of the abort the rest of its grace. */
  #grantGrace(calls: PoolCalls): void {
    this.#killIn(Math.max(0, calls.graceMs(calls.signal.reason) - (performance.now() - this.#abortedAt)));
  }

  #killIn(ms: number): void {
    this.#spare();
    this.#killTimer = setTimeout(() => {
      // After a block of this loop, the unit's answer may lie before it unread.
      this.#lastWords = setImmediate(() => this.#kill());
    }, ms);
  }

  #spare(): void {
    clearTimeout(this.#killTimer);
    clearImmediate(this.#lastWords);
  }

  #kill(): void {
    this.#usable = false;
    this.#killed = true;
    this.#unit.kill();
    const timer = setTimeout(() => this.#finish({ kind: 'killed' }), buryMs);
    this.ended.then(() => clearTimeout(timer));
  }

  #finish(end: UnitEnd): void {
    const running = this.#running;
    this.#running = undefined;
    running?.end(end);
  }

  #take(message: FromUnit) {
    const running = this.#running;
    // An earlier job may still say something.
    if ('run' in message && message.run !== running?.run) return;
    switch (message.say) {
      case 'ready':
        this.#usable = true;
        return this.#ready.resolve(message.memoryMb);
      case 'broken':
        this.#ready.reject(reviveError(message.error));
        return this.#unit.kill();
      case 'start':
        if (running) running.started = true;
        return void this.#answer(message.id, () => running?.calls.beforeRun());
      case 'send':
        return void this.#answer(message.id, () => this.#calls?.send(message.jobs));
      case 'aborting':
        return running && this.#grantGrace(running.calls);
      case 'log':
        return this.#writeLine(message.line);
      case 'progress':
        return running?.calls.progress(message.value);
      case 'done': {
        const { error, resultJson, last } = message;
        if (last) this.#usable = false;
        return this.#finish(error ? { kind: 'threw', error: reviveError(error) } : { kind: 'returned', resultJson });
      }
    }
  }

  async #answer(id: number, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
      this.#unit.send({ say: 'answer', id });
    } catch (error) {
      this.#unit.send({ say: 'answer', id, error: carryError(error) });
    }
  }
}
