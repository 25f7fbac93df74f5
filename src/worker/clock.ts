/** The time that a worker goes by; a test may move its own. */
export interface Clock {
  /** Returns the milliseconds since 1970. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns how to stop that. */
  startTimer(ms: number, run: () => void): () => void;
}

const beatMs = 100;

/** A clock whose timers do not count the time of blocks, when the event loop did not turn: then its beat comes late. */
export class UnblockedClock implements Clock {
  /** The timers that Node does not know yet. */
  readonly young = new Set<UnblockedTimer>();
  #blockedMs = 0;
  #beatAt = performance.now();
  readonly #beat = setInterval(() => this.#onBeat(), beatMs);

  readonly now: () => number;

  /** `now` tells the time with which the stamps of jobs are compared. */
  constructor(now = () => Date.now()) {
    this.now = now;
  }

  startTimer(ms: number, run: () => void): () => void {
    const timer = new UnblockedTimer(ms, run, this);
    return () => timer.stop();
  }

  /** Returns the milliseconds of all blocks since the start, the one that has just ended included. */
  blockedMs(): number {
    return this.#blockedMs + Math.max(0, performance.now() - this.#beatAt - beatMs);
  }

  close(): void {
    clearInterval(this.#beat);
  }

  #onBeat(): void {
    this.#blockedMs = this.blockedMs();
    this.#beatAt = performance.now();
    for (const timer of this.young) timer.arm();
    this.young.clear();
  }
}

class UnblockedTimer {
  readonly #run: () => void;
  readonly #clock: UnblockedClock;
  /** The time at which the timer is due, unless the loop is blocked until then. */
  readonly #dueAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, run: () => void, clock: UnblockedClock) {
    this.#run = run;
    this.#clock = clock;
    this.#dueAt = performance.now() - clock.blockedMs() + ms;
    // Most jobs end before the next beat, and a timer of Node's own would cost each of them 2 µs.
    if (ms > 2 * beatMs) clock.young.add(this);
    else this.arm();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    else this.#clock.young.delete(this);
  }

  arm(): void {
    this.#timer = setTimeout(() => {
      if (this.#leftMs() >= 1) this.arm();
      else this.#run();
    }, Math.ceil(this.#leftMs()));
  }

  #leftMs(): number {
    return this.#dueAt + this.#clock.blockedMs() - performance.now();
  }
}
