import type { PoolCalls, PoolJob } from '../pool.ts';
import { carryError, reviveError } from './carried-error.ts';
import type { FromUnit } from './messages.ts';
import type { Unit } from './start-unit.ts';

/** How a job's code ended in its unit. `crashed`: it ended the unit, which tells how. */
export type UnitEnd =
  | { readonly kind: 'returned'; readonly resultJson: string | undefined }
  | { readonly kind: 'threw'; readonly error: unknown }
  /** `started`: the task's code had begun. */
  | { readonly kind: 'crashed'; readonly how: string; readonly started: boolean }
  | { readonly kind: 'killed' };

/** A unit of a pool, as the pool sees it. */
export interface Member {
  /** Resolves with the megabytes that it takes when it can run jobs; rejects when it could not load its task. */
  readonly ready: Promise<number>;
  /** Whether it takes a further job. */
  readonly usable: boolean;
  /** Runs one job; never rejects. One at a time. */
  run(job: PoolJob, calls: PoolCalls): Promise<UnitEnd>;
  /** Lets it dispose of what it opened and end; kills it after `limitMs` milliseconds. */
  close(limitMs: number): Promise<void>;
  readonly ended: Promise<string>;
}

/** Within so many milliseconds an event loop that turns has heard of an abort. */
const hearMs = 250;
/** A killed process may take its time to go, where the system still writes for it; nothing waits for that. */
const buryMs = 1_000;
/** How long a unit may take to load its task, in milliseconds. */
const readyMs = 60_000;

interface Running {
  readonly run: number;
  started: boolean;
  readonly calls: PoolCalls;
  onAborting(): void;
  end(end: UnitEnd): void;
}

export interface MemberOptions {
  writeLine(line: string): void;
  /** What to say of a unit that ended, or hung, before it was ready. */
  startFailed(how: string): Error;
}

/** Joins a unit, just started, to a pool. */
export function createMember(unit: Unit, { writeLine, startFailed }: MemberOptions): Member {
  let running: Running | undefined;
  let runs = 0;
  let usable = false;
  let calls: PoolCalls | undefined;
  let onReady = (_: number) => {};
  let onBroken = (_: unknown) => {};
  const ready = new Promise<number>((resolve, reject) => {
    onReady = resolve;
    onBroken = reject;
  });
  // Whoever waits for it hears of it; nobody may.
  ready.catch(() => {});
  const readyTimer = setTimeout(() => {
    onBroken(startFailed(`did not load it within ${readyMs / 1_000} s`));
    unit.kill();
  }, readyMs);

  const answer = async (id: number, work: Promise<void> | undefined) => {
    try {
      await work;
      unit.send({ say: 'answer', id });
    } catch (error) {
      unit.send({ say: 'answer', id, error: carryError(error) });
    }
  };
  const finish = (end: UnitEnd) => {
    const ending = running;
    running = undefined;
    ending?.end(end);
  };
  unit.onMessage((message: FromUnit) => {
    const isOld = 'run' in message && message.run !== running?.run;
    if (isOld) return;
    switch (message.say) {
      case 'ready':
        usable = true;
        return onReady(message.memoryMb);
      case 'broken':
        onBroken(reviveError(message.error));
        return unit.kill();
      case 'start':
        if (running) running.started = true;
        return void answer(message.id, running?.calls.beforeRun());
      case 'send':
        // Also when its job has ended: code may enqueue without waiting for it.
        return void answer(message.id, calls?.send(message.jobs));
      case 'aborting':
        return running?.onAborting();
      case 'log':
        return writeLine(message.line);
      case 'progress':
        return running?.calls.progress(message.value);
      case 'done': {
        if (message.last) usable = false;
        const { error, resultJson } = message;
        return finish(error ? { kind: 'threw', error: reviveError(error) } : { kind: 'returned', resultJson });
      }
    }
  });
  unit.ended.then((how) => {
    usable = false;
    clearTimeout(readyTimer);
    onBroken(startFailed(how));
    finish({ kind: 'crashed', how, started: running?.started === true });
  });
  ready.then(
    () => clearTimeout(readyTimer),
    () => clearTimeout(readyTimer),
  );

  const killRunning = () => {
    usable = false;
    unit.kill();
    const timer = setTimeout(() => finish({ kind: 'killed' }), buryMs);
    unit.ended.then(() => clearTimeout(timer));
  };

  return {
    ready,
    ended: unit.ended,
    get usable() {
      return usable;
    },
    async run(job, given) {
      calls = given;
      const { signal } = given;
      let timer: NodeJS.Timeout | undefined;
      let abortedAt = 0;
      let isKilled = false;
      const killIn = (ms: number) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          isKilled = true;
          killRunning();
        }, ms);
      };
      const onAbort = () => {
        abortedAt = performance.now();
        unit.send({ say: 'abort', reason: carryError(signal.reason) });
        killIn(Math.min(hearMs, given.graceMs(signal.reason)));
      };
      const over = new Promise<UnitEnd>((resolve) => {
        const leftMs = () => given.graceMs(signal.reason) - (performance.now() - abortedAt);
        const onAborting = () => killIn(Math.max(0, leftMs()));
        running = { run: ++runs, started: false, calls: given, onAborting, end: resolve };
      });
      unit.send({ say: 'run', job });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      const end = await over;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      return isKilled && end.kind === 'crashed' ? { kind: 'killed' } : end;
    },
    async close(limitMs) {
      usable = false;
      unit.send({ say: 'close' });
      const timer = setTimeout(() => unit.kill(), limitMs);
      await unit.ended.finally(() => clearTimeout(timer));
    },
  };
}
