/** For how long this process' event loop was blocked, or the process frozen. */
export interface BlockedTime {
  /** Milliseconds since the start, the block that has just ended included. */
  totalMs(): number;
  close(): void;
}

const beatMs = 100;

/** Measures blocks by how late a beat of 100 ms is. */
export function createBlockedTime(): BlockedTime {
  let total = 0;
  let beatAt = performance.now();
  const latenessMs = () => Math.max(0, performance.now() - beatAt - beatMs);
  const timer = setInterval(() => {
    total += latenessMs();
    beatAt = performance.now();
  }, beatMs);
  return {
    totalMs: () => total + latenessMs(),
    close: () => clearInterval(timer),
  };
}

/** Calls `run` after `ms` milliseconds, those not counted in which the loop was blocked. Returns how to stop it. */
export function startUnblockedTimer(blocked: BlockedTime, ms: number, run: () => void): () => void {
  const startedAt = performance.now();
  const blockedBefore = blocked.totalMs();
  const onTime = () => {
    const leftMs = ms + blocked.totalMs() - blockedBefore - (performance.now() - startedAt);
    if (leftMs >= 1) timer = setTimeout(onTime, leftMs);
    else run();
  };
  let timer = setTimeout(onTime, ms);
  return () => clearTimeout(timer);
}
