/** The time that a worker goes by; a test may move its own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns how to stop it. */
  startTimer(ms: number, run: () => void): () => void;
}

/** A clock whose timers do not count the time in which this process' event loop was blocked, or the process frozen. */
export interface UnblockedClock extends Clock {
  /** Milliseconds of all blocks since the start, the one that has just ended included. */
  blockedMs(): number;
  close(): void;
}

const beatMs = 100;

/** A class, since there is one for each job. */
class UnblockedTimer {
  readonly #ms: number;
  readonly #run: () => void;
  readonly #blockedMs: () => number;
  readonly #startedAt = performance.now();
  readonly #blockedBefore: number;
  #timer: NodeJS.Timeout;

  constructor(ms: number, run: () => void, blockedMs: () => number) {
    this.#ms = ms;
    this.#run = run;
    this.#blockedMs = blockedMs;
    this.#blockedBefore = blockedMs();
    this.#timer = setTimeout(() => this.#onTime(), ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #onTime(): void {
    const leftMs = this.#ms + this.#blockedMs() - this.#blockedBefore - (performance.now() - this.#startedAt);
    if (leftMs >= 1) this.#timer = setTimeout(() => this.#onTime(), leftMs);
    else this.#run();
  }
}

/** Creates a worker's clock. It measures blocks by how late a beat of 100 ms is. */
export function createUnblockedClock(): UnblockedClock {
  let total = 0;
  let beatAt = performance.now();
  const latenessMs = () => Math.max(0, performance.now() - beatAt - beatMs);
  const beat = setInterval(() => {
    total += latenessMs();
    beatAt = performance.now();
  }, beatMs);
  const blockedMs = () => total + latenessMs();
  return {
    now: () => Date.now(),
    startTimer(ms, run) {
      const timer = new UnblockedTimer(ms, run, blockedMs);
      return () => timer.stop();
    },
    blockedMs,
    close: () => clearInterval(beat),
  };
}
