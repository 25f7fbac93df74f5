import { availableParallelism } from 'node:os';
import type { TaskSource } from '../../app/app-source.ts';
import { IsletError, PoolCrashedError } from '../../errors.ts';
import type { UnitPool } from '../../manifest/pool.ts';
import type { Pool, PoolCalls, PoolJob } from '../pool.ts';
import { Member, type UnitEnd } from './member.ts';
import { startUnit, type UnitProgram } from './start-unit.ts';

export interface PoolHost {
  readonly program: UnitProgram;
  /** Writes a line of a unit's logger among the worker's own. */
  writeLine(line: string): void;
}

type TakeMember = (member: Promise<Member>) => void;

/** How long a unit has to dispose of what it opened, in milliseconds. */
const closeMs = 5_000;
/** The part of `maxMemoryMb` above which a unit is replaced after a job. */
const replaceShare = 0.75;
/** A job for which there is no room comes back within these, in milliseconds. */
const waitLimits = { least: 1_000, most: 15_000 };
/** What the last job's duration weighs in the average. */
const newest = 0.3;

/** The default size leaves a core to the worker's own loop, and to Redis. */
const coresButOne = () => Math.max(1, availableParallelism() - 1);

/**
 * A pool of its own, since in piscina and tinypool an abort ends a thread before its code hears of it, neither replaces one
 * thread by its jobs and memory, and tinypool gives a process a second after SIGTERM and does not tell how it died. With
 * piscina a worker would take 5 MB more.
 */
class TaskPool implements Pool {
  readonly size: number;
  readonly #source: TaskSource;
  readonly #settings: UnitPool;
  readonly #host: PoolHost;
  readonly #members = new Set<Member>();
  /** With the timers that end them; the one that worked last is last. */
  readonly #idle = new Map<Member, NodeJS.Timeout>();
  readonly #waiting: TakeMember[] = [];
  /** Those that have given their place away, and are still there. */
  readonly #leaving = new Set<Promise<void>>();
  #meanMs = waitLimits.least;
  #closed = false;

  constructor(source: TaskSource, host: PoolHost) {
    this.#source = source;
    this.#settings = source.manifest.pool as UnitPool;
    this.#host = host;
    this.size = this.#settings.size ?? coresButOne();
  }

  get isFull(): boolean {
    return this.#waiting.length >= this.size;
  }

  waitMs(): number {
    const ms = (this.#meanMs * (this.#waiting.length + 1)) / this.size;
    const bounded = Math.max(waitLimits.least, Math.min(waitLimits.most, ms));
    // Not all at once.
    return Math.round(bounded * (1 + Math.random() / 2));
  }

  async prove(): Promise<void> {
    const member = this.#start();
    try {
      const memoryMb = await member.ready;
      if (memoryMb > this.#replaceAboveMb) throw this.#refuseMemory(memoryMb);
    } finally {
      await member.close(closeMs);
    }
  }

  async run(job: PoolJob, calls: PoolCalls): Promise<string | undefined> {
    const end = await this.#runOnce(job, calls);
    // It died of something else, just when it was given the job.
    const isInnocent = end.kind === 'crashed' && !end.started;
    return this.#unwrap(isInnocent ? await this.#runOnce(job, calls) : end, job, calls);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.splice(0);
    for (const member of this.#members) void this.#retire(member);
    await Promise.all(this.#leaving);
  }

  get #replaceAboveMb(): number {
    return this.#settings.maxMemoryMb * replaceShare;
  }

  #start(): Member {
    const { manifest, file } = this.#source;
    const { kind, maxJobs, maxMemoryMb } = this.#settings;
    const { program, writeLine } = this.#host;
    const { name: task, queue } = manifest;
    const parent = kind === 'process' ? process.pid : undefined;
    const order = { queue, task, maxJobs, replaceAboveMb: this.#replaceAboveMb, parent };
    const startFailed = (how: string) => {
      const what = `Task "${task}" (queue "${queue}"), ${file}: the ${kind} that was to load it ${how}.`;
      return new IsletError('E_TASK_LOAD_FAILED', what);
    };
    return new Member(startUnit({ kind, program, order, maxMemoryMb }), { writeLine, startFailed });
  }

  async #startMember(): Promise<Member> {
    let member: Member;
    try {
      member = this.#start();
    } catch (error) {
      // The system makes no thread or process just now: where there is none, nobody would come to those who wait.
      if (this.#members.size === 0) this.#waiting.shift()?.(this.#startMember());
      throw error;
    }
    this.#members.add(member);
    member.ended.then(() => this.#leave(member));
    await member.ready;
    return member;
  }

  /** Whoever waits gets its place. */
  #leave(member: Member): void {
    if (!this.#members.delete(member)) return;
    clearTimeout(this.#idle.get(member));
    this.#idle.delete(member);
    this.#waiting.shift()?.(this.#startMember());
  }

  /** It makes room for its successor at once, and disposes beside that. */
  #retire(member: Member): Promise<void> {
    this.#leave(member);
    const closing = member.close(closeMs).finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
    return closing;
  }

  #takeMember(): { taken: Promise<Member>; leaveLine(): void } {
    const leaveLine = () => {};
    const rested = [...this.#idle.keys()].at(-1);
    if (rested) {
      clearTimeout(this.#idle.get(rested));
      this.#idle.delete(rested);
      return { taken: Promise.resolve(rested), leaveLine };
    }
    if (this.#members.size < this.size) return { taken: this.#startMember(), leaveLine };
    let take: TakeMember = () => {};
    const taken = new Promise<Member>((resolve) => {
      take = resolve;
    });
    this.#waiting.push(take);
    return {
      taken,
      leaveLine: () => {
        const at = this.#waiting.indexOf(take);
        if (at >= 0) this.#waiting.splice(at, 1);
      },
    };
  }

  /** Waits for a unit, and no longer when the job is aborted meanwhile: then it is the next one's. */
  async #acquire(signal: AbortSignal): Promise<Member> {
    signal.throwIfAborted();
    const { taken, leaveLine } = this.#takeMember();
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([taken, aborted]);
    } catch (error) {
      leaveLine();
      taken.then(
        (member) => this.#giveBack(member),
        () => {},
      );
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #giveBack(member: Member) {
    if (!this.#members.has(member)) return;
    if (!member.usable) return void this.#retire(member);
    const next = this.#waiting.shift();
    if (next) return next(Promise.resolve(member));
    const { idleTimeoutMs } = this.#settings;
    if (idleTimeoutMs === 0 || this.#closed) return void this.#retire(member);
    this.#idle.set(
      member,
      setTimeout(() => this.#retire(member), idleTimeoutMs),
    );
  }

  async #runOnce(job: PoolJob, calls: PoolCalls): Promise<UnitEnd> {
    const member = await this.#acquire(calls.signal);
    calls.onBegin();
    const startedAt = performance.now();
    const end = await member.run(job, calls);
    this.#meanMs += (performance.now() - startedAt - this.#meanMs) * newest;
    this.#giveBack(member);
    return end;
  }

  #unwrap(end: UnitEnd, job: PoolJob, { signal }: PoolCalls): string | undefined {
    if (end.kind === 'returned') return end.resultJson;
    if (end.kind === 'threw') throw end.error;
    if (end.kind === 'killed') throw signal.reason;
    const { name, queue } = this.#source.manifest;
    const whose = `Job "${job.jobId}" of task "${name}" (queue "${queue}")`;
    throw new PoolCrashedError(`${whose} ended its ${this.#settings.kind}, and no other job: that ${end.how}.`);
  }

  #refuseMemory(memoryMb: number): IsletError {
    const { name, queue } = this.#source.manifest;
    const { kind, maxMemoryMb } = this.#settings;
    const takes = `an idle ${kind} of it takes ${Math.round(memoryMb)} MB`;
    const seen = `Task "${name}" (queue "${queue}") has \`pool.maxMemoryMb\` ${maxMemoryMb}, but ${takes}`;
    const advice = `Give it more than ${Math.ceil(memoryMb / replaceShare)}, with room for its jobs.`;
    return new IsletError('E_POOL_MEMORY_LOW', `${seen}: it would be replaced after each job. ${advice}`);
  }
}

/** Opens the pool of one task. It starts nothing before the first job. */
export function openPool(source: TaskSource, host: PoolHost): Pool {
  return new TaskPool(source, host);
}
