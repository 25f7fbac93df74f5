/** A worker that took jobs for so long has started well, whatever happens to it later. In milliseconds. */
export const steadyMs = 10_000;

/** So many workers in a row that died earlier are a crash loop. */
export const crashLoopDeaths = 5;

/** How a supervisor ends that has given up: of sysexits.h, an error inside the software. */
export const crashLoopExitCode = 70;

const firstPauseMs = 500;
const longestPauseMs = 30_000;

/** How long to wait, in milliseconds, before a dead worker is replaced, when so many in a row died early. */
export function pauseBeforeStart(earlyDeaths: number, random: () => number): number {
  if (earlyDeaths <= 1) return 0;
  const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** (earlyDeaths - 2));
  return Math.round(longest * (0.5 + random() / 2));
}
