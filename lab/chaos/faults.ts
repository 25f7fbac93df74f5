import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisProcess } from '../kit/redis.ts';
import type { Fleet } from './fleet.ts';
import type { Fault, ScheduledKind } from './schedule.ts';

/** A fault as it happened, in milliseconds since 1970. */
export interface Incident {
  readonly kind: string;
  readonly from: number;
  readonly to: number;
  /** The process that the fault hit. Without one, it hit Redis and so all of them. */
  readonly pid?: number;
}

export interface Arena {
  readonly fleet: Fleet;
  readonly redis: RedisProcess;
  readonly incidents: Incident[];
  readonly startedAt: number;
  readonly durationMs: number;
  readonly halted: AbortSignal;
  notify(text: string): void;
}

/** How long it takes until dropped connections are back. */
const reconnectMs = 1_000;

/** Brings a fault about. Returns no incident where each process has a record of its own. */
type Perform = (fault: Fault, arena: Arena) => Promise<Omit<Incident, 'kind' | 'from'> | undefined>;

const perform: Record<ScheduledKind, Perform> = {
  async sigkill({ worker }, { fleet }) {
    return { pid: fleet.signal(worker, 'SIGKILL'), to: Date.now() };
  },
  async 'worker-kill'({ worker }, { fleet }) {
    const pid = fleet.killKept(worker);
    return pid === undefined ? undefined : { pid, to: Date.now() };
  },
  async 'parent-kill'(_fault, { fleet }) {
    return { pid: await fleet.killParent(), to: Date.now() };
  },
  async restarts(_fault, { fleet, halted }) {
    for (let slot = 0; slot < fleet.count && !halted.aborted; slot++) await fleet.replace(slot);
    return undefined;
  },
  async freeze({ worker, forMs }, { fleet, halted }) {
    const pid = fleet.signal(worker, 'SIGSTOP');
    await pause(forMs, halted);
    fleet.signal(worker, 'SIGCONT');
    return { pid, to: Date.now() };
  },
  async 'redis-kill'({ forMs }, { redis, halted }) {
    await redis.kill();
    await pause(forMs, halted);
    if (!halted.aborted) await redis.start();
    return { to: Date.now() };
  },
  async 'redis-freeze'({ forMs }, { redis, halted }) {
    redis.freeze();
    await pause(forMs, halted);
    redis.thaw();
    return { to: Date.now() };
  },
  async drops(_fault, { redis }) {
    await redis.dropConnections();
    return { to: Date.now() + reconnectMs };
  },
  async 'redis-full'({ forMs }, { redis, halted }) {
    await redis.fill(true);
    await pause(forMs, halted);
    await redis.fill(false);
    return { to: Date.now() };
  },
};

/** Brings about the faults of one lane, each at its time; one that takes longer than planned delays those after it. */
export async function runLane(faults: readonly Fault[], arena: Arena): Promise<void> {
  let lateMs = 0;
  for (const fault of faults) {
    await pause(arena.startedAt + fault.atMs + lateMs - Date.now(), arena.halted);
    if (arena.halted.aborted || Date.now() > arena.startedAt + arena.durationMs) return;
    const from = Date.now();
    const hit = await perform[fault.kind](fault, arena);
    lateMs = Math.max(lateMs, Date.now() - arena.startedAt - fault.atMs - fault.forMs);
    if (hit !== undefined) arena.incidents.push({ kind: fault.kind, from, ...hit });
    const whom = hit?.pid === undefined ? '' : ` of worker ${hit.pid}`;
    arena.notify(`${seconds(from - arena.startedAt)} ${fault.kind}${whom}, ${seconds(Date.now() - from)}`);
  }
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

/** Waits, and ends early when the run is halted. Never throws. */
async function pause(ms: number, halted: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: halted }).catch(() => {});
}
