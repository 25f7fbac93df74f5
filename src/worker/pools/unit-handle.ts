import type { Delivery, NewJob } from '../../broker/broker.ts';
import { IsletError } from '../../errors.ts';
import { toJson } from '../../manifest/to-json.ts';
import { messageOf } from '../../thrown.ts';
import { atMost } from '../at-most.ts';
import { defer } from '../deferred.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { FromUnit, UnitOrder } from './messages.ts';
import { type StartedUnit, startUnit, type UnitDeath, type UnitProgram } from './start-unit.ts';

export interface PoolHost {
  readonly program: UnitProgram;
  /** Writes a line of a unit's logger among the worker's own. */
  writeLine(line: string): void;
}

/** A job for a unit, and what its code asks of the worker: a unit has no connection of its own. */
export interface PooledJob {
  readonly delivery: Delivery;
  /** Notes that the job has a unit, and begins: its time counts from now. Until now it only waited. */
  onBegin(): void;
  /** Does the last step before the job's code starts. Throws when the code must not start. */
  beforeRun(): void | Promise<void>;
  /** Returns how long the job's code has after the abort, in milliseconds, before it is ended. */
  graceMs(): number;
  progress(value: number | object): void;
  send(jobs: NewJob[]): Promise<void>;
}

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
/** How long a unit has to dispose of what it opened, in milliseconds. */
const closeMs = 5_000;

interface Running {
  readonly run: number;
  readonly job: PooledJob;
  started: boolean;
  end(end: UnitEnd): void;
}

/** A pool's handle of one of its threads or processes, which runs one job at a time. */
export class UnitHandle {
  readonly ended: Promise<UnitDeath>;
  readonly #unit: StartedUnit;
  readonly #host: PoolHost;
  readonly #startFailed: (death: UnitDeath) => Error;
  readonly #isProcess: boolean;
  readonly #ready = defer<number>();
  /** Resolves when the unit can run jobs, with the megabytes that it takes. Rejects when it could not load its task. */
  readonly ready = this.#ready.promise;
  /** Whether the unit takes a further job. */
  usable = false;
  #killed = false;
  #runs = 0;
  #running: Running | undefined;
  /** What the last job may ask for: its code may still enqueue when the job has ended. */
  #lastJob: PooledJob | undefined;
  #abortedAt = 0;
  #killTimer: NodeJS.Timeout | undefined;
  #lastWords: NodeJS.Immediate | undefined;

  /** `startFailed` makes the error of a unit that ended, or hung, before it was ready. */
  constructor(host: PoolHost, order: UnitOrder, startFailed: (death: UnitDeath) => Error) {
    const unit = startUnit(host.program, order, (message) => this.#take(message));
    this.#host = host;
    this.#startFailed = startFailed;
    this.#unit = unit;
    this.#isProcess = order.parent !== undefined;
    this.ended = unit.ended;
    const hung = setTimeout(() => {
      this.#ready.reject(startFailed({ how: `did not load it within ${readyMs / 1_000} s`, byOthers: false }));
      unit.kill();
    }, readyMs);
    // A start that fails after nobody waits for it is not an unhandled rejection.
    this.ready.catch(() => {}).finally(() => clearTimeout(hung));
    unit.ended.then((death) => {
      this.usable = false;
      this.#ready.reject(startFailed(death));
      const { how } = death;
      const started = this.#running?.started === true;
      this.#finish(this.#killed ? { kind: 'killed' } : { kind: 'crashed', how, started });
    });
  }

  /** Runs one job. Rejects only when it cannot be sent. */
  async run(job: PooledJob): Promise<UnitEnd> {
    const { task, jobId, input, attempt, enqueuedAt, meta, abort } = job.delivery;
    const inputJson = toJson(input, `The payload of job "${jobId}"`, 'E_PAYLOAD_INVALID', Number.POSITIVE_INFINITY);
    const over = defer<UnitEnd>();
    // A job that cannot be sent has not begun.
    this.#unit.send({ say: 'run', job: { task, jobId, inputJson, attempt, enqueuedAt, meta } });
    this.#running = { run: ++this.#runs, job, started: false, end: over.resolve };
    this.#lastJob = job;
    const stopListening = abort.onAbort(() => this.#abort(job));
    const end = await over.promise;
    stopListening();
    this.#spare();
    // Code that heard its signal may have left behind what it has started: that ends with the process.
    if (this.#isProcess && abort.aborted) this.usable = false;
    return end;
  }

  /** Lets the unit dispose of what it opened, and ends it. */
  async close(): Promise<void> {
    this.usable = false;
    this.#unit.send({ say: 'close' });
    if (!this.#killed) await atMost(closeMs, this.ended);
    this.#unit.kill();
    await atMost(buryMs, this.ended);
  }

  /** Stops the job by its signal, and the unit by force: soon if its event loop does not turn, else after the grace. */
  #abort(job: PooledJob): void {
    this.#abortedAt = performance.now();
    this.#unit.send({ say: 'abort', reason: carryError(job.delivery.abort.reason) });
    this.#killIn(Math.min(hearMs, job.graceMs()));
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
    this.usable = false;
    this.#killed = true;
    this.#unit.kill();
    void atMost(buryMs, this.ended).then(() => this.#finish({ kind: 'killed' }));
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
        this.usable = true;
        return this.#ready.resolve(message.memoryMb);
      case 'broken': {
        const error = reviveError(message.error);
        this.#ready.reject(
          error instanceof IsletError
            ? error
            : this.#startFailed({ how: `threw "${messageOf(error)}"`, byOthers: false }),
        );
        return this.#unit.kill();
      }
      case 'start':
        if (running) running.started = true;
        return void this.#answer(message.id, () => running?.job.beforeRun());
      case 'send':
        return void this.#answer(message.id, () => this.#lastJob?.send(message.jobs));
      case 'aborting':
        // Code that has heard of the abort has the rest of its grace.
        return running && this.#killIn(Math.max(0, running.job.graceMs() - (performance.now() - this.#abortedAt)));
      case 'log':
        return this.#host.writeLine(message.line);
      case 'progress':
        return running?.job.progress(message.value);
      case 'done': {
        const { error, resultJson, last } = message;
        if (last) this.usable = false;
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
