/** The time that a worker goes by; a test may move its own. */
export interface Clock {
  /** Returns the milliseconds since 1970. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns how to stop that. */
  startTimer(ms: number, run: () => void): () => void;
}

const beatMs = 100;

/**
 * A clock whose timers do not count the time in which this process' event loop was blocked, or the process frozen. The
 * clock measures blocks by how late its beat of 100 ms is.
 */
export class UnblockedClock implements Clock {
  /** The timers that Node does not know yet. */
  readonly young = new Set<UnblockedTimer>();
  #blockedMs = 0;
  #beatAt = performance.now();
  readonly #beat = setInterval(() => this.#onBeat(), beatMs);

  now(): number {
    return Date.now();
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
  readonly #ms: number;
  readonly #run: () => void;
  readonly #clock: UnblockedClock;
  readonly #startedAt = performance.now();
  readonly #blockedBefore: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, run: () => void, clock: UnblockedClock) {
    this.#ms = ms;
    this.#run = run;
    this.#clock = clock;
    this.#blockedBefore = clock.blockedMs();
    // Most jobs end before the next beat, and a timer of Node's own would cost each of them 2 µs.
    if (ms > 2 * beatMs) clock.young.add(this);
    else this.arm(ms);
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    else this.#clock.young.delete(this);
  }

  arm(ms = this.#leftMs()): void {
    this.#timer = setTimeout(() => this.#onTime(), ms);
  }

  #leftMs(): number {
    return this.#ms + this.#clock.blockedMs() - this.#blockedBefore - (performance.now() - this.#startedAt);
  }

  #onTime(): void {
    const leftMs = this.#leftMs();
    if (leftMs >= 1) this.arm(leftMs);
    else this.#run();
  }
}
