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
      const startedAt = performance.now();
      const blockedBefore = blockedMs();
      const onTime = () => {
        const leftMs = ms + blockedMs() - blockedBefore - (performance.now() - startedAt);
        if (leftMs >= 1) timer = setTimeout(onTime, leftMs);
        else run();
      };
      let timer = setTimeout(onTime, ms);
      return () => clearTimeout(timer);
    },
    blockedMs,
    close: () => clearInterval(beat),
  };
}
