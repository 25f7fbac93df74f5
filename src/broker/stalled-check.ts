import type { Redis } from 'ioredis';
import { keyNames } from './bullmq-names.ts';
import { queueKey, workersKey } from './keys.ts';
import type { Locks } from './locks.ts';
import { runScript } from './lua.ts';
import { lookForStalled, putBack } from './scripts.ts';

interface StalledCheckOptions {
  client: Redis;
  place: { prefix: string; queue: string };
  workerId: string;
  intervalMs: number;
  locks: Locks;
  /** Called after each look: Redis answers. */
  onLook(): void;
  onStalled(jobIds: string[]): void;
  /** Redis has not answered for so long that its connection may be dead without either side knowing. */
  onSilence(): void;
  onTrouble(error: unknown): void;
}

/** A host that vanished, or a middleman that forgot the connection, says nothing at all. */
const silenceLimitMs = 15_000;

/** A fetch whose reply has not come so long after Redis has answered others is lost. */
const replyLimitMs = 1_000;

/**
 * Creates the check that every worker makes in turn: it says that this worker lives, gives back jobs whose lock ran
 * out, and gives back jobs that Redis handed to this worker in a reply that never arrived.
 */
export function createStalledCheck(options: StalledCheckOptions) {
  const { client, place, workerId, intervalMs, locks, onLook, onStalled, onSilence, onTrouble } = options;
  const { prefix, queue } = place;
  const key = (name: string) => queueKey(prefix, queue, name);
  const { active, wait, prioritized, marker, events } = keyNames;
  const keys = [...[active, wait, marker, events].map(key), workersKey(prefix, queue), key('islet:looked')];
  /** Jobs that are ours in Redis but unknown here, by id and token, since when: the reply may be on its way. */
  let unknownSince = new Map<string, number>();

  const giveBackUnknown = async (held: string[]) => {
    const now = performance.now();
    const before = unknownSince;
    unknownSince = new Map();
    for (let index = 0; index < held.length; index += 2) {
      const [id = '', token = ''] = held.slice(index, index + 2);
      if (locks.holds.has(id)) continue;
      const since = before.get(`${id} ${token}`) ?? now;
      unknownSince.set(`${id} ${token}`, since);
      // Two looks may be answered in one go, after an outage.
      if (now - since < replyLimitMs) continue;
      const jobKeys = [id, active, wait, prioritized, marker, events].map(key);
      await runScript(client, putBack, jobKeys, [id, token, 0]);
    }
  };

  const look = async () => {
    const reply = await runScript(client, lookForStalled, keys, [key(''), workerId, intervalMs]);
    const [stalled, held] = reply as [string[], string[]];
    await giveBackUnknown(held);
    if (stalled.length > 0) onStalled(stalled);
    onLook();
  };

  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let looking = false;
  /** The waits before the next looks, when they are to come sooner than usual. */
  let soonMs: number[] = [];
  const arm = (waitMs: number) => {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(tick, waitMs);
  };
  const tick = async () => {
    looking = true;
    const silence = setInterval(onSilence, silenceLimitMs);
    await look().catch(onTrouble);
    clearInterval(silence);
    looking = false;
    arm(soonMs.shift() ?? (unknownSince.size > 0 ? replyLimitMs : intervalMs));
  };
  // The first at once: it may find that nobody has looked for long, and the next one then recovers.
  arm(0);

  return {
    /** After an outage: two looks soon, for the replies that were lost with the connection. */
    soon(): void {
      soonMs = [250, replyLimitMs];
      if (!looking) arm(soonMs.shift() ?? intervalMs);
    },
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}
