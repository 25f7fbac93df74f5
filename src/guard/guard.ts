import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import { answerBlockReports } from './block-report.ts';
import { writeLine } from './guard-log.ts';
import { signalFlags } from './guard-signals.ts';
import { GuardTable, type HeldLock } from './guard-table.ts';
import { beatMs } from './guard-watch.ts';

export interface GuardOptions {
  /** Returns the job whose code runs now, as JSON of a `RunningJob`. Called in the midst of that code. */
  describeCurrentJob(): string | undefined;
  /** Where Redis is, as a URL. The guard connects only while the event loop is blocked. */
  redis: string;
  /**
   * How long the locks of a blocked event loop are kept, in milliseconds. After that the process is ended by SIGKILL, so
   * that its jobs run elsewhere, and the job whose code blocked is charged with it if it is known. A process with an open
   * inspector is never ended, and its blocks are not named: a breakpoint is one.
   */
  maxBlockMs: number;
  /** The signals that ask this process to stop. */
  stopSignals: readonly NodeJS.Signals[];
  /** How long after one of them the process may live, in milliseconds, if its event loop is blocked then. */
  stopWithinMs: number;
  /** The process that started this one. When it is gone, this one is asked to stop. */
  parent?: number;
  /** Whether the guard writes log lines, to standard output in the shape of the worker's own. */
  logs: boolean;
  /** The memory of `SharedLines`: log lines that the guard writes when the event loop cannot. */
  lines?: SharedArrayBuffer | undefined;
}

/** What the main thread hands to the guard's. */
export type GuardThreadData = Omit<GuardOptions, 'describeCurrentJob'> & { memory: SharedArrayBuffer };

// The thread's own heap cannot grow into the worker's budget, and it loads nothing that is preloaded for the app.
const smallThread = {
  name: 'islet-guard',
  argv: [],
  env: {},
  resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 8, stackSizeMb: 1 },
};

/**
 * Watches the event loop of this process from a thread. The thread starts at once, since that takes as long as loading a
 * worker, and does nothing before `watch`. A guard that cannot start, or breaks, costs one log line.
 */
export class Guard {
  readonly #table = new GuardTable();
  readonly #thread: Worker | undefined;
  readonly #listens: Promise<void>;
  #problem: Error | undefined;
  #logs = false;
  #beating: NodeJS.Timeout | undefined;
  #forget: (() => void) | undefined;

  /** Starts the guard's thread, whose program is a module that calls `runGuard`. */
  constructor(program: URL) {
    const thread = this.#start(program);
    this.#thread = thread;
    this.#listens = new Promise((resolve) => {
      if (!thread) return resolve();
      thread.once('message', () => resolve()).once('exit', () => resolve());
    });
  }

  #start(program: URL): Worker | undefined {
    try {
      const thread = startThread(program);
      // The thread watches a process, and is no reason for it to live.
      thread.unref();
      return thread.on('error', (error) => this.#break(error as Error));
    } catch (error) {
      this.#break(error as Error);
      return undefined;
    }
  }

  /**
   * Watches from now on. Resolves when the thread does, or has ended: before, nobody hears that a blocked process is asked
   * to stop. The process must listen to its signals by then, because the thread's listening replaces what Node does of
   * itself.
   */
  watch({ describeCurrentJob, ...settings }: GuardOptions): Promise<void> {
    this.#logs = settings.logs;
    if (this.#problem) this.#break(this.#problem);
    else {
      this.#forget = answerBlockReports(() => {
        this.#lookForInspector();
        return describeCurrentJob();
      });
      this.#beat();
      this.#beating = setInterval(() => this.#beat(), beatMs).unref();
      this.#thread?.postMessage({ memory: this.#table.memory, ...settings } satisfies GuardThreadData);
    }
    return this.#listens;
  }

  #break(problem: Error): void {
    this.#problem = problem;
    this.#stop();
    if (!this.#logs) return;
    writeLine('warn', 'The event loop guard stopped; the worker goes on without it', { reason: problem.message });
  }

  #lookForInspector(): void {
    this.#table.inspected = inspectorUrl() !== undefined;
  }

  #beat(): void {
    this.#lookForInspector();
    this.#table.beat();
  }

  #stop(): void {
    clearInterval(this.#beating);
    this.#forget?.();
  }

  /** Guards a lock, but not more than 4096 at once, or names of over 1 KB. Returns what ends this. */
  hold(lock: HeldLock): () => void {
    return this.#table.hold(lock);
  }

  /** Ends the process at that time if its event loop is blocked then. Returns the earliest time that was asked for. */
  exitBy(epochMs: number): number {
    return this.#table.bringForward(epochMs);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#thread?.terminate();
  }
}

function startThread(program: URL): Worker {
  const start = (execArgv: string[]) => new Worker(program, { ...smallThread, execArgv });
  try {
    return start(signalFlags);
  } catch {
    // This Node refuses the flags. A guard that hears no signals still keeps locks.
    return start([]);
  }
}
