import type { FromWorker, WorkerLoad, WorkerSettingsToParent } from './messages.ts';
import type { RecycleReason } from './recycling.ts';
import type { WorkerChild, WorkerExit } from './worker-child.ts';

/** One worker process, as its parent knows it. */
export interface WorkerStatus {
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'leaving';
  readonly ageMs: number;
  readonly jobs: number;
  readonly rssMb: number;
  readonly running: number;
}

/** What a supervisor hears of one of its workers. */
export interface KeptEvents {
  onSettings(settings: WorkerSettingsToParent): void;
  onReady(): void;
  /** It has reached a limit. */
  onDue(): void;
  /** It will end, by itself. */
  onLeaving(failed: boolean): void;
  onEnded(exit: WorkerExit): void;
}

/** A worker that is neither ready nor gone by then hangs, in milliseconds. */
const startLimitMs = 120_000;
/** A worker is gone 2 s after its grace; one that is not gets a little more, and is killed. */
const killMarginMs = 2_500;

/** One worker process of a supervisor, from its start to its end. */
export class KeptWorker {
  readonly child: WorkerChild;
  /** The number that it has alone among the living. */
  readonly index: number;
  readonly startedAt = performance.now();
  readyAt: number | undefined;
  state: WorkerStatus['state'] = 'starting';
  /** Its parent has told it to end. */
  asked = false;
  /** It was killed because it did not end. */
  killed = false;
  /** Why it is to be replaced. */
  due: RecycleReason | 'signal' | undefined;
  /** Its early end has been counted. */
  counted = false;
  /** What it gives its jobs at its end, in milliseconds: another worker's settings may be newer. */
  #graceMs: number | undefined;
  #load: WorkerLoad = { jobs: 0, running: 0, rssMb: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(child: WorkerChild, index: number, events: KeptEvents) {
    this.child = child;
    this.index = index;
    child.onMessage((message) => this.#hear(message, events));
    void child.ended.then((exit) => {
      clearTimeout(this.#timer);
      events.onEnded(exit);
    });
    this.#killAfter(startLimitMs);
    child.start();
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get status(): WorkerStatus {
    const { jobs, running, rssMb } = this.#load;
    return {
      pid: this.pid,
      state: this.state,
      ageMs: Math.round(performance.now() - this.startedAt),
      jobs,
      rssMb,
      running,
    };
  }

  #hear(message: FromWorker, events: KeptEvents): void {
    if (message.say === 'settings') {
      this.#graceMs = message.gracefulTimeoutMs;
      events.onSettings(message);
    } else if (message.say === 'load') this.#load = { ...message };
    else if (message.say === 'ready') this.#takesJobs(events);
    else if (message.say === 'due') this.#isDue(message.why, events);
    else if (message.say === 'leaving') this.#isLeaving(message.failed, events);
  }

  #takesJobs(events: KeptEvents): void {
    if (this.state !== 'starting') return;
    clearTimeout(this.#timer);
    this.state = 'ready';
    this.readyAt = performance.now();
    events.onReady();
  }

  #isDue(why: RecycleReason, events: KeptEvents): void {
    this.due ??= why;
    events.onDue();
  }

  #isLeaving(failed: boolean, events: KeptEvents): void {
    if (this.asked) return;
    this.state = 'leaving';
    events.onLeaving(failed);
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kill(), ms);
  }

  /** It ends by itself, and is killed soon after its grace if it does not; `graceMs` is that of one that has told none. */
  endWithin(graceMs: number): void {
    this.#killAfter((this.#graceMs ?? graceMs) + killMarginMs);
  }

  /** Lets its running jobs finish for `graceMs` milliseconds; a second call changes nothing. */
  stop(graceMs: number): void {
    if (this.asked) return;
    this.asked = true;
    this.endWithin(graceMs);
    // One that drains already would take it for a second signal, and abort.
    if (this.state !== 'leaving') this.child.stop();
    this.state = 'leaving';
  }

  /** Lets it give its jobs back now. */
  abort(): void {
    this.#killAfter(killMarginMs);
    this.child.tell({ say: 'abort' });
  }

  kill(): void {
    this.killed = true;
    this.child.kill();
  }
}
