import { setTimeout as delay } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { SharedLines } from '../shared-lines.ts';
import { createBlockHint } from './block-hint.ts';
import { type BlockReport, createNamer, inquire } from './block-report.ts';
import type { GuardOptions } from './guard.ts';
import type { GuardLocks } from './guard-locks.ts';
import { writeLine, writeSome } from './guard-log.ts';
import { listenForStop } from './guard-signals.ts';
import { type HeldLock, readTable } from './guard-table.ts';
import { type Decision, decide, isLate, look, lookMs } from './guard-watch.ts';

/** What the main thread hands to this one. */
export interface GuardThreadData extends Omit<GuardOptions, 'describeCurrentJob'> {
  memory: SharedArrayBuffer;
}

/** How long the end of a blocked process may wait for an answer, of the main thread and of Redis, each. */
const lastWordsMs = 1_000;
/** The same of a process whose time is over. */
const lastNoteMs = 400;

const { memory, redis, maxBlockMs, stopWithinMs, parent, logs, lines } = workerData as GuardThreadData;
const waiting = lines && new SharedLines(lines);
const table = readTable(memory);
const log: typeof writeLine = (...line) => {
  writeWaiting();
  if (logs) writeLine(...line);
};
const hint = createBlockHint((found) => log('warn', 'A task blocks the event loop again and again', found));
let watch = { beats: table.beats(), lookedAt: performance.now(), blockedMs: 0 };

/** Keeps the locks of one block. Its connection, and all code for it, is loaded by the first call. */
function createKeeper() {
  let locks: Promise<GuardLocks> | undefined;
  let dueAt = 0;
  let busy = false;
  let failed = false;
  const open = () => {
    locks ??= import('./guard-locks.ts').then(({ openLocks }) => openLocks(redis));
    return locks;
  };
  const giveUp = (error: Error) => {
    if (!failed) log('warn', 'The locks of a blocked event loop cannot be kept', { reason: error.message });
    failed = true;
  };
  return {
    async keep(held: readonly HeldLock[], everyMs: number) {
      if (busy || performance.now() < dueAt) return;
      busy = true;
      dueAt = performance.now() + everyMs;
      const connected = await open().catch((error: Error) => {
        locks = undefined;
        giveUp(error);
      });
      await connected?.extend(held).catch(giveUp);
      busy = false;
    },
    blame: async (lock: HeldLock) => (await open()).blame(lock).catch(giveUp),
    sayStopping: async () => (await open()).sayStopping(table.held()).catch(giveUp),
    close: () => locks?.then((connected) => connected.close()).catch(() => {}),
  };
}

type Keeper = ReturnType<typeof createKeeper>;

function limited<T>(work: Promise<T>, ms = lastWordsMs): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), delay(ms, undefined)]);
}

async function askMainThread(): Promise<BlockReport> {
  const { answered, close } = await inquire();
  return answered.finally(close);
}

function lockOf(job: BlockReport['job']): HeldLock | undefined {
  return table.held().find((lock) => lock.jobId === job?.jobId && lock.workersKey.includes(`{${job.queue}}`));
}

/** Ends the process, unless it recovers or turns out to be debugged while its culprit is looked for. */
async function endProcess(why: Decision['end'], keeper: Keeper): Promise<void> {
  // Asked anew: between two beats one job's code may have followed on another's.
  const report = why === 'blocked' ? await limited(askMainThread()) : undefined;
  if (table.inspected() || table.beats() !== watch.beats) return;
  const culprit = lockOf(report?.job);
  if (culprit) await limited(keeper.blame(culprit));
  if (why === 'overdue') await limited(keeper.sayStopping(), lastNoteMs);
  const limit = why === 'blocked' ? { maxBlockMs } : { deadline: new Date(table.deadline() ?? 0).toISOString() };
  const fields = { code: 'E_LOOP_BLOCKED', ...report?.job, blockedMs: Math.round(watch.blockedMs), ...limit };
  log('fatal', 'The process is ended: its event loop is blocked', { ...fields, stack: report?.stack });
  process.kill(process.pid, 'SIGKILL');
}

async function followBlock(): Promise<void> {
  const keeper = createKeeper();
  const namer = createNamer(
    ({ job, stack }, blockedMs) => {
      log('warn', 'The event loop is blocked', {
        ...job,
        blockedMs: Math.round(blockedMs),
        stack: stack.length > 0 ? stack : undefined,
      });
    },
    ({ job }, blockedMs) => job && hint(job, blockedMs),
  );
  while (isLate(watch)) {
    const held = table.held();
    const shortestLockMs = held.length > 0 ? Math.min(...held.map(({ durationMs }) => durationMs)) : undefined;
    const [deadline, inspected] = [table.deadline(), table.inspected()];
    const decision = decide({ ...watch, shortestLockMs, maxBlockMs, deadline, now: Date.now(), inspected });
    if (decision.keepLocks && shortestLockMs !== undefined) keeper.keep(held, shortestLockMs / 4);
    if (decision.name) namer.name(watch.blockedMs);
    if (decision.end) await endProcess(decision.end, keeper);
    await delay(lookMs);
    lookAgain();
  }
  namer.close();
  keeper.close();
}

/** Writes the log lines that wait for the end of a turn of the event loop. */
function writeWaiting(): void {
  if (waiting && !waiting.isEmpty) waiting.flush(writeSome);
}

/** Asks the process to stop. An event loop that turns learns by itself that its parent is gone. */
const onStop = () => table.bringForward(Date.now() + stopWithinMs);

/** Looks at the beat, and for the parent: an orphan gets another one. */
function lookAgain(): void {
  writeWaiting();
  watch = look(watch, performance.now(), table.beats());
  if (parent !== undefined && process.ppid !== parent) onStop();
}

// What came while this thread slept is told at the first turn of its loop, which is in the midst of a block.
listenForStop(onStop);

for (;;) {
  table.sleep(lookMs);
  lookAgain();
  if (isLate(watch)) await followBlock();
}
