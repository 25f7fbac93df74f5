/** How often the event loop says that it turns, and how often the guard looks. */
export const beatMs = 100;
export const lookMs = 100;

/** How late the event loop has to be, in milliseconds, to count as blocked. Below that, it is merely busy. */
const lateMs = 250;
const mostLateMs = 1_000;
const nameAfterMs = 1_000;
/** The most that one look adds. After a longer gap the guard did not run either: the process or machine stood still. */
const longestLookMs = 250;

/** What the guard has seen of the event loop so far. */
export interface Watch {
  readonly beats: number;
  readonly lookedAt: number;
  /** How long there was no beat, without the time in which the guard itself did not run. */
  readonly blockedMs: number;
}

/** Adds a look at the beat, at a time of the monotonic clock. */
export function look(last: Watch, now: number, beats: number): Watch {
  if (beats !== last.beats) return { beats, lookedAt: now, blockedMs: 0 };
  return { beats, lookedAt: now, blockedMs: last.blockedMs + Math.min(now - last.lookedAt, longestLookMs) };
}

export function isLate({ blockedMs }: Watch): boolean {
  return blockedMs >= lateMs;
}

export interface Situation {
  blockedMs: number;
  /** Undefined when no lock is held. */
  shortestLockMs: number | undefined;
  maxBlockMs: number;
  /** When the process has to be gone, on the same clock as `now`. */
  deadline: number | undefined;
  now: number;
  /** Whether somebody may debug this process: a breakpoint is a block that is wanted. */
  inspected: boolean;
}

/** Decides whether to keep the locks of an event loop that is late, to `name` what blocks, and why to `end` the process. */
export function decideOnBlock(situation: Situation) {
  const { blockedMs, shortestLockMs = Number.POSITIVE_INFINITY, inspected } = situation;
  const end = inspected ? undefined : whyEnd(situation);
  const keepAfterMs = Math.max(lateMs, Math.min(mostLateMs, shortestLockMs / 8));
  return {
    keepLocks: end === undefined && Number.isFinite(shortestLockMs) && blockedMs >= keepAfterMs,
    name: !inspected && blockedMs >= nameAfterMs,
    end,
  };
}

function whyEnd({ blockedMs, maxBlockMs, deadline, now }: Situation): 'blocked' | 'overdue' | undefined {
  if (deadline !== undefined && now >= deadline && blockedMs >= lateMs) return 'overdue';
  return blockedMs >= maxBlockMs ? 'blocked' : undefined;
}
