import type { WorkerLoad } from './messages.ts';
import type { RecycleReason } from './recycling.ts';
import type { WorkerChild } from './worker-child.ts';

/** A worker that is neither ready nor gone by then hangs, in milliseconds. */
const startLimitMs = 120_000;
/** A worker is gone 2 s after its grace; one that is not gets a little more, and is killed. */
const killMarginMs = 2_500;

/** One worker process of a supervisor, from its start to its end. */
export class KeptWorker {
  readonly child: WorkerChild;
  /** No two living workers of a supervisor have the same index. */
  readonly index: number;
  readonly startedAt = performance.now();
  readyAt: number | undefined;
  state: 'starting' | 'ready' | 'leaving' = 'starting';
  /** Whether the parent has told the worker to end. */
  asked = false;
  killed = false;
  /** Why the worker is to be replaced. */
  due: RecycleReason | 'signal' | undefined;
  /** Whether the worker's early end has been counted. */
  counted = false;
  /** What the worker's jobs get at its end, in milliseconds; other workers' settings may be newer than its own. */
  graceMs: number;
  load: WorkerLoad = { jobs: 0, running: 0, rssMb: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(child: WorkerChild, index: number, graceMs: number) {
    this.child = child;
    this.index = index;
    this.graceMs = graceMs;
    void child.ended.then(() => clearTimeout(this.#timer));
    this.#killAfter(startLimitMs);
    child.start();
  }

  get status() {
    const ageMs = Math.round(performance.now() - this.startedAt);
    return { pid: this.child.pid ?? -1, state: this.state, ageMs, ...this.load };
  }

  /** Notes that the worker takes jobs. */
  becomeReady(): void {
    clearTimeout(this.#timer);
    this.state = 'ready';
    this.readyAt = performance.now();
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kill(), ms);
  }

  /** Kills the worker unless it ends by itself soon after its grace. */
  killAfterGrace(): void {
    this.#killAfter(this.graceMs + killMarginMs);
  }

  /** Lets running jobs finish within the worker's grace; a second call changes nothing. */
  stop(): void {
    if (this.asked) return;
    this.asked = true;
    this.killAfterGrace();
    // A worker that drains already would take this for a second signal, and abort.
    if (this.state !== 'leaving') this.child.stop();
    this.state = 'leaving';
  }

  /** Lets the worker give its jobs back now. */
  abort(): void {
    this.#killAfter(killMarginMs);
    this.child.tell({ say: 'abort' });
  }

  kill(): void {
    this.killed = true;
    this.child.kill();
  }
}
