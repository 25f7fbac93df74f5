import type { PoolCalls, PoolJob } from '../pool.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { FromUnit } from './messages.ts';
import type { Unit } from './start-unit.ts';

/** How a job's code ended in its unit. */
export type UnitEnd =
  | { readonly kind: 'returned'; readonly resultJson: string | undefined }
  | { readonly kind: 'threw'; readonly error: unknown }
  /** It ended the unit, or that ended by itself: `started` says whether the task's code had begun. */
  | { readonly kind: 'crashed'; readonly how: string; readonly started: boolean }
  | { readonly kind: 'killed' };

/** Within so many milliseconds an event loop that turns has heard of an abort. */
const hearMs = 250;
/** A killed process may take its time to go, where the system still writes for it; nothing waits for that. */
const buryMs = 1_000;
/** How long a unit may take to load its task, in milliseconds. */
const readyMs = 60_000;

interface Running {
  readonly run: number;
  readonly calls: PoolCalls;
  started: boolean;
  onAborting(): void;
  end(end: UnitEnd): void;
}

export interface MemberOptions {
  writeLine(line: string): void;
  /** What to say of a unit that ended, or hung, before it was ready. */
  startFailed(how: string): Error;
}

/** A unit of a pool, as the pool sees it. */
export class Member {
  /** Resolves with the megabytes that it takes when it can run jobs; rejects when it could not load its task. */
  readonly ready: Promise<number>;
  readonly ended: Promise<string>;
  readonly #unit: Unit;
  readonly #writeLine: MemberOptions['writeLine'];
  #usable = false;
  #killed = false;
  #runs = 0;
  #running: Running | undefined;
  /** Of the last job: its code may still enqueue when it has ended. */
  #calls: PoolCalls | undefined;
  #onReady: (memoryMb: number) => void = () => {};
  #onBroken: (error: unknown) => void = () => {};

  constructor(unit: Unit, { writeLine, startFailed }: MemberOptions) {
    this.#unit = unit;
    this.#writeLine = writeLine;
    this.ended = unit.ended;
    const hung = setTimeout(() => {
      this.#onBroken(startFailed(`did not load it within ${readyMs / 1_000} s`));
      unit.kill();
    }, readyMs);
    this.ready = new Promise<number>((resolve, reject) => {
      this.#onReady = resolve;
      this.#onBroken = reject;
    }).finally(() => clearTimeout(hung));
    // Whoever waits for it hears of it; perhaps nobody does any more.
    this.ready.catch(() => {});
    unit.onMessage((message) => this.#take(message));
    unit.ended.then((how) => {
      this.#usable = false;
      this.#onBroken(startFailed(how));
      this.#finish({ kind: 'crashed', how, started: this.#running?.started === true });
    });
  }

  /** Whether it takes a further job. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Runs one job; never rejects. One at a time. */
  async run(job: PoolJob, calls: PoolCalls): Promise<UnitEnd> {
    this.#calls = calls;
    const { signal } = calls;
    const stop = this.#prepareStop(calls);
    const over = new Promise<UnitEnd>((end) => {
      this.#running = { run: ++this.#runs, calls, started: false, onAborting: stop.onAborting, end };
    });
    this.#unit.send({ say: 'run', job });
    if (signal.aborted) stop.onAbort();
    else signal.addEventListener('abort', stop.onAbort, { once: true });
    const end = await over;
    stop.close();
    signal.removeEventListener('abort', stop.onAbort);
    return stop.hasKilled && end.kind === 'crashed' ? { kind: 'killed' } : end;
  }

  /** Lets it dispose of what it opened and end; kills it after `limitMs` milliseconds, and waits little longer. */
  async close(limitMs: number): Promise<void> {
    this.#usable = false;
    this.#unit.send({ say: 'close' });
    const leftMs = this.#killed ? 0 : limitMs;
    let kill: NodeJS.Timeout | undefined;
    let bury: NodeJS.Timeout | undefined;
    const buried = new Promise<void>((resolve) => {
      kill = setTimeout(() => this.#unit.kill(), leftMs);
      bury = setTimeout(resolve, leftMs + buryMs);
    });
    await Promise.race([this.ended, buried]);
    clearTimeout(kill);
    clearTimeout(bury);
  }

  /** How its job is stopped: by its signal, and by force soon after if its loop does not turn, else after the grace. */
  #prepareStop({ signal, graceMs }: PoolCalls) {
    let timer: NodeJS.Timeout | undefined;
    let lastWords: NodeJS.Immediate | undefined;
    let abortedAt = 0;
    let hasKilled = false;
    const killIn = (ms: number) => {
      clearTimeout(timer);
      clearImmediate(lastWords);
      timer = setTimeout(() => {
        // After a block of this loop the unit's answer may lie before it unread.
        lastWords = setImmediate(() => {
          hasKilled = true;
          this.#kill();
        });
      }, ms);
    };
    return {
      onAbort: () => {
        abortedAt = performance.now();
        this.#unit.send({ say: 'abort', reason: carryError(signal.reason) });
        killIn(Math.min(hearMs, graceMs(signal.reason)));
      },
      onAborting: () => killIn(Math.max(0, graceMs(signal.reason) - (performance.now() - abortedAt))),
      get hasKilled() {
        return hasKilled;
      },
      close() {
        clearTimeout(timer);
        clearImmediate(lastWords);
      },
    };
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
    // What an earlier job still says.
    if ('run' in message && message.run !== this.#running?.run) return;
    switch (message.say) {
      case 'ready':
        this.#usable = true;
        return this.#onReady(message.memoryMb);
      case 'broken':
        this.#onBroken(reviveError(message.error));
        return this.#unit.kill();
      case 'start':
        if (this.#running) this.#running.started = true;
        return void this.#answer(message.id, this.#running?.calls.beforeRun());
      case 'send':
        return void this.#answer(message.id, this.#calls?.send(message.jobs));
      case 'aborting':
        return this.#running?.onAborting();
      case 'log':
        return this.#writeLine(message.line);
      case 'progress':
        return this.#running?.calls.progress(message.value);
      case 'done': {
        const { error, resultJson, last } = message;
        if (last) this.#usable = false;
        return this.#finish(error ? { kind: 'threw', error: reviveError(error) } : { kind: 'returned', resultJson });
      }
    }
  }

  async #answer(id: number, work: Promise<void> | undefined): Promise<void> {
    try {
      await work;
      this.#unit.send({ say: 'answer', id });
    } catch (error) {
      this.#unit.send({ say: 'answer', id, error: carryError(error) });
    }
  }
}
