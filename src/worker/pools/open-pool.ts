import { availableParallelism } from 'node:os';
import type { TaskSource } from '../../app/app-source.ts';
import { IsletError, PoolCrashedError } from '../../errors.ts';
import type { UnitPool } from '../../manifest/pool.ts';
import type { Pool, PoolCalls, PoolJob } from '../pool.ts';
import { createMember, type Member, type UnitEnd } from './member.ts';
import { startUnit, type UnitProgram } from './start-unit.ts';

export interface PoolHost {
  readonly program: UnitProgram;
  /** Writes a line of a unit's logger among the worker's own. */
  writeLine(line: string): void;
}

/** How long a unit has to dispose of what it opened, in milliseconds. */
const closeMs = 5_000;
/** The part of `maxMemoryMb` above which a unit is replaced after a job. */
const replaceShare = 0.75;
/** A job for which there is no room comes back within these, in milliseconds. */
const waitLimits = { least: 1_000, most: 15_000 };
/** What the last job's duration weighs in the average. */
const newest = 0.3;

interface Waiter {
  take(member: Promise<Member>): void;
}

/** The default size leaves a core to the worker's own loop, and to Redis. */
const coresButOne = () => Math.max(1, availableParallelism() - 1);

function refuseMemory(source: TaskSource, pool: UnitPool, memoryMb: number): IsletError {
  const { name, queue } = source.manifest;
  const least = Math.ceil(memoryMb / replaceShare);
  const seen = `Task "${name}" (queue "${queue}") has \`pool.maxMemoryMb\` ${pool.maxMemoryMb}, but an idle ${pool.kind} of it takes ${Math.round(memoryMb)} MB`;
  const advice = `It would be replaced after each job. Give it more than ${least}, with room for its jobs.`;
  return new IsletError('E_POOL_MEMORY_LOW', `${seen}. ${advice}`);
}

/** Opens the pool of one task. It starts nothing before the first job. */
export function openPool(source: TaskSource, { program, writeLine }: PoolHost): Pool {
  const { manifest, file } = source;
  const pool = manifest.pool as UnitPool;
  const size = pool.size ?? coresButOne();
  const members = new Set<Member>();
  const idle = new Map<Member, NodeJS.Timeout>();
  const waiting: Waiter[] = [];
  let meanMs = waitLimits.least;
  let closed = false;

  const startFailed = (how: string) => {
    const where = `Task "${manifest.name}" (queue "${manifest.queue}"), ${file}`;
    return new IsletError('E_TASK_LOAD_FAILED', `${where}: the ${pool.kind} that was to load it ${how}.`);
  };
  const start = (): Member => {
    const order = {
      queue: manifest.queue,
      task: manifest.name,
      maxJobs: pool.maxJobs,
      replaceAboveMb: pool.maxMemoryMb * replaceShare,
      parent: pool.kind === 'process' ? process.pid : undefined,
    };
    const unit = startUnit({ kind: pool.kind, program, order, maxMemoryMb: pool.maxMemoryMb });
    return createMember(unit, { writeLine, startFailed });
  };
  const startMember = async (): Promise<Member> => {
    const member = start();
    members.add(member);
    member.ended.then(() => leave(member));
    await member.ready;
    return member;
  };
  const leave = (member: Member) => {
    if (!members.delete(member)) return;
    clearTimeout(idle.get(member));
    idle.delete(member);
    waiting.shift()?.take(startMember());
  };
  /** It makes room for its successor at once, and disposes beside it. */
  const retire = (member: Member) => {
    leave(member);
    return member.close(closeMs);
  };
  const giveBack = (member: Member) => {
    if (!members.has(member)) return;
    if (!member.usable) return void retire(member);
    const next = waiting.shift();
    if (next) return next.take(Promise.resolve(member));
    if (pool.idleTimeoutMs === 0 || closed) return void retire(member);
    idle.set(
      member,
      setTimeout(() => retire(member), pool.idleTimeoutMs),
    );
  };
  const takeIdle = (): Member | undefined => {
    // The one that worked last: the others can go.
    const member = [...idle.keys()].at(-1);
    if (!member) return undefined;
    clearTimeout(idle.get(member));
    idle.delete(member);
    return member;
  };
  const takeMember = (signal: AbortSignal): Promise<Member> => {
    const rested = takeIdle();
    if (rested) return Promise.resolve(rested);
    if (members.size < size) return startMember();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { take: resolve };
      waiting.push(waiter);
      signal.addEventListener('abort', () => {
        const at = waiting.indexOf(waiter);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason);
      });
    });
  };
  /** A member that nobody waits for any more, since its job was aborted, is the next one's. */
  const acquire = async (signal: AbortSignal): Promise<Member> => {
    signal.throwIfAborted();
    const taken = takeMember(signal);
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([taken, aborted]);
    } catch (error) {
      taken.then(giveBack, () => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };
  const unwrap = (end: UnitEnd, job: PoolJob, { signal }: PoolCalls): string | undefined => {
    if (end.kind === 'returned') return end.resultJson;
    if (end.kind === 'threw') throw end.error;
    if (end.kind === 'killed') throw signal.reason;
    const whose = `Job "${job.jobId}" of task "${manifest.name}" (queue "${manifest.queue}")`;
    throw new PoolCrashedError(`${whose} ended its ${pool.kind}, and no other job: that ${end.how}.`);
  };

  const runOnce = async (job: PoolJob, calls: PoolCalls): Promise<UnitEnd> => {
    const member = await acquire(calls.signal);
    calls.onBegin();
    const startedAt = performance.now();
    const end = await member.run(job, calls);
    meanMs += (performance.now() - startedAt - meanMs) * newest;
    giveBack(member);
    return end;
  };

  return {
    size,
    get isFull() {
      return waiting.length >= size;
    },
    waitMs() {
      const ms = (meanMs * (waiting.length + 1)) / size;
      const bounded = Math.max(waitLimits.least, Math.min(waitLimits.most, ms));
      // Not all at once.
      return Math.round(bounded * (1 + Math.random() / 2));
    },
    async prove() {
      const member = start();
      try {
        const memoryMb = await member.ready;
        if (memoryMb > pool.maxMemoryMb * replaceShare) throw refuseMemory(source, pool, memoryMb);
      } finally {
        await member.close(closeMs);
      }
    },
    async run(job, calls) {
      const end = await runOnce(job, calls);
      // It died of something else, just when it was given the job.
      const isInnocent = end.kind === 'crashed' && !end.started;
      return unwrap(isInnocent ? await runOnce(job, calls) : end, job, calls);
    },
    async close() {
      closed = true;
      waiting.splice(0);
      await Promise.all([...members].map((member) => retire(member)));
    },
  };
}
