/** A worker that took jobs for this long, in milliseconds, has started well, whatever happens to it later. */
export const steadyMs = 10_000;

/** The number of workers in a row that died earlier at which a supervisor sees a crash loop. */
export const crashLoopDeaths = 5;

/** The exit code of a supervisor that has given up: an error inside the software, in sysexits.h. */
export const crashLoopExitCode = 70;

/** Returns how many milliseconds to wait, 30_000 at most, before a dead worker is replaced, when so many died early. */
export function pauseBeforeStart(earlyDeaths: number, random: () => number): number {
  if (earlyDeaths <= 1) return 0;
  const longest = Math.min(30_000, 500 * 2 ** (earlyDeaths - 2));
  return Math.round(longest * (0.5 + random() / 2));
}
