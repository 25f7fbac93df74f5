import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Fetched, FetchedJob, JobBackend } from './job-backend.ts';

interface FetchLoopOptions {
  backend: JobBackend;
  /** A connection of its own: it waits for jobs. */
  blocking: Redis;
  /** The sorted set into which BullMQ puts a mark when a job comes. */
  markerKey: string;
  workerId: string;
  /** How many more jobs may be taken. */
  room(): number;
  /** `sentAt` (performance.now()) is when the fetch was sent: its lock is that old at most. */
  take(job: FetchedJob, token: string, sentAt: number): void;
  onTrouble(error: Error): void;
  onProgress(): void;
}

/** How long one wait for a job lasts at most, in seconds; a mark that a dying worker took with it costs others this. */
const waitSeconds = 10;
/** Redis rounds shorter waits down to none, or, before 7.0.8, to for ever. */
const leastSeconds = 0.01;
const troublePauseMs = 1_000;
const graceMs = 2_000;

/**
 * Creates the loop that fetches jobs one by one while there is room. Jobs that come with the settling of another do
 * not pass through here. It ends with `stop`, and survives whatever Redis answers.
 */
export function createFetchLoop(options: FetchLoopOptions) {
  const { backend, blocking, markerKey, workerId, take, onTrouble, onProgress } = options;
  const stopping = new AbortController();
  let paused = false;
  /** The last fetch failed: Redis is full, for example, which does not keep it from handing out jobs with a settling. */
  let troubled = false;
  let fetches = 0;
  let fetching: Promise<unknown> = Promise.resolve();
  let wake = () => {};
  let endWait = () => {};

  // A command that waits on a lost connection is neither answered nor refused when the connection is back.
  blocking.on('close', () => endWait());

  const mayFetch = () => !paused && options.room() > 0;

  const untilRoom = async () => {
    while (!stopping.signal.aborted && !mayFetch()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };

  /** Waits for a mark, or until the next delayed job is due. */
  const untilWork = async (dueAt: number) => {
    let due = dueAt;
    while (!stopping.signal.aborted) {
      const leftSeconds = due > 0 ? (due - Date.now()) / 1_000 : waitSeconds;
      if (leftSeconds <= 0) return;
      const seconds = Math.max(leastSeconds, Math.min(waitSeconds, leftSeconds));
      const mark = await waitForMark(seconds);
      onProgress();
      // The score of a mark is 0 for a job that waits, or the time at which a delayed one is due.
      if (!mark || Number(mark[2]) <= Date.now()) return;
      due = Number(mark[2]);
    }
  };

  /** `null` when the wait was ended: then it is time to look again. */
  const untilLate = (seconds: number, signal: AbortSignal) =>
    sleep(seconds * 1_000 + graceMs, 'late' as const, { signal }).catch(() => null);

  const waitForMark = async (seconds: number) => {
    const late = new AbortController();
    endWait = () => late.abort();
    const waiting = blocking.bzpopmin(markerKey, seconds);
    waiting.catch(() => {});
    try {
      const mark = await Promise.race([waiting, untilLate(seconds, late.signal)]);
      if (mark !== 'late') return mark;
      // A connection that died unnoticed never answers, and ioredis does not give up waiting.
      blocking.disconnect(true);
      return null;
    } finally {
      late.abort();
    }
  };

  const once = async () => {
    const token = `${workerId}:${fetches++}`;
    const sentAt = performance.now();
    fetching = backend.moveToActive(token, workerId);
    const fetched: Fetched = backend.toFetched(await fetching);
    troubled = false;
    onProgress();
    if (fetched.job) take(fetched.job, token, sentAt);
    else if (fetched.rateLimitedMs > 0) await pauseFor(fetched.rateLimitedMs);
    else await untilWork(fetched.nextDelayedAt);
  };

  const pauseFor = async (ms: number) => {
    await sleep(Math.min(ms, waitSeconds * 1_000), undefined, { signal: stopping.signal }).catch(() => {});
    onProgress();
  };

  const run = async () => {
    while (!stopping.signal.aborted) {
      await untilRoom();
      if (stopping.signal.aborted) return;
      try {
        await once();
      } catch (error) {
        if (stopping.signal.aborted) return;
        troubled = true;
        onTrouble(error as Error);
        await pauseFor(troublePauseMs);
      }
    }
  };

  let done: Promise<void> = Promise.resolve();
  return {
    start() {
      done = run();
    },
    /** Resolves when the last fetch has been answered. */
    get done() {
      return done;
    },
    get running() {
      return !stopping.signal.aborted;
    },
    /** Whether jobs are taken at all, room or not. */
    get open() {
      return !paused && !troubled && !stopping.signal.aborted;
    },
    get mayFetch() {
      return mayFetch() && !stopping.signal.aborted;
    },
    /** There is room again. */
    wake: () => wake(),
    /** Gives up a wait that does not end. */
    kick: () => blocking.disconnect(true),
    /** Resolves when the fetch in flight has been answered, and its job taken. */
    async pause() {
      paused = true;
      await fetching.catch(() => {});
    },
    resume() {
      paused = false;
      wake();
    },
    stop() {
      stopping.abort();
      // Of a connection that is being opened again, ioredis lets the command wait.
      endWait();
      blocking.disconnect();
      wake();
    },
  };
}

export type FetchLoop = ReturnType<typeof createFetchLoop>;
