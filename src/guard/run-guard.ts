import { setTimeout as delay } from 'node:timers/promises';
import { SharedLines } from '../shared-lines.ts';
import { createBlockHint } from './block-hint.ts';
import { BlockLocks, type OpenLocks } from './block-locks.ts';
import { BlockNamer, type BlockReport, inquire } from './block-report.ts';
import { writeLine, writeSome } from './guard-log.ts';
import type { GuardThreadData } from './guard-settings.ts';
import { listenForStop } from './guard-signals.ts';
import { GuardTable, type HeldLock } from './guard-table.ts';
import { type Decision, decideOnBlock, isLate, look, lookMs } from './guard-watch.ts';

/** So long the end of a blocked process may wait for the main thread, and then again for Redis. */
const lastWordsMs = 1_000;
/** So long the end of a process may wait for Redis once its time to stop is over. */
const lastNoteMs = 400;

/**
 * Watches the event loop of this process from the present thread, for as long as both live. It calls `openLocks` at the
 * first block of more than a quarter of a second: until then it loads nothing of Redis.
 */
export async function runGuard(data: GuardThreadData, openLocks: OpenLocks): Promise<never> {
  const thread = new GuardThread(data, openLocks);
  thread.listen();
  for (;;) {
    thread.rest();
    if (thread.look()) await thread.followBlock();
  }
}

class GuardThread {
  readonly #data: GuardThreadData;
  readonly #openLocks: OpenLocks;
  readonly #table: GuardTable;
  readonly #lines: SharedLines | undefined;
  readonly #hint = createBlockHint((found) => this.#log('warn', 'A task blocks the event loop again and again', found));
  #watch: ReturnType<typeof look>;

  constructor(data: GuardThreadData, openLocks: OpenLocks) {
    this.#data = data;
    this.#openLocks = openLocks;
    this.#table = new GuardTable(data.memory);
    this.#lines = data.lines && new SharedLines(data.lines);
    this.#watch = { beats: this.#table.beats, lookedAt: performance.now(), blockedMs: 0 };
  }

  /** Listens to signals. Those of the time when this thread slept arrive at the first turn of its own event loop. */
  listen(): void {
    listenForStop(() => this.#askToStop());
  }

  rest(): void {
    this.#table.sleep(lookMs);
  }

  /** Looks at the beat and for the parent, and returns whether the event loop is late. */
  look(): boolean {
    this.#writeLines();
    this.#watch = look(this.#watch, performance.now(), this.#table.beats);
    const { parent } = this.#data;
    // An orphan gets another parent.
    if (parent !== undefined && process.ppid !== parent) this.#askToStop();
    return isLate(this.#watch);
  }

  /** Keeps the locks, names the culprit and ends the process when it has to, until the event loop turns again. */
  async followBlock(): Promise<void> {
    const locks = new BlockLocks(
      () => this.#openLocks(this.#data.redis),
      (reason) => this.#log('warn', keepFailure, { reason }),
    );
    const namer = this.#createNamer();
    do {
      await this.#handle(locks, namer);
      await delay(lookMs);
    } while (this.look());
    namer.close();
    locks.close();
  }

  async #handle(locks: BlockLocks, namer: BlockNamer): Promise<void> {
    const table = this.#table;
    const { maxBlockMs } = this.#data;
    const held = table.held();
    const shortestLockMs = held.length > 0 ? Math.min(...held.map(({ durationMs }) => durationMs)) : undefined;
    const [deadline, inspected] = [table.deadline, table.inspected];
    const seen = { ...this.#watch, shortestLockMs, maxBlockMs, deadline, now: Date.now(), inspected };
    const decision = decideOnBlock(seen);
    if (decision.keepLocks && shortestLockMs !== undefined) void locks.keep(held, shortestLockMs / 4);
    if (decision.name) namer.name(this.#watch.blockedMs);
    if (decision.end) await this.#endProcess(decision.end, locks);
  }

  #createNamer(): BlockNamer {
    return new BlockNamer(
      ({ job, stack }, blockedMs) => {
        const shown = stack.length > 0 ? stack : undefined;
        this.#log('warn', 'The event loop is blocked', { ...job, blockedMs: Math.round(blockedMs), stack: shown });
      },
      ({ job }, blockedMs) => job && this.#hint(job, blockedMs),
    );
  }

  /** Ends the process, unless it recovers or turns out to be debugged while its culprit is looked for. */
  async #endProcess(why: NonNullable<Decision['end']>, locks: BlockLocks): Promise<void> {
    const table = this.#table;
    // The main thread is asked anew, because one job's code may have followed on another's between two beats.
    const report = why === 'blocked' ? await limited(askMainThread(), lastWordsMs) : undefined;
    if (table.inspected || table.beats !== this.#watch.beats) return;
    const culprit = report?.job && this.#lockOf(report.job);
    if (culprit) await limited(locks.blame(culprit), lastWordsMs);
    if (why === 'overdue') await limited(locks.sayStopping(table.held()), lastNoteMs);
    const { maxBlockMs } = this.#data;
    const limit = why === 'blocked' ? { maxBlockMs } : { deadline: new Date(table.deadline ?? 0).toISOString() };
    const fields = { code: 'E_LOOP_BLOCKED', ...report?.job, blockedMs: Math.round(this.#watch.blockedMs), ...limit };
    this.#log('fatal', 'The process is ended: its event loop is blocked', { ...fields, stack: report?.stack });
    process.kill(process.pid, 'SIGKILL');
  }

  #lockOf(job: NonNullable<BlockReport['job']>): HeldLock | undefined {
    return this.#table
      .held()
      .find(({ jobId, workersKey }) => jobId === job.jobId && workersKey.includes(`{${job.queue}}`));
  }

  /** Asks a blocked process to stop. An event loop that turns learns by itself that its parent is gone. */
  #askToStop(): void {
    this.#table.bringForward(Date.now() + this.#data.stopWithinMs);
  }

  #log(...line: Parameters<typeof writeLine>): void {
    this.#writeLines();
    if (this.#data.logs) writeLine(...line);
  }

  /** Writes the log lines that wait for the end of a turn of the event loop. */
  #writeLines(): void {
    if (this.#lines && !this.#lines.isEmpty) this.#lines.flush(writeSome);
  }
}

const keepFailure = 'The locks of a blocked event loop cannot be kept';

function limited<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), delay(ms, undefined)]);
}

async function askMainThread(): Promise<BlockReport> {
  const { answered, close } = await inquire();
  return answered.finally(close);
}
