import type { Redis } from 'ioredis';
import { LockLostError } from '../errors.ts';
import type { Guard } from '../guard/guard.ts';
import { JobAbort } from '../job-abort.ts';
import type { FetchedJob } from './bullmq-internals.ts';
import { keyNames, lockSuffix } from './bullmq-names.ts';
import { queueKey, workersKey } from './keys.ts';
import { runScript } from './lua.ts';
import { renewLocks } from './scripts.ts';

/** What became of a lock: ours, over because its job was settled already, or another worker's. */
export type LockState = 'held' | 'settled' | 'lost';

/** A job that this worker holds, from its fetch until it is settled. */
export interface Hold {
  readonly jobId: string;
  readonly abort: JobAbort;
  /** Of the last fetch: a redelivery of a job that still runs here is adopted, and brings new ones. */
  token: string;
  starts: number;
  /** Its code has ended and its outcome is being written. */
  ended: boolean;
  /** It was fetched again meanwhile: either its outcome was written before, or it has to be written under this lock. */
  again: TakenJob | undefined;
  /** Told when it is dropped, to whom the same job waits for. */
  onDrop: (() => void) | undefined;
  /** It was cancelled after its code had ended. */
  cancelled: boolean;
  /** It ran with no other job beside it; if it ended by itself, too, it is suspected of no crash any more. */
  cleared: boolean;
  letGo(): void;
}

/** A fetched job, and its hold; without one when it came back while its code still runs here, which goes on. */
export interface TakenJob extends FetchedJob {
  hold?: Hold;
}

interface LocksOptions {
  client: Redis;
  guard: Guard | undefined;
  place: { prefix: string; queue: string };
  workerId: string;
  durationMs: number;
  onTrouble(error: Error): void;
}

const nothing = () => {};

/** The wait after a renewal that Redis refused: so short that nobody takes the jobs for stalled before the next one. */
const renewAgainMs = 500;

/**
 * Creates what keeps the locks of running jobs: renewed every quarter of their duration, so that half of it is always
 * left, and taken back after an outage if nobody else has fetched the job. A lock that is lost aborts its job.
 */
export function createLocks({ client, guard, place, workerId, durationMs, onTrouble }: LocksOptions) {
  const { prefix, queue } = place;
  const holds = new Map<string, Hold>();
  const keys = [keyNames.active, keyNames.wait, keyNames.prioritized].map((name) => queueKey(prefix, queue, name));

  const tellGuard = (hold: Hold) => {
    const { jobId, token } = hold;
    const key = `${queueKey(prefix, queue, jobId)}${lockSuffix}`;
    hold.letGo =
      guard?.hold({ key, token, durationMs, workersKey: workersKey(prefix, queue), workerId, jobId }) ?? nothing;
  };

  const renew = async (wanted: Hold[]): Promise<LockState[]> => {
    const jobs = wanted.flatMap(({ jobId, token, starts }) => [jobId, token, starts]);
    const states = await runScript(client, renewLocks, keys, [queueKey(prefix, queue, ''), durationMs, ...jobs]);
    return states as LockState[];
  };

  const renewAll = async () => {
    const wanted = [...holds.values()];
    if (wanted.length === 0) return;
    const asked = wanted.map(({ token }) => token);
    const states = await renew(wanted);
    wanted.forEach((hold, index) => {
      // Settled meanwhile, or fetched and adopted again under another token.
      const changed = holds.get(hold.jobId) !== hold || hold.token !== asked[index];
      if (states[index] === 'lost' && !changed) hold.abort.abort(new LockLostError(hold.jobId));
    });
  };

  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const tick = async () => {
    clearTimeout(timer);
    let waitMs = durationMs / 4;
    await renewAll().catch((error) => {
      waitMs = renewAgainMs;
      onTrouble(error);
    });
    clearTimeout(timer);
    if (!closed) timer = setTimeout(tick, waitMs);
  };
  timer = setTimeout(tick, durationMs / 4);

  return {
    holds: holds as ReadonlyMap<string, Hold>,
    hold({ id, token, attemptsStarted: starts }: FetchedJob): Hold {
      const fresh = { ended: false, again: undefined, onDrop: undefined, cancelled: false, cleared: false };
      const hold: Hold = { jobId: id, token, starts, abort: new JobAbort(), ...fresh, letGo: nothing };
      holds.set(id, hold);
      tellGuard(hold);
      return hold;
    },
    /** A job came back while its code still runs here: it runs on under the new lock. */
    adopt(hold: Hold, { token, attemptsStarted: starts }: FetchedJob): void {
      hold.letGo();
      Object.assign(hold, { token, starts });
      tellGuard(hold);
    },
    drop(hold: Hold): void {
      hold.letGo();
      if (holds.get(hold.jobId) === hold) holds.delete(hold.jobId);
    },
    /** Asks whether a job is still ours, and takes its lock back where that is possible. */
    async takeBack(hold: Hold): Promise<LockState> {
      const [state] = await renew([hold]);
      return state ?? 'lost';
    },
    /** After an outage: before anybody takes these jobs for stalled. */
    renewNow: tick,
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}

export type Locks = ReturnType<typeof createLocks>;
