import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { SharedLines } from '../shared-lines.ts';
import { createBlockHint } from './block-hint.ts';
import { BlockLocks, type OpenLocks } from './block-locks.ts';
import { askMainThread, BlockNamer } from './block-report.ts';
import type { GuardThreadData } from './guard.ts';
import { writeLine, writeSome } from './guard-log.ts';
import { listenForStop } from './guard-signals.ts';
import { GuardTable } from './guard-table.ts';
import { decideOnBlock, isLate, look, lookMs } from './guard-watch.ts';

/** How long the end of a blocked process may wait, in milliseconds, for the main thread, and then again for Redis. */
const lastWordsMs = 1_000;
/** So long the end of a process may wait for Redis once its time to stop is over. */
const lastNoteMs = 250;

/**
 * Watches the event loop from the present thread as soon as the main thread says so, and loads nothing of Redis before the
 * first block of 250 ms.
 */
export async function runGuard(openLocks: OpenLocks): Promise<never> {
  if (!parentPort) throw new Error('The guard runs in a thread of its own.');
  const [data] = (await once(parentPort, 'message')) as [GuardThreadData];
  return new GuardThread(data, openLocks).run();
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

  async run(): Promise<never> {
    // The signals of the time when this thread sleeps arrive at the first turn of its own event loop.
    listenForStop(this.#data.stopSignals, () => this.#askToStop());
    parentPort?.postMessage('watching');
    for (;;) {
      this.#table.sleep(lookMs);
      if (this.#look()) await this.#followBlock();
    }
  }

  /** Looks at the beat and for the parent, and returns whether the event loop is late. */
  #look(): boolean {
    this.#writeLines();
    this.#watch = look(this.#watch, performance.now(), this.#table.beats);
    const { parent } = this.#data;
    // An orphan gets another parent.
    if (parent !== undefined && process.ppid !== parent) this.#askToStop();
    return isLate(this.#watch);
  }

  /** Keeps the locks, names the culprit and ends the process when it has to, until the event loop turns again. */
  async #followBlock(): Promise<void> {
    const locks = new BlockLocks(
      () => this.#openLocks(this.#data.redis),
      (reason) => this.#log('warn', 'The locks of a blocked event loop cannot be kept', { reason }),
    );
    const namer = new BlockNamer(({ job, stack }, blockedMs) => {
      const shown = stack.length > 0 ? stack : undefined;
      this.#log('warn', 'The event loop is blocked', { ...job, blockedMs: Math.round(blockedMs), stack: shown });
    });
    do {
      await this.#handle(locks, namer);
      await delay(lookMs);
    } while (this.#look());
    const job = namer.end();
    if (job) this.#hint(job, namer.blockedMs);
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

  /** Ends the process, unless it recovers or turns out to be debugged while its culprit is looked for. */
  async #endProcess(why: 'blocked' | 'overdue', locks: BlockLocks): Promise<void> {
    const table = this.#table;
    // The main thread is asked anew, because one job's code may have followed on another's between two beats.
    const report = why === 'blocked' ? await limited(askMainThread(), lastWordsMs) : undefined;
    if (table.inspected || table.beats !== this.#watch.beats) return;
    const { job, stack } = report ?? {};
    const culprit = table.held().find(({ jobId, queue }) => jobId === job?.jobId && queue === job.queue);
    if (culprit) await limited(locks.note('culprit', [culprit]), lastWordsMs);
    if (why === 'overdue') await limited(locks.note('stopping', table.held()), lastNoteMs);
    const { maxBlockMs } = this.#data;
    const limit = why === 'blocked' ? { maxBlockMs } : { deadline: new Date(table.deadline ?? 0).toISOString() };
    const fields = { code: 'E_LOOP_BLOCKED', ...job, blockedMs: Math.round(this.#watch.blockedMs), ...limit, stack };
    this.#log('fatal', 'The process is ended: its event loop is blocked', fields);
    process.kill(process.pid, 'SIGKILL');
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

function limited<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), delay(ms, undefined)]);
}
