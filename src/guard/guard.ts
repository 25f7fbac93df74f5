import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import { answerBlockReports } from './block-report.ts';
import { writeLine } from './guard-log.ts';
import { createTable, type HeldLock } from './guard-table.ts';
import { beatMs } from './guard-watch.ts';
import type { GuardThreadData } from './run-guard.ts';

export interface GuardOptions {
  /** The program of the guard's thread: a module that calls `runGuard`. */
  thread: URL;
  /** Where Redis is, as a URL. The guard connects only while the event loop is blocked. */
  redis: string;
  /**
   * How long a blocked event loop's locks are kept, in milliseconds. After that they are left to run out and the process
   * is ended by SIGKILL, so that its jobs run elsewhere; the job whose code blocked is charged with it if it is known.
   * A process with an open inspector is never ended, and its blocks are not named: a breakpoint is one.
   */
  maxBlockMs: number;
  /** How long after a SIGTERM or SIGINT the process may live, in milliseconds, if its event loop is blocked then. */
  stopWithinMs: number;
  /** The job whose code runs now, as JSON of `{ queue, task, jobId, attempt }`. Called in the midst of that code. */
  describeCurrentJob(): string | undefined;
  /** The process that started this one and keeps it: without it, this one is asked to stop. */
  parent?: number;
  /** Whether the guard writes log lines, to standard output in the shape of the worker's own. */
  logs: boolean;
  /** The memory of `SharedLines`: log lines that the guard writes when the event loop cannot. */
  lines?: SharedArrayBuffer | undefined;
}

/** Watches the event loop of this process from a thread. */
export interface Guard {
  /**
   * Tells that this process holds a lock; returns how to tell that it does not any more. Sends nothing: both are a write
   * to shared memory. Of 4096 locks at once, and of names longer than 1 KB together, the rest is not guarded.
   */
  hold(lock: HeldLock): () => void;
  /**
   * The process has to be gone by then, in milliseconds since 1970: it is ended if its loop is blocked at that time.
   * Returns when it has to be gone indeed: earlier, if it was asked to stop while it was blocked.
   */
  exitBy(epochMs: number): number;
  close(): Promise<void>;
}

const warning = 'The event loop guard stopped; the worker goes on without it';

// A heap of its own cannot grow into the worker's budget, and nothing preloaded for the app is loaded once more.
const smallThread = {
  name: 'islet-guard',
  argv: [],
  env: {},
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 8, stackSizeMb: 1 },
};

function startThread(program: URL, workerData: GuardThreadData, onFailure: (error: Error) => void): Worker | undefined {
  try {
    const thread = new Worker(program, { ...smallThread, workerData });
    // Its owner closes it; until then it watches a process, and is no reason for it to live.
    thread.unref();
    return thread.on('error', onFailure);
  } catch (error) {
    onFailure(error as Error);
    return undefined;
  }
}

/** Starts to watch this process. A guard that cannot start, or breaks, costs one line in the log and nothing else. */
export function startGuard({ describeCurrentJob, thread: program, ...options }: GuardOptions): Guard {
  const table = createTable();
  const lookForInspector = () => table.setInspected(inspectorUrl() !== undefined);
  const forget = answerBlockReports(() => {
    lookForInspector();
    return describeCurrentJob();
  });
  const beat = () => {
    lookForInspector();
    table.beat();
  };
  beat();
  const timer = setInterval(beat, beatMs).unref();
  const stop = () => {
    clearInterval(timer);
    forget();
  };
  const thread = startThread(program, { memory: table.memory, ...options }, (error) => {
    stop();
    if (options.logs) writeLine('warn', warning, { reason: error.message });
  });
  let closing: Promise<unknown> | undefined;
  return {
    hold: table.hold,
    exitBy: table.bringForward,
    async close() {
      stop();
      closing ??= thread?.terminate();
      await closing;
    },
  };
}
