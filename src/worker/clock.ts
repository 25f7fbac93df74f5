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

/** How a clock measures blocks, and which of its timers Node does not know yet. */
interface Beat {
  blockedMs(): number;
  readonly young: Set<UnblockedTimer>;
}

/** A class, since there is one for each job. */
class UnblockedTimer {
  readonly #ms: number;
  readonly #run: () => void;
  readonly #beat: Beat;
  readonly #startedAt = performance.now();
  readonly #blockedBefore: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, run: () => void, beat: Beat) {
    this.#ms = ms;
    this.#run = run;
    this.#beat = beat;
    this.#blockedBefore = beat.blockedMs();
    // Most jobs end before the next beat, and a timer of Node's own costs each of them 2 µs.
    if (ms > 2 * beatMs) beat.young.add(this);
    else this.arm(ms);
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    else this.#beat.young.delete(this);
  }

  arm(ms = this.#leftMs()): void {
    this.#timer = setTimeout(() => this.#onTime(), ms);
  }

  #leftMs(): number {
    return this.#ms + this.#beat.blockedMs() - this.#blockedBefore - (performance.now() - this.#startedAt);
  }

  #onTime(): void {
    const leftMs = this.#leftMs();
    if (leftMs >= 1) this.arm(leftMs);
    else this.#run();
  }
}

/** Creates a worker's clock. It measures blocks by how late a beat of 100 ms is. */
export function createUnblockedClock(): UnblockedClock {
  let total = 0;
  let beatAt = performance.now();
  const latenessMs = () => Math.max(0, performance.now() - beatAt - beatMs);
  const young = new Set<UnblockedTimer>();
  const blockedMs = () => total + latenessMs();
  const beat = setInterval(() => {
    total += latenessMs();
    beatAt = performance.now();
    for (const timer of young) timer.arm();
    young.clear();
  }, beatMs);
  const measure = { blockedMs, young };
  return {
    now: () => Date.now(),
    startTimer(ms, run) {
      const timer = new UnblockedTimer(ms, run, measure);
      return () => timer.stop();
    },
    blockedMs,
    close: () => clearInterval(beat),
  };
}
