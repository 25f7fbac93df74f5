import { setTimeout as sleep } from 'node:timers/promises';
import type { FromWorker } from '../supervisor/messages.ts';
import type { WorkerChild } from '../supervisor/worker-child.ts';

interface DevWorkerOptions {
  /** Starts a worker with the code as it is now. */
  start(): Promise<WorkerChild>;
  /** How long a dismissed worker may live, in milliseconds. */
  stopLimitMs: number;
  /** Called when a new worker takes jobs. */
  onReady(): void;
  say(text: string): void;
}

/** How long the next start waits after a crash, in milliseconds. */
const crashPauseMs = 1_000;
/** How long the new code waits, in milliseconds, until the code before takes no further job. */
const longestLeaveMs = 500;
/** A start that takes longer, in milliseconds, is told of: it may never end. */
const slowStartMs = 5_000;

type Start = 'ready' | 'failed' | 'outdated';

/** The state that a worker process has told of its start and its end. */
class Progress {
  /** What the process does now, told for people. */
  doing = 'prepares Redis and the app';
  /** Resolves with true when the process takes jobs, with false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves when the process takes no further job, or has ended. */
  readonly leaving: Promise<unknown>;

  constructor(child: WorkerChild) {
    const said = (word: FromWorker['say']) =>
      new Promise<true>((resolve) => child.onMessage(({ say }) => say === word && resolve(true)));
    child.onMessage((message) => {
      if (message.say === 'loading') this.doing = `loads the code of queue "${message.queue}"`;
    });
    this.ready = Promise.race([said('ready'), child.ended.then(() => false)]);
    this.leaving = Promise.race([said('leaving'), child.ended]);
  }
}

/** The worker of `islet dev`: one process that takes jobs, replaced whenever there is new code. */
export class DevWorker {
  readonly #options: DevWorkerOptions;
  /** All processes that have not ended, also dismissed ones. */
  readonly #living = new Set<WorkerChild>();
  /** The process that takes jobs. */
  #current: WorkerChild | undefined;
  #currentLeaving: Promise<unknown> | undefined;
  #replacing: Promise<void> | undefined;
  /** Whether there is newer code than that of the process that is starting. */
  #again = false;
  #stopping = false;
  #outdate = () => {};
  #crashTimer: NodeJS.Timeout | undefined;

  constructor(options: DevWorkerOptions) {
    this.#options = options;
  }

  /**
   * Starts a worker with the code as it is now; the one before goes on until the new one takes jobs. A worker that is
   * still starting is dismissed: it has older code. Never rejects.
   */
  async replace(): Promise<void> {
    if (this.#stopping) return;
    this.#again = true;
    this.#outdate();
    this.#replacing ??= this.#replaceAll().finally(() => {
      this.#replacing = undefined;
    });
    await this.#replacing;
  }

  /** Dismisses all workers, and resolves when they have ended in their own time. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#crashTimer);
    this.#outdate();
    this.#dismiss(this.#current);
    await this.#replacing;
    await Promise.all([...this.#living].map(({ ended }) => ended));
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const child of this.#living) child.kill();
  }

  async #replaceAll(): Promise<void> {
    const { say } = this.#options;
    do {
      this.#again = false;
      await this.#replaceOnce().catch((error) => say(error instanceof Error ? error.message : String(error)));
    } while (this.#again && !this.#stopping);
  }

  async #replaceOnce(): Promise<void> {
    const { start, say, onReady } = this.#options;
    const startedAt = performance.now();
    clearTimeout(this.#crashTimer);
    const child = await start();
    const progress = new Progress(child);
    this.#living.add(child);
    void this.#watchOver(child);
    // While the folders were read, a file may have been saved, or the stop been asked for.
    const result = this.#again || this.#stopping ? 'outdated' : await this.#follow(progress);
    if (result === 'outdated') return this.#dismiss(child);
    if (result === 'failed') return say(`The worker could not start. ${this.tellFate()}`);
    const left = this.#currentLeaving;
    this.#dismiss(this.#current);
    this.#current = child;
    this.#currentLeaving = progress.leaving;
    // Code that blocks takes long to leave.
    await Promise.race([left, sleep(longestLeaveMs)]);
    say(`Ready in ${Math.round(performance.now() - startedAt)} ms.`);
    onReady();
  }

  /** Waits until a worker takes jobs, has ended before that, or has older code than there is. */
  #follow(progress: Progress): Promise<Start> {
    const startedAt = performance.now();
    const outdated = new Promise<Start>((resolve) => {
      this.#outdate = () => resolve('outdated');
    });
    const tell = () => {
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      const what = `The worker is still starting after ${seconds} s: it ${progress.doing}.`;
      this.#options.say(`${what} ${this.#current ? this.tellFate() : 'The next save starts it anew.'}`);
    };
    const timer = setInterval(tell, slowStartMs);
    const started = progress.ready.then((ready): Start => (ready ? 'ready' : 'failed'));
    return Promise.race([started, outdated]).finally(() => clearInterval(timer));
  }

  async #watchOver(child: WorkerChild): Promise<void> {
    const { code, signal } = await child.ended;
    this.#living.delete(child);
    if (child !== this.#current || this.#stopping) return;
    this.#current = undefined;
    this.#currentLeaving = undefined;
    this.#options.say(`The worker ended with ${signal ?? `exit code ${code}`}. It is started again.`);
    // While a replacement is under way, it brings the next worker.
    if (!this.#replacing) this.#crashTimer = setTimeout(() => void this.replace(), crashPauseMs);
  }

  #dismiss(child: WorkerChild | undefined): void {
    child?.stop(this.#options.stopLimitMs);
  }

  /** Tells what happens to the running code when newer code cannot run. */
  tellFate(): string {
    return this.#current ? 'The previous code keeps running.' : 'Save a file to try again.';
  }
}
